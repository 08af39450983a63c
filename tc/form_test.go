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

// same compares a message of an Encoder with one of Append, which asks for an
// acknowledgement besides.
func same(quick, b []byte) bool {
	quick = slices.Clone(quick)
	if len(quick) > 6 {
		quick[6] |= 4 // NLM_F_ACK; flags are little-endian on every machine with such cards
	}
	return bytes.Equal(quick, b)
}

// An Encoder writes what the tables write, whatever came before: for each sample,
// twice, and for random rules.
func TestEncoderWritesWhatTheTablesWrite(t *testing.T) {
	var enc tc.Encoder
	check := func(t interface{ Fatalf(string, ...any) }, f tc.Filter, s *tc.Shape, seq uint32) {
		g := f
		want, err := tc.Append(nil, seq, &f, s)
		if err != nil {
			t.Fatalf("%v", err)
		}
		got, err := enc.Append(nil, seq, &g, s)
		if err != nil || !same(got, want) || f.Protocol != g.Protocol {
			t.Fatalf("%s: %v\n%x\n%x", &f.Rule, err, got, want)
		}
	}
	for n := range uint32(2) {
		for _, s := range samples(3, 4) {
			f := s.filter
			if !tc.Learnt(&f, &s.shape) {
				t.Errorf("%s has no form", s.name)
			}
			f.Handle += n
			check(t, f, &s.shape, n)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		flag := rapid.Bool()
		shape := tc.Shape{Ethertype: flag.Draw(rt, "ethertype"), SetTTL: flag.Draw(rt, "set ttl"), NoCsum: flag.Draw(rt, "no csum"),
			Retag: flag.Draw(rt, "retag"), Accept: flag.Draw(rt, "accept")}
		f := tc.Filter{Place: tc.Place{Ifindex: 3, Chain: rapid.Uint32Range(0, 2).Draw(rt, "chain"), Prio: rapid.Uint16Range(1, 65535).Draw(rt, "prio")},
			Handle: rapid.Uint32Range(1, 0x7fffffff).Draw(rt, "handle"), Rule: drawRule(rt)}
		if flag.Draw(rt, "block") {
			f.Block, f.Ifindex = rapid.Uint32Range(1, 9).Draw(rt, "number"), 0
			f.Rule.Match.Fields = f.Rule.Match.Fields.Without(hwif.FieldInPort)
		}
		check(rt, f, &shape, rapid.Uint32().Draw(rt, "seq"))
	})
}

// A form refuses what the tables refuse, also of a make that it knows.
func TestEncoderRefuses(t *testing.T) {
	good := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv4, hwif.ProtoTCP, "s", 0, 0, 3, 4)}
	var enc tc.Encoder
	if _, err := enc.Append(nil, 1, &good, &tc.Shape{}); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*tc.Filter){
		"mtu":           func(f *tc.Filter) { f.Rule.Actions.MTU = 1500 },
		"in_port":       func(f *tc.Filter) { f.Rule.Match.InPort = 9 },
		"handle":        func(f *tc.Filter) { f.Handle = 0 },
		"prio":          func(f *tc.Filter) { f.Prio = 0 },
		"dev":           func(f *tc.Filter) { f.Ifindex = 0 },
		"unknown field": func(f *tc.Filter) { f.Rule.Match.Fields |= 1 << 30 },
		"tcp_flags":     func(f *tc.Filter) { f.Rule.Match.Proto = hwif.ProtoUDP },
	} {
		f := good
		change(&f)
		b, err := enc.Append(nil, 2, &f, &tc.Shape{})
		var he *hwif.Error
		if !errors.As(err, &he) || he.Field != field || len(b) != 0 {
			t.Errorf("%s: %d bytes, %v", field, len(b), err)
		}
	}
}

// More makes than there is room for are written all the same.
func TestEncoderIsBounded(t *testing.T) {
	var enc tc.Encoder
	f := tc.Filter{Place: tc.Place{Ifindex: 3, Prio: 1}, Handle: 1, Rule: routed(hwif.IPv4, hwif.ProtoUDP, "s", 0, 0, 3, 4)}
	f.Rule.Match.Fields |= hwif.FieldsOf(hwif.FieldTTL)
	f.Rule.Match.TTLMask = 0xff
	for chain := range uint32(3) {
		for ttl := 2; ttl < 256; ttl++ {
			f.Chain, f.Rule.Match.TTL = chain, uint8(ttl)
			want, err := tc.Append(nil, 7, &f, &tc.Shape{SetTTL: true})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := enc.Append(nil, 7, &f, &tc.Shape{SetTTL: true}); err != nil || !same(got, want) {
				t.Fatalf("chain %d, TTL %d: %v", chain, ttl, err)
			}
		}
	}
}
