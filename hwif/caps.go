package hwif

import "time"

// CounterKind is how much a device counts per rule.
type CounterKind uint8

const (
	CountersNone    CounterKind = iota // none at all (ice)
	CountersPackets                    // packets only
	CountersFull                       // packets and bytes
)

func (k CounterKind) String() string {
	switch k {
	case CountersPackets:
		return "packets"
	case CountersFull:
		return "packets and bytes"
	}
	return "none"
}

// Caps is what a device can do. It is immutable after Open.
type Caps struct {
	Driver     string        // "xdp", "sim", "mlx5"
	Fields     FieldSet      // what it can compare
	Actions    ActionSet     // what it can do
	MaxRules   int           // table size in rules (a flow takes two); 0 means unknown
	Batch      int           // operations worth sending in one Apply; at least 1
	Counters   CounterKind   // what Counters reports
	CounterLag time.Duration // how old a counter may be
	// Guarded says that the device itself leaves to the kernel every frame that
	// a flower rule could not exclude: TTL or hop limit ≤ 1, IPv4 options, IPv6
	// extension headers, frames longer than Actions.MTU. Without it, the plan
	// refuses routes whose egress MTU is below the ingress MTU and installs guards.
	Guarded bool
	// GuardsTTL says that frames with TTL or hop limit 0 and 1 go to the kernel,
	// by guards of the driver's or by ExactTTL. A device that is not Guarded and
	// cannot do that forwards nothing that is routed.
	GuardsTTL bool
	// ExactTTL says that ActDecTTL needs the arriving TTL: the rule matches
	// FieldTTL exactly, and frames with another TTL go to the kernel (nfp, whose
	// pedit can set but not add).
	ExactTTL bool
	// Loose are fields that the device takes but does not hold to in every frame:
	// its rules may match more frames than they say. Notes tell what that means.
	Loose FieldSet
	// Persistent says that rules outlive the daemon: after a crash they go on
	// forwarding until a new daemon adopts or removes them.
	Persistent bool
	Notes      []string // what an operator should know, one sentence each
}

// Check names the first field or action of r that the device lacks.
// Invalid rules (no match, no verdict, two verdicts) are KindInvalid.
func (c *Caps) Check(r *Rule) error {
	if f, ok := (r.Match.Fields &^ c.Fields).First(); ok {
		return &Error{Op: "install", Device: c.Driver, Cookie: r.Cookie, Kind: KindUnsupported, Field: f.String()}
	}
	if a, ok := (r.Actions.Set &^ c.Actions).First(); ok {
		return &Error{Op: "install", Device: c.Driver, Cookie: r.Cookie, Kind: KindUnsupported, Field: a.String()}
	}
	if field, text := r.flaw(); field != "" {
		return &Error{Op: "install", Device: c.Driver, Cookie: r.Cookie, Kind: KindInvalid, Field: field, Text: text}
	}
	return nil
}

// flaw names what makes a rule nonsense for any device, or gives "".
func (r *Rule) flaw() (field, text string) {
	m, a := &r.Match, &r.Actions
	verdict := a.Set & (1<<ActRedirect | 1<<ActDrop | 1<<ActTrap)
	switch {
	case !r.Cookie.Ours():
		return "cookie", "not made by NewCookie"
	case !m.Fields.Has(FieldInPort) || m.InPort == 0:
		return FieldInPort.String(), "a rule needs a port"
	case m.Fields.Has(FieldEthType) && m.Family.EtherType() == 0:
		return FieldEthType.String(), "no family"
	case m.Fields.Has(FieldVLAN) && !m.VLAN.Valid():
		return FieldVLAN.String(), "out of range"
	case verdict == 0 || verdict&(verdict-1) != 0:
		return "verdict", "a rule has exactly one of redirect, drop and trap"
	case a.Set.Has(ActRedirect) && a.OutPort == 0:
		return ActRedirect.String(), "no egress port"
	case a.Set.Has(ActEthDst) && !a.EthDst.IsUnicast():
		return ActEthDst.String(), "not a unicast address"
	case a.Set.Has(ActEthSrc) && !a.EthSrc.IsUnicast():
		return ActEthSrc.String(), "not a unicast address"
	case a.Set.Has(ActVLANPush) && (a.VLAN == 0 || !a.VLAN.Valid()):
		return ActVLANPush.String(), "id out of range"
	case a.Set.Has(ActVLANPop) && m.VLAN == 0:
		return ActVLANPop.String(), "no tag is matched"
	}
	return "", ""
}
