package hwiftest

import (
	"context"

	"github.com/shunt-offload/shunt/hwif"
)

// testFull: exactly Caps.MaxRules rules go in, the next is KindFull, and a removal
// makes room for one.
func testFull(b *bench) {
	max := b.caps.MaxRules
	if max == 0 {
		b.Skip("caps: the device does not know its table's size")
	}
	if max > 1<<16 {
		b.Skipf("caps: a table of %d rules is too large to fill here; ask for fewer with Harness.MaxRules", max)
	}
	rules := make([]hwif.Rule, max+3)
	ops := make([]hwif.Op, len(rules))
	for i := range rules {
		rules[i] = b.rule(i)
		ops[i] = install(rules[i])
	}
	for i, res := range b.apply(ops...) {
		if i < max && res.Err != nil {
			b.Fatalf("rule %d of %d: %v", i+1, max, res.Err)
		}
		if i >= max {
			b.wantKind("install into a full table", res.Err, hwif.KindFull)
		}
	}
	b.wantRules(rules[:max]...)
	b.wantKind("an equal match in a full table", b.apply(install(rules[0]))[0].Err, hwif.KindExist, hwif.KindFull)
	b.remove(rules[max/2])
	b.install(rules[max])
	b.wantKind("full again", b.apply(install(rules[max+1]))[0].Err, hwif.KindFull)
	s := b.flow(max).Frame()
	b.wantForwarded("the last rule in", b.flow(max), s, b.flow(max).Forwarded(s))
	s = b.flow(max / 2).Frame()
	b.wantKernel("the rule that left", b.in().Ifindex, s.MustBuild())
}

// testCounters: every frame counts once, with its L3 bytes; values never fall; a
// frame that went to the kernel counts for nobody.
func testCounters(b *bench) {
	if b.caps.Counters == hwif.CountersNone {
		b.rule(1)
		list, err := b.nic.Counters(context.Background(), nil)
		if err != nil || len(list) != 0 {
			b.Errorf("caps say no counters, but Counters gave %v, %v", list, err)
		}
		b.Skip("caps: the device does not count")
	}
	for _, k := range b.kinds() {
		for _, vlan := range []hwif.VLAN{0, 100} {
			f := k
			f.InVLAN, f.OutVLAN = vlan, 300-vlan
			f = b.able(f, SNAT)
			b.sub(f.String(), func(b *bench) {
				r := f.Rule(b.cookie(1))
				b.need(r)
				b.install(r)
				defer b.remove(r)
				b.wantCount(r, hwif.Counter{})
				var want hwif.Counter
				for i := range 5 {
					s := f.Frame()
					s.Payload = make([]byte, 100*i)
					b.wantForwarded("counted", f, s, f.Forwarded(s))
					want.Packets++
					want.Bytes += uint64(s.L3Len())
					b.wantCount(r, want)
				}
				s := f.Frame()
				s.EthDst[5] ^= 1
				b.wantKernel("not counted", f.In.Ifindex, s.MustBuild())
				b.wantCount(r, want)
			})
		}
	}
}

// wantCount compares a rule's counter, in both places where it is told.
func (b *bench) wantCount(r hwif.Rule, want hwif.Counter) {
	b.Helper()
	if b.caps.Counters == hwif.CountersPackets {
		want.Bytes = 0
	}
	got := b.counter(r.Cookie)
	if got != want {
		b.Errorf("counter %+v, want %+v", got, want)
	}
	list, err := b.nic.Counters(context.Background(), make([]hwif.Counted, 1, 8))
	if err != nil || len(list) < 2 || list[0] != (hwif.Counted{}) {
		b.Errorf("Counters must append: %v, %v", list, err)
	}
}

// testFinal: the answer to a removal tells the rule's last counters, or nothing.
// A rule that comes back begins at zero.
func testFinal(b *bench) {
	if b.caps.Counters == hwif.CountersNone {
		b.Skip("caps: the device does not count")
	}
	f, r := b.flow(1), b.rule(1)
	for range 2 {
		b.install(r)
		b.wantCount(r, hwif.Counter{})
		var want hwif.Counter
		for range 3 {
			s := f.Frame()
			b.wantForwarded("counted", f, s, f.Forwarded(s))
			want.Packets++
			if b.caps.Counters == hwif.CountersFull {
				want.Bytes += uint64(s.L3Len())
			}
		}
		b.settle()
		if got := b.remove(r); got != want && got != (hwif.Counter{}) {
			b.Errorf("final counter %+v, want %+v or none", got, want)
		}
	}
}

