package tc_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// sample is a filter with the shape in which it is written.
type sample struct {
	name   string
	filter tc.Filter
	shape  tc.Shape
}

func addr(s string) hwif.Addr {
	a, _ := hwif.AddrFrom(netip.MustParseAddr(s))
	return a
}

var (
	routerMAC = hwif.MAC{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}
	egressMAC = hwif.MAC{0x02, 0x66, 0x77, 0x88, 0x99, 0xaa}
	hopMAC    = hwif.MAC{0x02, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
)

// routed is the rule of one direction of a routed flow, from port in to port out.
func routed(fam hwif.Family, proto uint8, nat string, inVLAN, outVLAN hwif.VLAN, in, out hwif.Ifindex) hwif.Rule {
	m := hwif.Match{Fields: hwif.RoutedFlow, InPort: in, EthDst: routerMAC, VLAN: inVLAN, Family: fam, Proto: proto,
		Src: addr("10.1.2.3"), Dst: addr("192.0.2.200"), SrcPort: 40000, DstPort: 443}
	a := hwif.Actions{Set: hwif.Routed, EthSrc: egressMAC, EthDst: hopMAC, OutPort: out}
	src, dst := addr("198.51.100.77"), addr("203.0.113.9")
	if fam == hwif.IPv6 {
		m.Src, m.Dst = addr("2001:db8:1::a:b"), addr("2001:db8:2:3:4:5:6:7")
		src, dst = addr("2001:db8:ffff::1"), addr("2001:db8:eeee:1:2:3:4:5")
	}
	if proto == hwif.ProtoTCP {
		m.Fields |= hwif.FieldsOf(hwif.FieldTCPFlags)
		m.TCPFlags, m.TCPFlagsMask = hwif.TCPAck, hwif.TCPSyn|hwif.TCPFin|hwif.TCPRst|hwif.TCPAck
	}
	if strings.Contains(nat, "s") {
		a.Set |= hwif.ActionsOf(hwif.ActIPSrc, hwif.ActL4Src)
		a.IPSrc, a.SrcPort = src, 61000
	}
	if strings.Contains(nat, "d") {
		a.Set |= hwif.ActionsOf(hwif.ActIPDst, hwif.ActL4Dst)
		a.IPDst, a.DstPort = dst, 8443
	}
	if inVLAN != 0 {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPop)
	}
	if outVLAN != 0 {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPush)
		a.VLAN = outVLAN
	}
	return hwif.Rule{Cookie: hwif.NewCookie(0x0102030405060708, 1), Match: m, Actions: a}
}

