package tc_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// body is a message without struct nlmsghdr.
func body(b []byte) []byte { return b[16:] }

func encode(t testing.TB, f *tc.Filter, s *tc.Shape) []byte {
	t.Helper()
	b, err := tc.Append(nil, 1, f, s)
	if err != nil {
		t.Fatalf("%s: %v", &f.Rule, err)
	}
	return b
}

func TestTablesAreWhole(t *testing.T) {
	for _, f := range hwif.Fields() {
		if !tc.Fields().Has(f) {
			t.Errorf("no row for match field %s", f)
		}
	}
	for _, a := range hwif.ActionKinds() {
		if !tc.Actions().Has(a) {
			t.Errorf("no row for action %s", a)
		}
	}
}

// What was written is read as it was, and written the same again.
func TestRoundTrip(t *testing.T) {
	for _, s := range samples(3, 4) {
		first := encode(t, &s.filter, &s.shape)
		var got tc.Filter
		ok, err := tc.Decode(body(first), &s.shape, &got)
		if err != nil || !ok || len(got.Strange) > 0 {
			t.Errorf("%s: decode %v %v, strange %q", s.name, ok, err, got.Strange)
			continue
		}
		if got.Rule != s.filter.Rule || got.Place != s.filter.Place || got.Handle != s.filter.Handle || got.AnyTag != s.filter.AnyTag {
			t.Errorf("%s:\n got %+v\nwant %+v", s.name, got.Rule, s.filter.Rule)
		}
		if again := encode(t, &got, &s.shape); !bytes.Equal(again, first) {
			t.Errorf("%s: written otherwise the second time", s.name)
		}
	}
}

// drawRule draws a rule that every shape can write.
func drawRule(t *rapid.T) hwif.Rule {
	fam := rapid.SampledFrom([]hwif.Family{hwif.IPv4, hwif.IPv6}).Draw(t, "family")
	proto := rapid.SampledFrom([]uint8{hwif.ProtoTCP, hwif.ProtoUDP}).Draw(t, "proto")
	nat := rapid.SampledFrom([]string{"", "s", "d", "sd"}).Draw(t, "nat")
	vlan := rapid.SampledFrom([]hwif.VLAN{0, 0, 1, 100, 4094})
	r := routed(fam, proto, nat, vlan.Draw(t, "in"), vlan.Draw(t, "out"), 3, 4)
	port := rapid.Uint16()
	r.Match.SrcPort, r.Match.DstPort = port.Draw(t, "sport"), port.Draw(t, "dport")
	for i := range 16 {
		if fam == hwif.IPv6 || i < 4 {
			r.Match.Src[i], r.Match.Dst[i] = rapid.Byte().Draw(t, "src"), rapid.Byte().Draw(t, "dst")
		}
	}
	for _, f := range []hwif.Field{hwif.FieldEthDst, hwif.FieldNotFrag, hwif.FieldL4Src, hwif.FieldIPDst} {
		if rapid.Bool().Draw(t, "without "+f.String()) {
			continue
		}
		r.Match.Fields = r.Match.Fields.Without(f)
		switch f {
		case hwif.FieldEthDst:
			r.Match.EthDst = hwif.MAC{}
		case hwif.FieldL4Src:
			r.Match.SrcPort = 0
		case hwif.FieldIPDst:
			r.Match.Dst = hwif.Addr{}
		}
	}
	r.Match.Fields |= hwif.FieldsOf(hwif.FieldTTL)
	r.Match.TTL, r.Match.TTLMask = rapid.Uint8Range(2, 255).Draw(t, "ttl"), 0xff
	r.Cookie = hwif.NewCookie(rapid.Uint64().Draw(t, "gen"), rapid.Uint8Range(0, 1).Draw(t, "dir"))
	return r
}

func TestRoundTripAtRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		flag := rapid.Bool()
		shape := tc.Shape{Ethertype: flag.Draw(rt, "ethertype"), SetTTL: flag.Draw(rt, "set ttl"), NoCsum: flag.Draw(rt, "no csum"), Retag: flag.Draw(rt, "retag")}
		f := tc.Filter{Place: tc.Place{Ifindex: 3, Chain: rapid.Uint32Range(0, 9).Draw(rt, "chain"), Prio: rapid.Uint16Range(1, 65535).Draw(rt, "prio")},
			Handle: rapid.Uint32Range(1, 0x7fffffff).Draw(rt, "handle"), Rule: drawRule(rt)}
		b := encode(t, &f, &shape)
		var got tc.Filter
		if ok, err := tc.Decode(body(b), &shape, &got); err != nil || !ok || len(got.Strange) > 0 || got.Rule != f.Rule || got.Place != f.Place {
			rt.Fatalf("got %+v strange %q %v %v\nwant %+v", got.Rule, got.Strange, ok, err, f.Rule)
		}
	})
}

func TestLeftover(t *testing.T) {
	plain := routed(hwif.IPv4, hwif.ProtoTCP, "s", 0, 0, 3, 4)
	cases := map[string]struct {
		change func(f *tc.Filter)
		field  string
	}{
		"unknown field":      {func(f *tc.Filter) { f.Rule.Match.Fields |= 1 << 30 }, "unknown field"},
		"unknown action":     {func(f *tc.Filter) { f.Rule.Actions.Set |= 1 << 30 }, "unknown action"},
		"mtu":                {func(f *tc.Filter) { f.Rule.Actions.MTU = 1500 }, "mtu"},
		"tags left open":     {func(f *tc.Filter) { f.Rule.Match.Fields = f.Rule.Match.Fields.Without(hwif.FieldVLAN) }, "vlan_id"},
		"tag alone":          {func(f *tc.Filter) { f.Rule.Match.Fields = hwif.FieldsOf(hwif.FieldInPort, hwif.FieldVLAN) }, "vlan_id"},
		"ports of nothing":   {func(f *tc.Filter) { f.Rule.Match.Fields = f.Rule.Match.Fields.Without(hwif.FieldIPProto) }, "src_port"},
		"ports of icmp":      {func(f *tc.Filter) { f.Rule.Match.Proto = 1 }, "src_port"},
		"no family":          {func(f *tc.Filter) { f.Rule.Match.Family = 0 }, "ip_proto"},
		"another device":     {func(f *tc.Filter) { f.Rule.Match.InPort = 9 }, "in_port"},
		"pop without tag":    {func(f *tc.Filter) { f.Rule.Actions.Set |= hwif.ActionsOf(hwif.ActVLANPop) }, "vlan pop"},
		"drop and rewrite":   {func(f *tc.Filter) { f.Rule.Actions.Set ^= hwif.ActionsOf(hwif.ActRedirect, hwif.ActDrop) }, "set eth src"},
		"two verdicts":       {func(f *tc.Filter) { f.Rule.Actions.Set = hwif.ActionsOf(hwif.ActDrop, hwif.ActTrap) }, "verdict"},
		"no verdict":         {func(f *tc.Filter) { f.Rule.Actions.Set &^= hwif.ActionsOf(hwif.ActRedirect) }, "verdict"},
		"csum of no rewrite": {func(f *tc.Filter) { f.Rule.Actions.Set = hwif.ActionsOf(hwif.ActCsum, hwif.ActRedirect) }, "csum"},
		"flags of udp":       {func(f *tc.Filter) { f.Rule.Match.Proto = hwif.ProtoUDP }, "tcp_flags"},
		"any tag and one":    {func(f *tc.Filter) { f.Rule.Match.VLAN, f.AnyTag = 5, true }, "vlan_id"},
	}
	for name, c := range cases {
		f := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: plain}
		c.change(&f)
		_, err := tc.Append(nil, 1, &f, &tc.Shape{})
		var he *hwif.Error
		if !errors.As(err, &he) || he.Kind != hwif.KindUnsupported || he.Field != c.field {
			t.Errorf("%s: %v, want a refusal that names %q", name, err, c.field)
		}
	}
	f := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: plain}
	if _, err := tc.Append(nil, 1, &f, &tc.Shape{SetTTL: true}); hwif.KindOf(err) != hwif.KindUnsupported {
		t.Errorf("set TTL without an exact TTL: %v", err)
	}
	for name, change := range map[string]func(*tc.Filter){
		"prio": func(f *tc.Filter) { f.Prio = 0 }, "handle": func(f *tc.Filter) { f.Handle = 0 },
		"dev": func(f *tc.Filter) { f.Ifindex = 0 }, "large handle": func(f *tc.Filter) { f.Handle = 1 << 31 },
	} {
		g := f
		change(&g)
		if _, err := tc.Append(nil, 1, &g, &tc.Shape{}); hwif.KindOf(err) != hwif.KindInvalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

// attrib is one attribute, for filters that are not ours.
func attrib(typ uint16, v ...byte) []byte {
	n := 4 + len(v)
	b := append([]byte{byte(n), byte(n >> 8), byte(typ), byte(typ >> 8)}, v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// What the tables have no row for makes a stranger, by name.
func TestStrange(t *testing.T) {
	f := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv4, hwif.ProtoTCP, "", 0, 0, 3, 4)}
	plain := body(encode(t, &f, &tc.Shape{}))
	// The options are the last attribute, and begin behind tcmsg and kind.
	at := 20 + 12
	with := func(extra []byte) []byte {
		b := slices.Clone(plain)
		b = append(b, extra...)
		n := len(b) - at
		b[at], b[at+1] = byte(n), byte(n>>8)
		return b
	}
	for name, extra := range map[string][]byte{
		"flower attribute 73": attrib(73, 0xb8), // ip_tos
		"flower attribute 92": attrib(92, 1, 0), // ct_state's mask
		"flower attribute 11": attrib(11, 255, 255, 255, 0),
		"flower attribute 79": attrib(79, 8, 0),
		"vlan_prio":           attrib(24, 0),
	} {
		var got tc.Filter
		ok, err := tc.Decode(with(extra), &tc.Shape{}, &got)
		if err != nil || !ok || !slices.Contains(got.Strange, name) {
			t.Errorf("%s: %v %v, strange %q", name, ok, err, got.Strange)
		}
	}
	for n := range plain {
		var got tc.Filter
		if ok, err := tc.Decode(plain[:n], &tc.Shape{}, &got); ok && err == nil && len(got.Strange) == 0 {
			t.Errorf("cut to %d of %d bytes, and taken for whole", n, len(plain))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples(3, 4) {
		f.Add(body(encode(f, &s.filter, &s.shape)), s.shape.Ethertype, s.shape.SetTTL, s.shape.NoCsum, s.shape.Retag)
	}
	f.Fuzz(func(t *testing.T, b []byte, ethertype, setTTL, noCsum, retag bool) {
		shape := tc.Shape{Ethertype: ethertype, SetTTL: setTTL, NoCsum: noCsum, Retag: retag}
		var got tc.Filter
		ok, err := tc.Decode(b, &shape, &got)
		if err != nil || !ok || len(got.Strange) > 0 || got.Prio == 0 || got.Handle > 0x7fffffff || got.Ifindex == 0 && got.Block == 0 {
			return
		}
		again, err := tc.Append(nil, 1, &got, &shape)
		if err != nil {
			return // a filter that we would not write, all of which was understood
		}
		var twice tc.Filter
		if ok, err := tc.Decode(body(again), &shape, &twice); err != nil || !ok || len(twice.Strange) > 0 || twice.Rule != got.Rule {
			t.Fatalf("read %+v\nwrote it, and read %+v %q %v", got.Rule, twice.Rule, twice.Strange, err)
		}
	})
}

// One rule after the other, as a Conn writes them: the two directions in turn.
func BenchmarkEncode(b *testing.B) {
	filters := [2]tc.Filter{
		{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv4, hwif.ProtoTCP, "s", 0, 0, 3, 4)},
		{Place: tc.Place{Ifindex: 4, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv4, hwif.ProtoTCP, "d", 0, 0, 4, 3)},
	}
	var enc tc.Encoder
	shape := tc.Shape{}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		n++
		buf, _ = enc.Append(buf[:0], n, &filters[n&1], &shape)
	}
	b.SetBytes(int64(len(buf)))
}

// The tables alone, which forms are learnt from.
func BenchmarkEncodeByTables(b *testing.B) {
	f := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv4, hwif.ProtoTCP, "s", 0, 0, 3, 4)}
	shape := tc.Shape{}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = tc.Append(buf[:0], 1, &f, &shape)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecode(b *testing.B) {
	f := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv4, hwif.ProtoTCP, "s", 0, 0, 3, 4)}
	shape := tc.Shape{}
	msg := body(encode(b, &f, &shape))
	var got tc.Filter
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := tc.Decode(msg, &shape, &got); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	f := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv6, hwif.ProtoTCP, "sd", 5, 6, 3, 4)}
	shape := tc.Shape{}
	buf := make([]byte, 0, 8192)
	if n := testing.AllocsPerRun(100, func() { buf, _ = tc.Append(buf[:0], 1, &f, &shape) }); n != 0 {
		t.Errorf("%.0f allocations per rule", n)
	}
	var enc tc.Encoder
	if n := testing.AllocsPerRun(100, func() { buf, _ = enc.Append(buf[:0], 1, &f, &shape) }); n != 0 {
		t.Errorf("%.0f allocations per rule from a form", n)
	}
}

