package policy

import "github.com/shunt-offload/shunt/hwif/flow"

// Input is what a policy may know of one flow and of the table.
type Input struct {
	Proto    uint8
	Mark     uint32
	Packets  uint64    // by kernel and hardware since it last left for being idle; both directions
	Bytes    uint64    // L3 bytes by the kernel, both directions, whole life
	Counted  bool      // Packets and Bytes mean something: the kernel accounts
	Age      flow.Time // since the flow was first heard of, ns
	Resident int       // flows in hardware or on their way
}

// Decision is what to do.
type Decision uint8

const (
	Wait    Decision = iota // not now; asked again when something is heard of the flow
	Offload                 // into hardware
	Never                   // not now, and out if it is in
)

// Verdict is a decision and, for Wait, its reason.
type Verdict struct {
	Decision Decision
	Reason   flow.Reason
	Again    flow.Time // ask again after this long, ns; 0 when only news can change the verdict
}

// Policy judges flows. It must not keep pointers into its input, and it must
// answer the same for the same input.
type Policy interface {
	Name() string   // one word, for config and metrics
	String() string // with its numbers, for people
	Judge(in *Input) Verdict
}