// samples are the rules that shunt can ask for, each kind at least once.
func samples(in, out hwif.Ifindex) []sample {
	var list []sample
	add := func(name string, r hwif.Rule, shape tc.Shape, anyTag bool) {
		n := len(list) + 1
		list = append(list, sample{name, tc.Filter{Place: tc.Place{Ifindex: in, Prio: 10}, Handle: uint32(n), Rule: r, AnyTag: anyTag}, shape})
	}
	for _, fam := range []hwif.Family{hwif.IPv4, hwif.IPv6} {
		for _, proto := range []uint8{hwif.ProtoTCP, hwif.ProtoUDP} {
			base := fmt.Sprintf("%s %s", fam, hwif.ProtoName(proto))
			for _, nat := range []string{"", "s", "d", "sd"} {
				for _, v := range [][2]hwif.VLAN{{0, 0}, {100, 0}, {0, 200}, {100, 200}} {
					add(fmt.Sprintf("%s nat %q vlan %d to %d", base, nat, v[0], v[1]), routed(fam, proto, nat, v[0], v[1], in, out), tc.Shape{}, false)
				}
			}
			r := routed(fam, proto, "s", 0, 0, in, out)
			r.Actions.Set = r.Actions.Set.Without(hwif.ActL4Src)
			r.Actions.SrcPort = 0
			add(base+" address only", r, tc.Shape{}, false)
			r = routed(fam, proto, "d", 0, 0, in, out)
			r.Actions.Set = r.Actions.Set.Without(hwif.ActIPDst)
			r.Actions.IPDst = hwif.Addr{}
			add(base+" port only", r, tc.Shape{}, false)
			add(base+" no csum", routed(fam, proto, "s", 0, 0, in, out), tc.Shape{NoCsum: true}, false)
			add(base+" retag", routed(fam, proto, "s", 100, 200, in, out), tc.Shape{NoCsum: true, Retag: true}, false)
			r = routed(fam, proto, "s", 0, 0, in, out)
			r.Match.Fields |= hwif.FieldsOf(hwif.FieldTTL)
			r.Match.TTL, r.Match.TTLMask = 64, 0xff
			add(base+" set ttl", r, tc.Shape{Ethertype: true, SetTTL: true}, false)
			r = routed(fam, proto, "", 0, 0, in, out)
			r.Actions = hwif.Actions{Set: hwif.ActionsOf(hwif.ActDrop)}
			add(base+" drop", r, tc.Shape{}, false)
			r = routed(fam, proto, "", 7, 0, in, out)
			r.Actions = hwif.Actions{Set: hwif.ActionsOf(hwif.ActRedirect), OutPort: out}
			r.Match.Fields = r.Match.Fields.Without(hwif.FieldTCPFlags).Without(hwif.FieldNotFrag).Without(hwif.FieldEthDst)
			r.Match.TCPFlags, r.Match.TCPFlagsMask, r.Match.EthDst = 0, 0, hwif.MAC{}
			add(base+" plain redirect", r, tc.Shape{}, false)
		}
		guard := hwif.Rule{Cookie: hwif.NewCookie(9, 0), Match: hwif.Match{Family: fam, InPort: in, TTLMask: 0xfe,
			Fields: hwif.FieldsOf(hwif.FieldInPort, hwif.FieldVLAN, hwif.FieldEthType, hwif.FieldTTL)},
			Actions: hwif.Actions{Set: hwif.ActionsOf(hwif.ActTrap)}}
		add(fam.String()+" guard", guard, tc.Shape{}, false)
		add(fam.String()+" guard of tagged frames", guard, tc.Shape{}, true)
	}
	return list
}

// words is the tc command line that says the same.
func words(s *sample, in, out string) []string {
	f, r := &s.filter, &s.filter.Rule
	m := &r.Match
	// tc takes the ethertype key from the protocol, so "protocol all" with a key is
	// not to be had from it.
	proto := map[hwif.Family]string{hwif.IPv4: "ip", hwif.IPv6: "ipv6"}[m.Family]
	if m.VLAN != 0 || f.AnyTag {
		proto = "802.1Q"
	}
	w := []string{"filter", "add", "dev", in, "ingress", "protocol", proto, "pref", fmt.Sprint(f.Prio), "handle", fmt.Sprintf("%#x", f.Handle), "flower"}
	say := func(ws ...string) { w = append(w, ws...) }
	family := map[hwif.Family]string{hwif.IPv4: "ipv4", hwif.IPv6: "ipv6"}[m.Family]
	switch {
	case f.AnyTag:
		say("vlan_ethtype", family)
	case m.VLAN != 0:
		say("vlan_id", fmt.Sprint(m.VLAN), "vlan_ethtype", family)
		if s.shape.Retag {
			say("vlan_prio", "0")
		}
	}
	for _, k := range []struct {
		f hwif.Field
		w []string
	}{
		{hwif.FieldEthDst, []string{"dst_mac", m.EthDst.String()}},
		{hwif.FieldIPProto, []string{"ip_proto", hwif.ProtoName(m.Proto)}},
		{hwif.FieldIPSrc, []string{"src_ip", m.Src.Netip(m.Family).String()}},
		{hwif.FieldIPDst, []string{"dst_ip", m.Dst.Netip(m.Family).String()}},
		{hwif.FieldL4Src, []string{"src_port", fmt.Sprint(m.SrcPort)}},
		{hwif.FieldL4Dst, []string{"dst_port", fmt.Sprint(m.DstPort)}},
		{hwif.FieldNotFrag, []string{"ip_flags", "nofrag"}},
		{hwif.FieldTCPFlags, []string{"tcp_flags", fmt.Sprintf("%#x/%#x", m.TCPFlags, m.TCPFlagsMask)}},
		{hwif.FieldTTL, []string{"ip_ttl", fmt.Sprintf("%d/%x", m.TTL, m.TTLMask)}},
	} {
		if m.Fields.Has(k.f) {
			say(k.w...)
		}
	}
	say("skip_sw")
	acts := actionWords(s, out)
	for i, act := range acts {
		say("action")
		say(act...)
		if i < len(acts)-1 {
			say("pipe")
		} else {
			say("cookie", r.Cookie.String())
		}
		say("no_percpu")
	}
	return w
}

