package hwiftest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
)

// testCaps holds Caps against its own words.
func testCaps(b *bench) {
	c := b.caps
	if c.Driver == "" {
		b.Error("Caps.Driver is empty")
	}
	if again := b.dev.Caps(); again.Fields != c.Fields || again.Actions != c.Actions || again.MaxRules != c.MaxRules {
		b.Errorf("Caps changed: %+v, was %+v", again, c)
	}
	if c.MaxRules < 0 || c.Batch < 0 || c.CounterLag < 0 {
		b.Errorf("negative numbers in %+v", c)
	}
	for _, a := range []hwif.ActionKind{hwif.ActRedirect, hwif.ActDrop} {
		if c.Actions.Has(a) {
			return
		}
	}
	b.Errorf("actions %b hold neither redirect nor drop", c.Actions)
}

// testPorts: what the harness gave is what the device says.
func testPorts(b *bench) {
	ports, err := b.dev.Ports(context.Background())
	if err != nil {
		b.Fatalf("Ports: %v", err)
	}
	for _, want := range b.h.Ports {
		found := false
		for _, p := range ports {
			if p.Ifindex == want.Ifindex {
				found = true
				if p.Name != want.Name || p.MAC != want.MAC {
					b.Errorf("port %d is %s %s, want %s %s", p.Ifindex, p.Name, p.MAC, want.Name, want.MAC)
				}
				if p.Refused != "" {
					b.Errorf("port %s cannot carry rules: %s", p.Name, p.Refused)
				}
			}
		}
		if !found {
			b.Errorf("port %s (%d) is not among %+v", want.Name, want.Ifindex, ports)
		}
	}
}

// rule is the n-th flow's, with a new cookie; the subtest is skipped when the
// device has no room for such rules in its abilities.
func (b *bench) rule(n int) hwif.Rule {
	b.Helper()
	r := b.flow(n).Rule(b.cookie(uint8(n & 1)))
	b.need(r)
	return r
}

// testRoundTrip: what went in is listed as it went in, in any order, and leaves.
func testRoundTrip(b *bench) {
	b.wantRules()
	var rules []hwif.Rule
	for _, f := range b.kinds() {
		for nat := range numNATs {
			for _, v := range []hwif.VLAN{0, 100} {
				f.NAT, f.InVLAN, f.OutVLAN = nat, v, 300-v
				f.N++
				r := f.Rule(b.cookie(uint8(nat & 1)))
				if len(rules) >= b.h.MaxRules {
					break
				}
				if b.caps.Check(&r) != nil {
					b.wantRefused(r)
					continue
				}
				b.install(r)
				rules = append(rules, r)
			}
		}
	}
	if len(rules) == 0 {
		b.Skip("caps: the device takes no rule of a routed flow")
	}
	b.wantRules(rules...)
	for len(rules) > 0 {
		i := len(rules) / 2
		b.remove(rules[i])
		rules = append(rules[:i], rules[i+1:]...)
		if len(rules)%8 == 0 {
			b.wantRules(rules...)
		}
	}
	b.wantRules()
}

// testExist: an equal match leaves the old rule alone, whatever it wants.
func testExist(b *bench) {
	old := b.rule(1)
	b.install(old)
	again := old
	again.Cookie = b.cookie(0)
	again.Actions.EthDst = hwif.MAC{2, 7, 7, 7, 7, 7}
	b.wantKind("install an equal match", b.apply(install(again))[0].Err, hwif.KindExist)
	b.wantKind("install the same again", b.apply(install(old))[0].Err, hwif.KindExist)
	b.wantRules(old)
	s := b.flow(1).Frame()
	b.wantForwarded("by the old rule", b.flow(1), s, b.flow(1).Forwarded(s))
}

