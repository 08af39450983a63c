package xdp

import (
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
)

// drawRule makes any rule that the table can hold.
func drawRule(t *rapid.T) hwif.Rule {
	fam := rapid.SampledFrom([]hwif.Family{hwif.IPv4, hwif.IPv6}).Draw(t, "family")
	addr := func(name string) (a hwif.Addr) {
		n := 4
		if fam == hwif.IPv6 {
			n = 16
		}
		copy(a[:n], rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, name))
		a[0] = 0x20 | a[0]&0x1f // unicast in both families
		return a
	}
	mac := func(name string) (m hwif.MAC) {
		copy(m[:], rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, name))
		m[0] = m[0]&^1 | 2
		return m
	}
	port := func(name string) uint16 { return rapid.Uint16().Draw(t, name) }
	m := hwif.Match{Fields: hwif.RoutedFlow, InPort: hwif.Ifindex(rapid.Uint32Min(1).Draw(t, "in")), EthDst: mac("eth_dst"),
		VLAN: hwif.VLAN(rapid.Uint16Range(0, 4094).Draw(t, "vlan")), Family: fam, Proto: rapid.SampledFrom([]uint8{6, 17}).Draw(t, "proto"),
		Src: addr("src"), Dst: addr("dst"), SrcPort: port("sport"), DstPort: port("dport")}
	if m.Proto == hwif.ProtoTCP {
		m.Fields |= hwif.FieldsOf(hwif.FieldTCPFlags)
		m.TCPFlagsMask = tcpClosing | rapid.Uint8().Draw(t, "mask")
		m.TCPFlags = rapid.Uint8().Draw(t, "flags") & m.TCPFlagsMask &^ tcpClosing
	}
	a := hwif.Actions{Set: hwif.ActionsOf(hwif.ActCsum, hwif.ActRedirect), OutPort: hwif.Ifindex(rapid.Uint32Min(1).Draw(t, "out")), MTU: port("mtu")}
	for kind, put := range map[hwif.ActionKind]func(){
		hwif.ActEthSrc: func() { a.EthSrc = mac("to src") }, hwif.ActEthDst: func() { a.EthDst = mac("to dst") }, hwif.ActDecTTL: func() {},
		hwif.ActIPSrc: func() { a.IPSrc = addr("nat src") }, hwif.ActIPDst: func() { a.IPDst = addr("nat dst") },
		hwif.ActL4Src: func() { a.SrcPort = port("nat sport") }, hwif.ActL4Dst: func() { a.DstPort = port("nat dport") },
	} {
		if rapid.Bool().Draw(t, kind.String()) {
			a.Set |= hwif.ActionsOf(kind)
			put()
		}
	}
	if m.VLAN != 0 {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPop)
	}
	if rapid.Bool().Draw(t, "push") {
		a.Set |= hwif.ActionsOf(hwif.ActVLANPush)
		a.VLAN = hwif.VLAN(rapid.Uint16Range(1, 4094).Draw(t, "push id"))
	}
	return hwif.Rule{Cookie: hwif.NewCookie(rapid.Uint64().Draw(t, "gen"), rapid.Uint8Range(0, 1).Draw(t, "dir")), Match: m, Actions: a}
}

// What is listed is what was installed, for every rule that the table takes.
func TestEncodeDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t)
		k, v, err := encode(&r)
		if err != nil {
			t.Fatalf("encode %s: %v", &r, err)
		}
		if got := decode(&k, &v); got != r {
			t.Fatalf("decoded %+v\nwant %+v", got, r)
		}
	})
}