func actionWords(s *sample, out string) [][]string {
	m, a := &s.filter.Rule.Match, &s.filter.Rule.Actions
	var acts [][]string
	if a.Set.Has(hwif.ActVLANPop) {
		acts = append(acts, []string{"vlan", "pop"})
	}
	pedit := []string{"pedit", "ex"}
	munge := func(ws ...string) { pedit = append(append(pedit, "munge"), ws...) }
	ip := map[hwif.Family]string{hwif.IPv4: "ip", hwif.IPv6: "ip6"}[m.Family]
	l4 := hwif.ProtoName(m.Proto)
	if a.Set.Has(hwif.ActEthSrc) {
		munge("eth", "src", "set", a.EthSrc.String())
	}
	if a.Set.Has(hwif.ActEthDst) {
		munge("eth", "dst", "set", a.EthDst.String())
	}
	if a.Set.Has(hwif.ActDecTTL) {
		ttl := map[hwif.Family]string{hwif.IPv4: "ttl", hwif.IPv6: "hoplimit"}[m.Family]
		if s.shape.SetTTL {
			munge(ip, ttl, "set", fmt.Sprint(m.TTL-1))
		} else {
			munge(ip, ttl, "add", "0xff")
		}
	}
	if a.Set.Has(hwif.ActIPSrc) {
		munge(ip, "src", "set", a.IPSrc.Netip(m.Family).String())
	}
	if a.Set.Has(hwif.ActIPDst) {
		munge(ip, "dst", "set", a.IPDst.Netip(m.Family).String())
	}
	if a.Set.Has(hwif.ActL4Src) {
		munge(l4, "sport", "set", fmt.Sprint(a.SrcPort))
	}
	if a.Set.Has(hwif.ActL4Dst) {
		munge(l4, "dport", "set", fmt.Sprint(a.DstPort))
	}
	if len(pedit) > 2 {
		acts = append(acts, pedit)
	}
	nat := a.Set&hwif.ActionsOf(hwif.ActIPSrc, hwif.ActIPDst, hwif.ActL4Src, hwif.ActL4Dst) != 0
	if a.Set.Has(hwif.ActCsum) && !s.shape.NoCsum {
		csum := []string{"csum"}
		if m.Family == hwif.IPv4 {
			csum = append(csum, "ip4h")
		}
		if nat {
			if len(csum) > 1 {
				csum = append(csum, "and")
			}
			csum = append(csum, l4)
		}
		if len(csum) > 1 {
			acts = append(acts, csum)
		}
	}
	if a.Set.Has(hwif.ActVLANPush) {
		acts = append(acts, []string{"vlan", "push", "id", fmt.Sprint(a.VLAN)})
	}
	switch {
	case a.Set.Has(hwif.ActRedirect):
		acts = append(acts, []string{"mirred", "egress", "redirect", "dev", out})
	case a.Set.Has(hwif.ActDrop):
		acts = append(acts, []string{"drop"})
	default:
		acts = append(acts, []string{"trap"})
	}
	return acts
}
