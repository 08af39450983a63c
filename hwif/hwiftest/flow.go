package hwiftest

import (
	"fmt"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest/frame"
)

// NAT is what a flow's direction has rewritten.
type NAT uint8

const (
	NoNAT   NAT = iota
	SNAT        // source address and port
	DNAT        // destination address and port
	BothNAT     // all four
	SrcPort     // source port only
	DstPort     // destination port only
	SrcAddr     // source address only
	DstAddr     // destination address only
	numNATs
)

var natNames = [numNATs]string{"plain", "snat", "dnat", "both", "sport only", "dport only", "src only", "dst only"}

func (n NAT) String() string { return natNames[n] }

func (n NAT) src() bool   { return n == SNAT || n == BothNAT || n == SrcAddr }
func (n NAT) dst() bool   { return n == DNAT || n == BothNAT || n == DstAddr }
func (n NAT) sport() bool { return n == SNAT || n == BothNAT || n == SrcPort }
func (n NAT) dport() bool { return n == DNAT || n == BothNAT || n == DstPort }

// Flow is one direction of a routed connection: what its rule is, how its frames
// arrive and how they must leave.
type Flow struct {
	N               int // which one: different N share no match
	Family          hwif.Family
	Proto           uint8
	NAT             NAT
	In, Out         hwif.Port
	InVLAN, OutVLAN hwif.VLAN
	MTU             uint16 // 1500 when zero

	caps *hwif.Caps // of the device whose rules are made; nil for a guarded one that can do everything
	// route asks for a rule that forwards, also of a device that can but drop.
	route bool
}

// On is the flow as a device with these abilities takes it.
func (f Flow) On(caps *hwif.Caps) Flow {
	f.caps = caps
	return f
}

// drops reports whether the flow's rule is a drop rule, since the device forwards
// nothing that is routed.
func (f Flow) drops() bool {
	return f.caps != nil && !f.route && !f.caps.Actions.Has(hwif.ActDecTTL) && f.caps.Actions.Has(hwif.ActDrop)
}

// shape makes of a plain rule the one that package plan would make for the device.
func (f Flow) shape(r *hwif.Rule) {
	if f.caps == nil {
		return
	}
	if !f.caps.Guarded {
		r.Actions.MTU = 0
	}
	if f.caps.ExactTTL {
		r.Match.Fields |= hwif.FieldsOf(hwif.FieldTTL)
		r.Match.TTL, r.Match.TTLMask = arrivingTTL, 0xff
	}
	if !f.drops() {
		return
	}
	m := &r.Match
	m.Fields &= f.caps.Fields
	if !m.Fields.Has(hwif.FieldTCPFlags) {
		m.TCPFlags, m.TCPFlagsMask = 0, 0
	}
	if !m.Fields.Has(hwif.FieldEthDst) {
		m.EthDst = hwif.MAC{}
	}
	if !m.Fields.Has(hwif.FieldVLAN) {
		m.VLAN = 0
	}
	r.Actions = hwif.Actions{Set: hwif.ActionsOf(hwif.ActDrop)}
}

// arrivingTTL is what plain frames come with.
const arrivingTTL = 61

var (
	nextHop = hwif.MAC{0x02, 0, 0, 0, 0xee, 0x01} // whom frames are sent on to
	sender  = hwif.MAC{0x02, 0, 0, 0, 0xee, 0x02} // whom they come from
)

func (f Flow) String() string {
	vlan := func(v hwif.VLAN) string {
		if v == 0 {
			return "untagged"
		}
		return fmt.Sprintf("vlan %d", v)
	}
	return fmt.Sprintf("%s %s %s %s to %s", hwif.ProtoName(f.Proto), f.Family, f.NAT, vlan(f.InVLAN), vlan(f.OutVLAN))
}

// addrs are the flow's ends as they arrive, and what NAT makes of them.
func (f Flow) addrs() (src, dst, natSrc, natDst netip.Addr) {
	hi, lo := byte(f.N>>8), byte(f.N)
	if f.Family == hwif.IPv6 {
		six := func(net, a, b byte) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, net, 0xbe, 0xef, 13: a, 14: b, 15: 7})
		}
		return six(1, hi, lo), six(2, hi, lo), six(3, 0, 1), six(4, 0, 1)
	}
	return netip.AddrFrom4([4]byte{10, 1, hi, lo}), netip.AddrFrom4([4]byte{10, 2, hi, lo}),
		netip.AddrFrom4([4]byte{198, 51, 100, 1}), netip.AddrFrom4([4]byte{203, 0, 113, 9})
}

const (
	sport, dport       = 40000, 443
	natSport, natDport = 61234, 8443
)

func (f Flow) mtu() uint16 {
	if f.MTU == 0 {
		return 1500
	}
	return f.MTU
}