// sum is the checksum of b from scratch (RFC 1071).
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// A delta changes a checksum to what it would be from scratch.
func TestDeltas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t)
		k, v, err := encode(&r)
		if err != nil {
			t.Fatalf("encode %s: %v", &r, err)
		}
		rest := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "rest of the packet")
		rest[0] |= 1 // no packet is all zeros
		ttl := rapid.Uint8Min(2).Draw(t, "ttl")
		before := [][]byte{k.Src[:], k.Dst[:], port2(k.SportBe), port2(k.DportBe), {ttl, k.Proto}}
		after := [][]byte{k.Src[:], k.Dst[:], port2(k.SportBe), port2(k.DportBe), {ttl, k.Proto}}
		for i, to := range [][]byte{v.Src[:], v.Dst[:], port2(v.SportBe), port2(v.DportBe), {ttl - 1, k.Proto}} {
			if v.Flags&[]uint32{doIPSrc, doIPDst, doL4Src, doL4Dst, doDecTTL}[i] != 0 {
				after[i] = to
			}
		}
		join := func(parts [][]byte, which ...int) []byte {
			out := append([]byte{}, rest...)
			for _, w := range which {
				out = append(out, parts[w]...)
			}
			return out
		}
		check := func(what string, delta uint16, which ...int) {
			old, want := sum(join(before, which...)), sum(join(after, which...))
			s := sum16(netOrder(^old)) + sum16(delta)
			if got := netOrder(^s.fold()); got != want {
				t.Fatalf("%s of %s: 0x%04x, want 0x%04x", what, &r, got, want)
			}
		}
		check("IPv4 checksum", v.IpDelta, 0, 1, 4)
		check("L4 checksum", v.L4Delta, 0, 1, 2, 3)
	})
}

func port2(be uint16) []byte { return binary.NativeEndian.AppendUint16(nil, be) }

func TestEncodeRefuses(t *testing.T) {
	good := hwif.Rule{Cookie: hwif.NewCookie(1, 0),
		Match: hwif.Match{Fields: hwif.RoutedFlow | hwif.FieldsOf(hwif.FieldTCPFlags), InPort: 1, EthDst: hwif.MAC{2}, Family: hwif.IPv4,
			Proto: hwif.ProtoTCP, Src: hwif.Addr{10, 0, 0, 1}, Dst: hwif.Addr{10, 0, 0, 2}, TCPFlagsMask: tcpClosing},
		Actions: hwif.Actions{Set: hwif.Routed, EthSrc: hwif.MAC{2}, EthDst: hwif.MAC{2}, OutPort: 2, MTU: 1500}}
	if _, _, err := encode(&good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field string
		kind  hwif.Kind
		edit  func(m *hwif.Match, a *hwif.Actions)
	}{
		{"dst_mac", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.Fields = m.Fields.Without(hwif.FieldEthDst) }},
		{"vlan_id", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.Fields = m.Fields.Without(hwif.FieldVLAN) }},
		{"ip_flags nofrag", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.Fields = m.Fields.Without(hwif.FieldNotFrag) }},
		{"tcp_flags", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.Fields = m.Fields.Without(hwif.FieldTCPFlags) }},
		{"tcp_flags", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.TCPFlagsMask = hwif.TCPSyn }},
		{"tcp_flags", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.TCPFlags = hwif.TCPSyn }},
		{"tcp_flags", hwif.KindInvalid, func(m *hwif.Match, a *hwif.Actions) { m.TCPFlags = 0x80 }},
		{"tcp_flags", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.Proto = hwif.ProtoUDP }},
		{"ip_proto", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { m.Proto = 132 }},
		{"csum", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { a.Set = a.Set.Without(hwif.ActCsum) }},
		{"set eth src", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) { a.Set = hwif.ActionsOf(hwif.ActEthSrc, hwif.ActDrop) }},
		{"vlan push", hwif.KindUnsupported, func(m *hwif.Match, a *hwif.Actions) {
			m.VLAN, a.VLAN = 5, 6
			a.Set |= hwif.ActionsOf(hwif.ActVLANPush)
		}},
		{"dst_mac", hwif.KindInvalid, func(m *hwif.Match, a *hwif.Actions) { m.EthDst = hwif.MAC{1} }},
		{"src_ip", hwif.KindInvalid, func(m *hwif.Match, a *hwif.Actions) { m.Src = hwif.Addr{} }},
		{"src_ip", hwif.KindInvalid, func(m *hwif.Match, a *hwif.Actions) { m.Src[5] = 1 }},
		{"dst_ip", hwif.KindInvalid, func(m *hwif.Match, a *hwif.Actions) { m.Dst = hwif.Addr{224, 0, 0, 1} }},
		{"set ip dst", hwif.KindInvalid, func(m *hwif.Match, a *hwif.Actions) { a.Set |= hwif.ActionsOf(hwif.ActIPDst) }},
	} {
		r := good
		c.edit(&r.Match, &r.Actions)
		_, _, err := encode(&r)
		if hwif.KindOf(err) != c.kind || err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: error %v, want %s about %s", &r, err, c.kind, c.field)
		}
	}
}