// Whatever the rule, it is refused by name or written so that it is read as it was:
// never wider, narrower or half.
func FuzzEncode(f *testing.F) {
	f.Add(uint32(0xfff), uint32(0xfff), uint8(4), uint8(6), uint16(0), uint16(0), uint8(0x17), uint8(0xff), uint8(64), uint8(0))
	f.Add(uint32(0x3ff), uint32(0xfff), uint8(6), uint8(17), uint16(100), uint16(200), uint8(0), uint8(0), uint8(0), uint8(3))
	f.Fuzz(func(t *testing.T, fields, actions uint32, fam, proto uint8, in, out uint16, flags, ttlMask, ttl, shapeBits uint8) {
		shape := tc.Shape{Ethertype: shapeBits&1 != 0, SetTTL: shapeBits&2 != 0, NoCsum: shapeBits&4 != 0, Retag: shapeBits&8 != 0, Accept: shapeBits&16 != 0}
		r := routed(hwif.IPv4, hwif.ProtoTCP, "sd", hwif.VLAN(in), hwif.VLAN(out), 3, 4)
		r.Match.Fields, r.Actions.Set = hwif.FieldSet(fields), hwif.ActionSet(actions)
		r.Match.Family, r.Match.Proto = hwif.Family(fam), proto
		r.Match.TCPFlags, r.Match.TCPFlagsMask, r.Match.TTL, r.Match.TTLMask = flags, flags, ttl, ttlMask
		filter := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: r}
		b, err := tc.Append(nil, 1, &filter, &shape)
		if err != nil {
			var he *hwif.Error
			if !errors.As(err, &he) || he.Field == "" {
				t.Fatalf("refused without a name: %v", err)
			}
			return
		}
		var enc tc.Encoder
		if quick, err := enc.Append(nil, 1, &filter, &shape); err != nil || !same(quick, b) {
			t.Fatalf("a form writes it otherwise: %v\n%x\n%x", err, quick, b)
		}
		var got tc.Filter
		if ok, err := tc.Decode(body(b), &shape, &got); err != nil || !ok {
			t.Fatalf("not readable: %v %v", ok, err)
		}
		if len(got.Strange) > 0 {
			return // not one that package plan would ask for, and known for no flow's
		}
		if got.Rule.Match.Fields != r.Match.Fields || got.Rule.Actions.Set != r.Actions.Set {
			t.Fatalf("fields %b read as %b, actions %b as %b", r.Match.Fields, got.Rule.Match.Fields, r.Actions.Set, got.Rule.Actions.Set)
		}
	})
}