// testWrongCookie: only the owner's cookie removes.
func testWrongCookie(b *bench) {
	r := b.rule(1)
	b.install(r)
	for _, c := range []hwif.Cookie{b.cookie(0), hwif.NewCookie(r.Cookie.Gen(), r.Cookie.Dir()^1), {}} {
		other := r
		other.Cookie = c
		b.wantKind("remove with cookie "+c.String(), b.apply(remove(other))[0].Err, hwif.KindNotExist)
	}
	b.wantRules(r)
	s := b.flow(1).Frame()
	b.wantForwarded("still there", b.flow(1), s, b.flow(1).Forwarded(s))
}

// testRemoveAbsent: what is not there cannot be removed, once or twice.
func testRemoveAbsent(b *bench) {
	r := b.rule(1)
	b.wantKind("remove from an empty table", b.apply(remove(r))[0].Err, hwif.KindNotExist)
	b.install(r)
	b.remove(r)
	b.wantKind("remove twice", b.apply(remove(r))[0].Err, hwif.KindNotExist)
	b.wantRules()
	b.install(r)
	b.wantRules(r)
}

// testMixedBatch: one answer per operation, in order, and a failure in the middle
// stops nothing.
func testMixedBatch(b *bench) {
	var r [8]hwif.Rule
	for i := range r {
		r[i] = b.rule(i)
	}
	b.install(r[0])
	b.install(r[1])
	wrong := r[1]
	wrong.Cookie = b.cookie(0)
	ops := []hwif.Op{install(r[2]), install(r[0]), remove(r[7]), install(r[3]), remove(wrong), remove(r[0]), install(r[0]), remove(r[2]), install(r[4])}
	want := []hwif.Kind{0, hwif.KindExist, hwif.KindNotExist, 0, hwif.KindNotExist, 0, 0, 0, 0}
	for _, direct := range []bool{false, true} {
		results := make([]hwif.Result, len(ops))
		if direct { // the whole batch at once, past the NIC's own batching
			b.dev.Apply(context.Background(), ops, results)
		} else {
			b.nic.Apply(context.Background(), ops, results)
		}
		for i, res := range results {
			switch {
			case want[i] != 0:
				b.wantKind(fmt.Sprintf("op %d, %s", i, ops[i].Kind), res.Err, want[i])
			case res.Err != nil:
				b.Errorf("op %d, %s: %v", i, ops[i].Kind, res.Err)
			case ops[i].Kind == hwif.OpInstall && res.Presence != hwif.InHW:
				b.Errorf("op %d: presence %s, want in_hw", i, res.Presence)
			}
		}
		b.wantRules(r[0], r[1], r[3], r[4])
		b.remove(r[3])
		b.remove(r[4])
	}
}

// testNoSuchPort: a port that is not the device's is refused, and named.
func testNoSuchPort(b *bench) {
	const absent = 999_999
	out := b.rule(1)
	out.Actions.OutPort = absent
	in := b.rule(2)
	in.Match.InPort = absent
	ask := []hwif.Rule{in}
	if out.Actions.Set.Has(hwif.ActRedirect) { // a drop has no egress
		ask = append(ask, out)
	}
	for _, r := range ask {
		err := b.apply(install(r))[0].Err
		b.wantKind("install "+r.String(), err, hwif.KindGone, hwif.KindInvalid)
		if err != nil && !strings.Contains(err.Error(), fmt.Sprint(absent)) {
			b.Errorf("the error does not name port %d: %v", absent, err)
		}
	}
	b.wantRules()
}

// testCancelled: with a cancelled context every answer still tells the truth.
func testCancelled(b *bench) {
	keep := b.rule(0)
	b.install(keep)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ops := []hwif.Op{remove(keep)}
	for i := range 8 {
		ops = append(ops, install(b.rule(i+1)))
	}
	results := make([]hwif.Result, len(ops))
	b.nic.Apply(ctx, ops, results)
	there := b.rules()
	for i, res := range results {
		_, is := there[ops[i].Rule.Cookie]
		if want := (ops[i].Kind == hwif.OpInstall) == (res.Err == nil); is != want {
			b.Errorf("op %d, %s: answer %v, but listed is %v", i, ops[i].Kind, res.Err, is)
		}
	}
}