// Rule is the rule that package plan makes of such a flow.
func (f Flow) Rule(c hwif.Cookie) hwif.Rule {
	src, dst, natSrc, natDst := f.addrs()
	m := hwif.Match{Fields: hwif.RoutedFlow, InPort: f.In.Ifindex, EthDst: f.In.MAC, VLAN: f.InVLAN,
		Family: f.Family, Proto: f.Proto, SrcPort: sport, DstPort: dport}
	m.Src, _ = hwif.AddrFrom(src)
	m.Dst, _ = hwif.AddrFrom(dst)
	if f.Proto == hwif.ProtoTCP {
		m.Fields |= hwif.FieldsOf(hwif.FieldTCPFlags)
		m.TCPFlagsMask = hwif.TCPSyn | hwif.TCPFin | hwif.TCPRst
	}
	a := hwif.Actions{Set: hwif.Routed, EthSrc: f.Out.MAC, EthDst: nextHop, OutPort: f.Out.Ifindex, MTU: f.mtu()}
	if f.NAT.src() {
		a.Set |= hwif.ActionsOf(hwif.ActIPSrc)
		a.IPSrc, _ = hwif.AddrFrom(natSrc)
	}
	if f.NAT.dst() {
		a.Set |= hwif.ActionsOf(hwif.ActIPDst)
		a.IPDst, _ = hwif.AddrFrom(natDst)
	}
	if f.NAT.sport() {
		a.Set |= hwif.ActionsOf(hwif.ActL4Src)
		a.SrcPort = natSport
	}
	if f.NAT.dport() {
		a.Set |= hwif.ActionsOf(hwif.ActL4Dst)
		a.DstPort = natDport
	}
	if f.InVLAN != 0 {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPop)
	}
	if f.OutVLAN != 0 {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPush)
		a.VLAN = f.OutVLAN
	}
	r := hwif.Rule{Cookie: c, Match: m, Actions: a}
	f.shape(&r)
	return r
}

// DropRule matches the same frames and drops them.
func (f Flow) DropRule(c hwif.Cookie) hwif.Rule {
	return hwif.Rule{Cookie: c, Match: f.Rule(c).Match, Actions: hwif.Actions{Set: hwif.ActionsOf(hwif.ActDrop)}}
}

// Frame is a plain frame of the flow as it arrives.
func (f Flow) Frame() frame.Spec {
	src, dst, _, _ := f.addrs()
	s := frame.Spec{EthDst: f.In.MAC, EthSrc: sender, Src: src, Dst: dst, TOS: 0xba, TTL: arrivingTTL, ID: 0x1234, DF: true,
		FlowLabel: 0xbeef5, Proto: f.Proto, SrcPort: sport, DstPort: dport, Seq: 0x01020304, AckNo: 0xfffefdfc,
		Flags: frame.ACK | frame.PSH, Window: 4096, Payload: []byte("what the kernel would have sent, byte for byte")}
	if f.Family == hwif.IPv6 {
		s.DF, s.ID = false, 0
	} else {
		s.FlowLabel = 0
	}
	if f.InVLAN != 0 {
		s.Tags = []frame.Tag{{VID: f.InVLAN}}
	}
	return s
}

// Forwarded is how frame s of the flow must leave: the kernel's routing, NAT and
// VLAN in plain words. The tag on the way out has priority 0, as a VLAN device's
// default egress map gives.
func (f Flow) Forwarded(s frame.Spec) frame.Spec {
	_, _, natSrc, natDst := f.addrs()
	s.EthDst, s.EthSrc, s.TTL, s.Tags = nextHop, f.Out.MAC, s.TTL-1, nil
	if f.OutVLAN != 0 {
		s.Tags = []frame.Tag{{VID: f.OutVLAN}}
	}
	if f.NAT.src() {
		s.Src = natSrc
	}
	if f.NAT.dst() {
		s.Dst = natDst
	}
	if f.NAT.sport() {
		s.SrcPort = natSport
	}
	if f.NAT.dport() {
		s.DstPort = natDport
	}
	return s
}

// flow is the n-th TCP flow over IPv4 without NAT and VLAN.
func (b *bench) flow(n int) Flow {
	return Flow{N: n, Family: hwif.IPv4, Proto: hwif.ProtoTCP, In: b.in(), Out: b.out(), caps: &b.caps}
}

// able is the flow with this NAT where the device can do it, and without else.
// What is refused then is proved elsewhere, by "forward" and "unsupported by name".
func (b *bench) able(f Flow, nat NAT) Flow {
	with := f
	with.NAT = nat
	if r := with.Rule(hwif.NewCookie(0, 0)); b.caps.Check(&r) != nil {
		return f
	}
	return with
}

// kinds are the four plain flows, one per family and protocol.
func (b *bench) kinds() []Flow {
	var out []Flow
	for _, fam := range []hwif.Family{hwif.IPv4, hwif.IPv6} {
		for _, proto := range []uint8{hwif.ProtoTCP, hwif.ProtoUDP} {
			out = append(out, Flow{N: 1, Family: fam, Proto: proto, In: b.in(), Out: b.out(), caps: &b.caps})
		}
	}
	return out
}