// testRemovedIsGone: after Remove returned, the rule forwards nothing, and its
// neighbours go on.
func testRemovedIsGone(b *bench) {
	for _, f := range b.kinds() {
		stay := f
		stay.N = f.N + 1
		b.with(f.String(), stay, func(b *bench) {
			r, s := f.Rule(b.cookie(0)), f.Frame()
			for range 20 {
				b.install(r)
				b.wantForwarded("installed", f, s, f.Forwarded(s))
				b.remove(r)
				b.wantKernel("removed", f.In.Ifindex, s.MustBuild())
			}
			s = stay.Frame()
			b.wantForwarded("neighbour", stay, s, stay.Forwarded(s))
		})
	}
}

// testDrop: a drop rule drops its own frames, counts them, and leaves the rest to
// the kernel.
func testDrop(b *bench) {
	for _, f := range b.kinds() {
		b.sub(f.String(), func(b *bench) {
			r, s := f.DropRule(b.cookie(0)), f.Frame()
			b.need(r)
			b.install(r)
			b.wantRules(r)
			var want hwif.Counter
			for range 3 {
				if out := b.h.Inject(f.In.Ifindex, s.MustBuild()); out.Verdict != Dropped {
					b.Errorf("%s, want dropped", out.Verdict)
				}
				want.Packets++
				want.Bytes += uint64(s.L3Len())
			}
			if b.caps.Counters != hwif.CountersNone {
				b.wantCount(r, want)
			}
			s.DstPort++
			b.wantKernel("another flow", f.In.Ifindex, s.MustBuild())
			b.remove(r)
			b.wantKernel("after the removal", f.In.Ifindex, f.Frame().MustBuild())
		})
	}
}

// testCloseFlush: with flush nothing is left, neither in the table nor on the wire.
func testCloseFlush(b *bench) {
	f, r := b.flow(1), b.rule(1)
	b.install(r)
	b.install(b.rule(2))
	s := f.Frame()
	b.wantForwarded("before", f, s, f.Forwarded(s))
	b.close(true)
	b.wantKernel("after Close(true)", f.In.Ifindex, s.MustBuild())
	if b.h.Reopen != nil {
		b.use(b.h.Reopen(Options{MaxRules: b.h.MaxRules}))
		b.wantRules()
	}
}

// testReopen: a persistent device goes on forwarding after Close(false), and the
// next daemon finds the very rules and their counters. Another one stops at once.
func testReopen(b *bench) {
	if b.caps.Persistent != (b.h.Reopen != nil) {
		b.Fatalf("Caps.Persistent is %v, but Harness.Reopen says otherwise", b.caps.Persistent)
	}
	f, r, other := b.flow(1), b.rule(1), b.rule(2)
	b.install(r)
	b.install(other)
	s := f.Frame()
	b.wantForwarded("before", f, s, f.Forwarded(s))
	b.close(false)
	if b.h.Reopen == nil {
		b.wantKernel("after Close(false), not persistent", f.In.Ifindex, s.MustBuild())
		return
	}
	b.wantForwarded("with nobody there", f, s, f.Forwarded(s))
	b.use(b.h.Reopen(Options{MaxRules: b.h.MaxRules}))
	b.wantRules(r, other)
	if b.caps.Counters != hwif.CountersNone {
		b.wantCount(r, hwif.Counter{Packets: 2, Bytes: 2 * uint64(s.L3Len())})
	}
	b.wantKind("an equal match", b.apply(install(r))[0].Err, hwif.KindExist)
	b.remove(r)
	b.wantKernel("removed by the successor", f.In.Ifindex, s.MustBuild())
	b.wantRules(other)
}

// testVanish: a port that is gone leaves Ports, and takes no more rules.
func testVanish(b *bench) {
	if b.h.Vanish == nil {
		b.Skip("harness: no port can be made to vanish")
	}
	r, back := b.rule(1), Flow{N: 2, Family: hwif.IPv4, Proto: hwif.ProtoUDP, In: b.out(), Out: b.in(), caps: &b.caps}
	b.install(r)
	b.h.Vanish(b.out().Ifindex)
	ports, err := b.dev.Ports(context.Background())
	if err != nil {
		b.Fatalf("Ports: %v", err)
	}
	for _, p := range ports {
		if p.Ifindex == b.out().Ifindex {
			b.Errorf("the vanished port is still listed: %+v", p)
		}
	}
	if out := b.h.Inject(b.in().Ifindex, b.flow(1).Frame().MustBuild()); out.Verdict == Forwarded {
		b.Errorf("forwarded by port %d, which has vanished", out.Port)
	}
	ask := []hwif.Rule{back.Rule(b.cookie(0))}
	if !b.flow(3).drops() { // a drop needs no egress
		ask = append(ask, b.rule(3))
	}
	for _, r := range ask {
		b.wantKind("install on a vanished port", b.apply(install(r))[0].Err, hwif.KindGone, hwif.KindInvalid)
	}
	if err := b.apply(remove(r))[0].Err; err != nil && hwif.KindOf(err) != hwif.KindNotExist {
		b.Errorf("remove after its port has vanished: %v", err)
	}
	b.wantRules()
}
