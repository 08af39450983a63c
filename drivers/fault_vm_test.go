//go:build vm

package drivers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/drivers/flower/flowertest"
	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// guardRules are in the card for each port.
const guardRules = 4

// faulty is a mlx5 card with the driver on two ports of it, and a tap.
type faulty struct {
	*testing.T
	*simnic.Card
	h   *hwiftest.Harness
	dev hwif.Device
}

func newFaulty(t *testing.T) *faulty {
	c := flowertest.Card(t, simnic.Options{Profile: "mlx5", Mode: "switchdev", CounterM: -1})
	return on(t, c, map[string]*simnic.Card{c.VF(0): c, c.Uplink(0): c}, []string{c.VF(0), c.Uplink(0)})
}

func on(t *testing.T, c *simnic.Card, cards map[string]*simnic.Card, names []string) *faulty {
	f := &faulty{T: t, Card: c, h: flowertest.On(t, mlx5.New(), cards, names, nil, 0)}
	f.dev = f.h.Open(hwiftest.Options{})
	t.Cleanup(func() {
		if err := f.dev.Close(true); err != nil {
			t.Error(err)
		}
	})
	return f
}

// flow is the n-th, from the first port to the second.
func (f *faulty) flow(n int) hwiftest.Flow {
	caps := f.dev.Caps()
	return hwiftest.Flow{N: n, Family: hwif.IPv4, Proto: hwif.ProtoUDP, NAT: hwiftest.SNAT, In: f.h.Ports[0], Out: f.h.Ports[1]}.On(&caps)
}

func (f *faulty) ops(kind hwif.OpKind, n int) []hwif.Op {
	var ops []hwif.Op
	for i := range n {
		ops = append(ops, hwif.Op{Kind: kind, Rule: f.flow(i).Rule(hwif.NewCookie(uint64(i), 0))})
	}
	return ops
}

func (f *faulty) apply(ctx context.Context, ops []hwif.Op) []hwif.Result {
	out := make([]hwif.Result, len(ops))
	f.dev.Apply(ctx, ops, out)
	return out
}

// install puts n flows in.
func (f *faulty) install(n int) {
	f.Helper()
	for i, r := range f.apply(f.Context(), f.ops(hwif.OpInstall, n)) {
		if r.Err != nil || r.Presence != hwif.InHW {
			f.Fatalf("rule %d: %s %v", i, r.Presence, r.Err)
		}
	}
}

func (f *faulty) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *faulty) used() int {
	f.Helper()
	s, err := f.Stats()
	f.must(err)
	return int(s.Used)
}

// send lets n frames of a flow in and says what became of all of them.
func (f *faulty) send(flow hwiftest.Flow, n int) hwiftest.Verdict {
	f.Helper()
	var last hwiftest.Verdict
	for i := range n {
		out := f.h.Inject(f.h.Ports[0].Ifindex, flow.Frame().MustBuild())
		if i > 0 && out.Verdict != last {
			f.Errorf("frame %d: %v, and %v before", i, out.Verdict, last)
		}
		last = out.Verdict
	}
	return last
}

func (f *faulty) counted(c hwif.Cookie) uint64 {
	f.Helper()
	list, err := f.dev.Counters(f.Context(), nil)
	f.must(err)
	for _, x := range list {
		if x.Cookie == c {
			return x.Packets
		}
	}
	f.Errorf("no counter of %s", c)
	return 0
}

// Every third rule is refused in the middle of a batch: each has its own answer
// with the card's words, and only those are not there.
func TestFaultRefusals(t *testing.T) {
	f := newFaulty(t)
	f.must(f.RefuseNth(3))
	ops := f.ops(hwif.OpInstall, 9)
	var again []hwif.Op
	for i, r := range f.apply(t.Context(), ops) {
		if r.Err == nil {
			continue
		}
		again = append(again, ops[i])
		if hwif.KindOf(r.Err) != hwif.KindBusy || !strings.Contains(r.Err.Error(), "refused by debugfs refuse_nth") {
			t.Errorf("rule %d: %v", i, r.Err)
		}
	}
	if len(again) != 3 || f.used() != 2*guardRules+6 {
		t.Errorf("%d refused, %d rules in the card", len(again), f.used())
	}
	f.must(f.RefuseNth(0))
	for i, r := range f.apply(t.Context(), again) {
		if r.Err != nil {
			t.Errorf("rule %d once more: %v", i, r.Err)
		}
	}
	if f.used() != 2*guardRules+9 {
		t.Errorf("%d rules in the card at the end", f.used())
	}
}

