package policy

import (
	"fmt"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// Threshold lets a flow in when it has shown some packets and some age: most
// flows are short, and a rule for a flow that is over has only cost. Pinned
// flows are not asked.
type Threshold struct {
	// MinPackets by the kernel, both directions. Where the kernel does not
	// account, age alone decides.
	MinPackets uint64
	// MinAge since the flow was first heard of.
	MinAge time.Duration
	// Ceiling is the most flows in hardware at once; 0 is no ceiling but the table.
	Ceiling int
}

// Name is "threshold".
func (t *Threshold) Name() string { return "threshold" }

// String gives the numbers for people.
func (t *Threshold) String() string {
	s := fmt.Sprintf("threshold of %d packets and %s", t.MinPackets, t.MinAge)
	if t.Ceiling > 0 {
		s += fmt.Sprintf(", at most %d flows", t.Ceiling)
	}
	return s
}

// Judge compares with the three numbers.
func (t *Threshold) Judge(in *Input) Verdict {
	if t.Ceiling > 0 && in.Resident >= t.Ceiling {
		return Verdict{Decision: Wait, Reason: flow.CeilingReached}
	}
	if in.Counted && in.Packets < t.MinPackets {
		return Verdict{Decision: Wait, Reason: flow.BelowThreshold}
	}
	if left := flow.Time(t.MinAge) - in.Age; left > 0 {
		return Verdict{Decision: Wait, Reason: flow.BelowThreshold, Again: left}
	}
	return Verdict{Decision: Offload}
}
