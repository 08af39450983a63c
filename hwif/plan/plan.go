package plan

import (
	"errors"
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Pair are a flow's rules by flow.Dir.
type Pair [2]hwif.Rule

// Input is one flow, ready to be put into rules.
type Input struct {
	Entry  *flow.Entry
	Routes *[2]flow.Route
	Caps   *hwif.Caps
	Gen    uint64 // goes into the cookies
	// Verdict and Dirs say what the rules do, and which directions get one; the
	// other's place in the Pair means nothing then. Dirs 0 is both.
	Verdict flow.Verdict
	Dirs    uint8
}

// Compile fills out with both rules. When reasons is not empty, out means
// nothing and text says what was met.
func Compile(in Input, out *Pair) (reasons flow.Reasons, text string) {
	for d := flow.Orig; d <= flow.Reply; d++ {
		if in.Dirs != 0 && in.Dirs&(1<<d) == 0 {
			continue
		}
		if in.Verdict == flow.Drop {
			if reasons, text := drop(&in, d, &out[d]); reasons != 0 {
				return reasons, text
			}
			continue
		}
		r := &in.Routes[d]
		if reason, text := unfit(r, in.Caps); reason != flow.ReasonNone {
			return flow.Of(reason), d.String() + ": " + text
		}
		arrives, leaves := in.Entry.Tuple(d), in.Entry.Tuple(d.Other()).Reversed()
		rule := &out[d]
		*rule = hwif.Rule{Cookie: hwif.NewCookie(in.Gen, uint8(d)), Match: match(&arrives, r)}
		route(&rule.Actions, r)
		if in.Caps.ExactTTL {
			rule.Match.Fields |= hwif.FieldsOf(hwif.FieldTTL)
			rule.Match.TTL, rule.Match.TTLMask = r.TTL, 0xff
		}
		if !in.Caps.Guarded {
			rule.Actions.MTU = 0 // compared above, once and for all
		}
		nat(&rule.Actions, &arrives, &leaves)
		vlan(&rule.Actions, r)
		if err := in.Caps.Check(rule); err != nil {
			return flow.Of(refusal(err, rule)), d.String() + ": " + err.Error()
		}
	}
	return 0, ""
}

// drop makes the rule that ends one direction's packets. It takes those alone that a
// rule to forward them would take: connections still open and close by the kernel.
func drop(in *Input, d flow.Dir, rule *hwif.Rule) (flow.Reasons, string) {
	r := &in.Routes[d]
	switch {
	case r.In == 0:
		return flow.Of(flow.NoRoute), d.String() + ": no port"
	case !r.InMAC.IsUnicast():
		return flow.Of(flow.RouteUnsupported), fmt.Sprintf("%s: own MAC %s", d, r.InMAC)
	}
	arrives := in.Entry.Tuple(d)
	*rule = hwif.Rule{Cookie: hwif.NewCookie(in.Gen, uint8(d)), Match: match(&arrives, r)}
	rule.Actions.Set = hwif.ActionsOf(hwif.ActDrop)
	if !in.Caps.Fields.Has(hwif.FieldNotFrag) {
		// A first fragment is dropped like the rest; those behind it come to nothing
		// in the kernel without it.
		rule.Match.Fields &^= hwif.FieldsOf(hwif.FieldNotFrag)
	}
	if err := in.Caps.Check(rule); err != nil {
		return flow.Of(refusal(err, rule)), d.String() + ": " + err.Error()
	}
	return 0, ""
}

// unfit finds what makes a route unfit for any rule on this device.
func unfit(r *flow.Route, caps *hwif.Caps) (flow.Reason, string) {
	switch {
	case r.In == 0 || r.Out == 0:
		return flow.NoRoute, "no port"
	case r.In == r.Out && r.InVLAN == r.OutVLAN:
		return flow.RouteUnsupported, "it would leave by the port it came from, and the kernel would answer with a redirect"
	case !r.DstMAC.IsUnicast():
		return flow.NeighbourUnresolved, fmt.Sprintf("next hop has MAC %s", r.DstMAC)
	case !r.SrcMAC.IsUnicast() || !r.InMAC.IsUnicast():
		return flow.RouteUnsupported, fmt.Sprintf("own MAC %s in, %s out", r.InMAC, r.SrcMAC)
	case !r.InVLAN.Valid() || !r.OutVLAN.Valid():
		return flow.RouteUnsupported, fmt.Sprintf("VLAN id %d in, %d out", r.InVLAN, r.OutVLAN)
	case !caps.Actions.Has(hwif.ActDecTTL):
		return flow.ActionUnsupported, "dec ttl: the device changes no TTL, so it forwards nothing that is routed"
	case r.MTU == 0:
		return flow.MTUMismatch, "egress MTU unknown"
	case !caps.Guarded && r.MTU < r.InMTU:
		return flow.MTUMismatch, fmt.Sprintf("egress MTU %d is below ingress MTU %d, and the device cannot leave long frames to the kernel", r.MTU, r.InMTU)
	case !caps.Guarded && !caps.GuardsTTL:
		return flow.ActionUnsupported, "the device has no end for the TTL: packets that the kernel would answer would go on"
	case caps.ExactTTL && r.TTL == 0:
		return flow.RouteUnobserved, "the device's rules match one TTL, and none has been seen of these packets"
	case caps.ExactTTL && r.TTL == 1:
		return flow.RouteUnsupported, "packets arrive with TTL 1, which the kernel answers"
	}
	return flow.ReasonNone, ""
}

// match is what frames of this direction look like when they arrive.
func match(t *flow.Tuple, r *flow.Route) hwif.Match {
	m := hwif.Match{
		Fields: hwif.RoutedFlow, InPort: r.In, EthDst: r.InMAC, VLAN: r.InVLAN,
		Family: t.Family, Proto: t.Proto,
		Src: t.Src, Dst: t.Dst, SrcPort: t.SrcPort, DstPort: t.DstPort,
	}
	if t.Proto == hwif.ProtoTCP {
		// Openings and endings are the kernel's: a reused tuple must not slip
		// past conntrack, and conntrack must see the close. Without ACK a
		// segment is invalid to it (tcp_valid_flags, nf_conntrack_proto_tcp.c).
		m.Fields |= hwif.FieldsOf(hwif.FieldTCPFlags)
		m.TCPFlagsMask = hwif.TCPSyn | hwif.TCPFin | hwif.TCPRst | hwif.TCPAck
		m.TCPFlags = hwif.TCPAck
	}
	return m
}

func route(a *hwif.Actions, r *flow.Route) {
	a.Set = hwif.Routed
	a.EthSrc, a.EthDst = r.SrcMAC, r.DstMAC
	a.OutPort, a.MTU = r.Out, r.MTU
}

// nat rewrites what differs between arriving and leaving.
func nat(a *hwif.Actions, arrives, leaves *flow.Tuple) {
	if arrives.Src != leaves.Src {
		a.Set |= hwif.ActionsOf(hwif.ActIPSrc)
		a.IPSrc = leaves.Src
	}
	if arrives.Dst != leaves.Dst {
		a.Set |= hwif.ActionsOf(hwif.ActIPDst)
		a.IPDst = leaves.Dst
	}
	if arrives.SrcPort != leaves.SrcPort {
		a.Set |= hwif.ActionsOf(hwif.ActL4Src)
		a.SrcPort = leaves.SrcPort
	}
	if arrives.DstPort != leaves.DstPort {
		a.Set |= hwif.ActionsOf(hwif.ActL4Dst)
		a.DstPort = leaves.DstPort
	}
}

// vlan takes the arriving tag off and puts the leaving one on, even when the
// ids are equal: the kernel too makes a new tag, with priority 0.
func vlan(a *hwif.Actions, r *flow.Route) {
	if r.InVLAN != 0 {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPop)
	}
	if r.OutVLAN != 0 {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPush)
		a.VLAN = r.OutVLAN
	}
}

// refusal turns a failed capability check into a reason.
func refusal(err error, rule *hwif.Rule) flow.Reason {
	var he *hwif.Error
	if !errors.As(err, &he) || he.Kind != hwif.KindUnsupported {
		return flow.DeviceRejected
	}
	return Unsupported(he, rule)
}

// Unsupported says whether the field that a device refused was a match or an
// action.
func Unsupported(e *hwif.Error, rule *hwif.Rule) flow.Reason {
	for _, f := range hwif.Fields() {
		if f.String() == e.Field && rule.Match.Fields.Has(f) {
			return flow.MatchUnsupported
		}
	}
	for _, a := range hwif.ActionKinds() {
		if a.String() == e.Field && rule.Actions.Set.Has(a) {
			return flow.ActionUnsupported
		}
	}
	return flow.DeviceRejected
}