// wantNamed fails the test unless err says which field or action does not fit.
func (b *bench) wantNamed(err error) {
	b.Helper()
	var e *hwif.Error
	if err != nil && (!errors.As(err, &e) || e.Field == "") {
		b.Errorf("the error names no field or action: %v", err)
	}
}

// testUnsupported: each field and action that Caps lacks is refused by the bare
// device as well, and by name.
func testUnsupported(b *bench) {
	f := b.flow(1)
	for _, field := range hwif.Fields() {
		if b.caps.Fields.Has(field) {
			continue
		}
		r := f.Rule(b.cookie(0))
		r.Match.Fields |= hwif.FieldsOf(field)
		if field == hwif.FieldTTL {
			r.Match.TTL, r.Match.TTLMask = 64, 0xff
		}
		b.wantRefused(r)
	}
	for _, a := range hwif.ActionKinds() {
		if b.caps.Actions.Has(a) {
			continue
		}
		r := f.Rule(b.cookie(0))
		switch a {
		case hwif.ActDrop, hwif.ActTrap: // verdicts stand alone
			r.Actions = hwif.Actions{Set: hwif.ActionsOf(a)}
		case hwif.ActVLANPush:
			r.Actions.VLAN = 200
		case hwif.ActVLANPop:
			r.Match.VLAN = 100
		case hwif.ActIPSrc, hwif.ActIPDst:
			r.Actions.IPSrc, r.Actions.IPDst = r.Match.Src, r.Match.Dst
		case hwif.ActL4Src, hwif.ActL4Dst:
			r.Actions.SrcPort, r.Actions.DstPort = natSport, natDport
		}
		r.Actions.Set |= hwif.ActionsOf(a)
		b.wantRefused(r)
	}
}

// testUnknownBits: a bit that nobody has a row for refuses the rule; it must not
// vanish in silence.
func testUnknownBits(b *bench) {
	r := b.rule(1)
	field, action := r, r
	field.Match.Fields |= 1 << 31
	action.Actions.Set |= 1 << 31
	for _, r := range []hwif.Rule{field, action} {
		results := []hwif.Result{{}}
		b.dev.Apply(context.Background(), []hwif.Op{install(r)}, results)
		b.wantKind("install with an unknown bit", results[0].Err, hwif.KindUnsupported, hwif.KindInvalid)
	}
	b.wantRules()
}

// testPartialMatch: a rule with fewer fields matches more frames. A device does
// exactly that, or refuses the rule by name; it never forwards by a narrower or
// wider match than it was given.
func testPartialMatch(b *bench) {
	for _, field := range []hwif.Field{hwif.FieldL4Src, hwif.FieldIPSrc, hwif.FieldIPDst, hwif.FieldL4Dst} {
		f := b.flow(1)
		r := b.rule(1)
		r.Match.Fields = r.Match.Fields.Without(field)
		other := f.Frame()
		_, _, natSrc, natDst := f.addrs()
		switch field {
		case hwif.FieldL4Src:
			r.Match.SrcPort, other.SrcPort = 0, 7
		case hwif.FieldL4Dst:
			r.Match.DstPort, other.DstPort = 0, 7
		case hwif.FieldIPSrc:
			r.Match.Src, other.Src = hwif.Addr{}, natSrc
		case hwif.FieldIPDst:
			r.Match.Dst, other.Dst = hwif.Addr{}, natDst
		}
		err := b.apply(install(r))[0].Err
		if err != nil {
			b.wantKind("install without "+field.String(), err, hwif.KindUnsupported, hwif.KindInvalid)
			b.wantNamed(err)
			b.wantRules()
			b.wantKernel("refused", f.In.Ifindex, other.MustBuild())
			continue
		}
		b.wantForwarded("without "+field.String(), f, other, f.Forwarded(other))
		b.remove(r)
	}
}