// A slow card and a caller whose time is up: what was begun is done and answered,
// the rest is not begun, and both are told apart.
func TestFaultSlow(t *testing.T) {
	f := newFaulty(t)
	f.must(f.Slow(5 * time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // the time is up when the card has taken the first
		defer cancel()
		for {
			if s, err := f.Stats(); err != nil || s.Used > 2*guardRules {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	in := 0
	for i, r := range f.apply(ctx, f.ops(hwif.OpInstall, 400)) {
		switch {
		case r.Err == nil && r.Presence == hwif.InHW:
			in++
		case hwif.KindOf(r.Err) != hwif.KindBusy:
			t.Errorf("rule %d: %v", i, r.Err)
		}
	}
	if in == 0 || in == 400 || f.used() != 2*guardRules+in {
		t.Errorf("%d answered in_hw, %d rules in the card", in, f.used())
	}
}

// Counters that stand still are old, not zero, and never fall.
func TestFaultStaleCounters(t *testing.T) {
	f := newFaulty(t)
	f.install(1)
	c := hwif.NewCookie(0, 0)
	if v := f.send(f.flow(0), 5); v != hwiftest.Forwarded || f.counted(c) != 5 {
		t.Fatalf("%v, %d counted", v, f.counted(c))
	}
	f.must(f.Freeze(true))
	if v := f.send(f.flow(0), 5); v != hwiftest.Forwarded || f.counted(c) != 5 {
		t.Errorf("frozen: %v, %d counted", v, f.counted(c))
	}
	f.must(f.Freeze(false))
	if n := f.counted(c); n != 10 {
		t.Errorf("%d counted afterwards, want 10", n)
	}
}

// The card loses its rules and nobody says so: tc goes on with in_hw, frames are
// the kernel's, and the rules can be taken out and put in as ever.
func TestFaultLostRules(t *testing.T) {
	f := newFaulty(t)
	f.install(4)
	f.must(f.Forget(1 << 20))
	if f.used() != 0 {
		t.Fatalf("%d rules in the card", f.used())
	}
	there := 0
	for in, err := range f.dev.Rules(t.Context()) {
		f.must(err)
		if in.Presence == hwif.InHW {
			there++
		}
	}
	if there != 4 {
		t.Errorf("tc says in_hw of %d rules, want 4", there)
	}
	if v := f.send(f.flow(0), 3); v != hwiftest.ToKernel {
		t.Errorf("frames are %v", v)
	}
	for i, r := range f.apply(t.Context(), f.ops(hwif.OpRemove, 4)) {
		if r.Err != nil {
			t.Errorf("rule %d cannot be removed: %v", i, r.Err)
		}
	}
	f.install(4)
	if v := f.send(f.flow(0), 3); v != hwiftest.Forwarded || f.used() != 4 {
		t.Errorf("put in again: %v, %d rules", v, f.used())
	}
}

// Carrier is gone for a while: the port says so, and its rules stay.
func TestFaultFlap(t *testing.T) {
	f := newFaulty(t)
	f.install(1)
	up := func() bool {
		ports, err := f.dev.Ports(t.Context())
		f.must(err)
		return len(ports) == 2 && ports[1].Up
	}
	wait := func(what string, want bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); up() != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never %s", what)
			}
		}
	}
	wait("up at first", true)
	f.must(f.Flap(f.h.Ports[1].Name, 1500*time.Millisecond))
	wait("down", false)
	wait("up again", true)
	if v := f.send(f.flow(0), 1); v != hwiftest.Forwarded {
		t.Errorf("afterwards: %v", v)
	}
}

// One of two joined cards is taken out: nothing is sent there any more, its rules
// are forgotten, and the other one goes on.
func TestFaultPeerRemoved(t *testing.T) {
	cards, names := map[string]*simnic.Card{}, []string{}
	var both []*simnic.Card
	for id := range uint(2) {
		c := flowertest.Card(t, simnic.Options{ID: id, Profile: "mlx5", Mode: "legacy", Serial: 0xc0ffee, NoVFs: true, CounterM: -1})
		cards[c.Uplink(0)], names, both = c, append(names, c.Uplink(0)), append(both, c)
	}
	f := on(t, both[0], cards, names)
	f.install(2)
	if v := f.send(f.flow(0), 1); v != hwiftest.Forwarded {
		t.Fatalf("before: %v", v)
	}
	f.must(both[1].Close())
	if v := f.send(f.flow(0), 3); v != hwiftest.ToKernel {
		t.Errorf("frames to a card that is gone: %v", v)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ports, err := f.dev.Ports(t.Context())
		f.must(err)
		if len(ports) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("its port is still there")
		}
	}
	for i, r := range f.apply(t.Context(), f.ops(hwif.OpRemove, 2)) {
		if r.Err != nil {
			t.Errorf("rule %d: %v", i, r.Err)
		}
	}
	if f.used() != guardRules {
		t.Errorf("%d rules in the card that is left", f.used())
	}
}
