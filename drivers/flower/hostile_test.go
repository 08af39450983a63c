package flower

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// meddler is a kernel in whose batches and dumps others interfere.
type meddler struct {
	*fakeKernel
	after  func()                       // each batch
	refuse func(r *tc.Request) error    // before it reaches the kernel
	terse  func(dev hwif.Ifindex) error // instead of a terse dump
	hide   func(f *tc.Filter) bool      // from a dump
}

func (m *meddler) Apply(ctx context.Context, s *tc.Shape, reqs []tc.Request, out []tc.Response) {
	for i := range reqs {
		if m.refuse != nil {
			if err := m.refuse(&reqs[i]); err != nil {
				out[i] = tc.Response{Err: err}
				continue
			}
		}
		m.fakeKernel.Apply(ctx, s, reqs[i:i+1], out[i:i+1])
	}
	if m.after != nil {
		m.after()
	}
}

func (m *meddler) Dump(ctx context.Context, dev hwif.Ifindex, s *tc.Shape, f func(*tc.Filter) error) error {
	return m.fakeKernel.Dump(ctx, dev, s, func(x *tc.Filter) error {
		if m.hide != nil && m.hide(x) {
			return nil
		}
		return f(x)
	})
}

func (m *meddler) Terse(ctx context.Context, dev hwif.Ifindex, f func(*tc.Tally)) error {
	if m.terse != nil {
		if err := m.terse(dev); err != nil {
			return err
		}
	}
	return m.fakeKernel.Terse(ctx, dev, f)
}

func (b *bench) meddle() *meddler {
	m := &meddler{fakeKernel: b.kernel}
	b.dev.conn = m
	return m
}

func (b *bench) stranger(dev hwif.Ifindex, prio uint16) tc.Filter {
	s := tc.Filter{Place: tc.Place{Ifindex: dev, Prio: prio}, Handle: 1, Flags: tc.SkipSW | tc.InHW}
	b.kernel.filters[keyOf(&s)] = s
	return s
}

// A probe takes nothing out but its own, whatever stands at its pref.
func TestProbeLeavesStrangersAlone(t *testing.T) {
	b := mustOpen(t)
	s := b.stranger(11, defaultPrio+prioProbe)
	ports := []switchdev.Port{b.dev.ports["up"].Port, b.dev.ports["vf0"].Port}
	if _, err := New(testProfile()).matrix(t.Context(), b.kernel, &card{mode: switchdev.ModeSwitchdev, ports: ports}, settings{prio: defaultPrio}); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.kernel.filters[keyOf(&s)]; !ok {
		t.Error("the stranger's filter is gone")
	}
}

// A probe that was killed leaves its filter: the next start takes it out, and it is
// in nobody's way.
func TestLeftProbe(t *testing.T) {
	left := tc.Filter{Place: tc.Place{Ifindex: 11, Prio: defaultPrio + prioProbe}, Handle: 1, Rule: hwif.Rule{Cookie: roleCookie(roleProbe, 0)}}
	b, err := open(t, testProfile(), hwif.OpenOptions{}, func(b *bench) {
		b.kernel.qdiscs[11] = tc.Clsact{Kind: "clsact"}
		b.kernel.filters[keyOf(&left)] = left
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.kernel.filters[keyOf(&left)]; ok {
		t.Error("still there")
	}
	if err := b.apply(put(b.rule(1, 11, 10)))[0].Err; err != nil {
		t.Error(err)
	}
}

// A qdisc that others have come to use stays, with what hangs there.
func TestCloseLeavesAUsedQdisc(t *testing.T) {
	b := mustOpen(t)
	b.kernel.others = map[hwif.Ifindex]bool{11: true} // at egress, or of another kind
	if err := b.dev.Close(true); err != nil {
		t.Fatal(err)
	}
	b.dev = nil
	if _, ok := b.kernel.qdiscs[11]; !ok || len(b.kernel.qdiscs) != 1 {
		t.Errorf("qdiscs %v", b.kernel.qdiscs)
	}
}

func TestFailedOpenLeavesNothing(t *testing.T) {
	for nth := 1; nth <= 3*guardsPerPort; nth++ {
		n := 0
		b, err := open(t, testProfile(), hwif.OpenOptions{}, func(b *bench) {
			b.kernel.refuse = func(*tc.Filter) (unix.Errno, string) {
				if n++; n == nth {
					return unix.EBUSY, ""
				}
				return 0, ""
			}
		})
		if err == nil || len(b.kernel.filters)+len(b.kernel.qdiscs) > 0 {
			t.Errorf("refused the %d.: %v; %d filters and qdiscs %v are left", nth, err, len(b.kernel.filters), b.kernel.qdiscs)
		}
	}
}

// A reset that comes while an earlier one is mended is mended too, and nothing goes
// into the card before.
func TestSecondReset(t *testing.T) {
	b := mustOpen(t)
	b.apply(put(b.rule(1, 11, 10)))
	reset := switchdev.DeviceReset{Device: handle, Cause: "health reporter fw recovered"}
	b.dev.event(reset)
	if err := b.apply(put(b.rule(2, 11, 10)))[0].Err; hwif.KindOf(err) != hwif.KindBusy {
		t.Errorf("a rule went into a card without guards: %v", err)
	}
	m := b.meddle()
	m.after = func() { b.dev.event(reset); m.after = nil }
	b.listed()
	if b.dev.resets == b.dev.mended {
		t.Error("the second reset is forgotten")
	}
	b.listed()
	if b.dev.resets != b.dev.mended || b.guards(11) != guardsPerPort {
		t.Error("the second reset is not mended")
	}
	if err := b.apply(put(b.rule(3, 11, 10)))[0].Err; err != nil {
		t.Error(err)
	}
}

// The eswitch's mode changed under ports that stay: said once, and no reason to look
// again and again.
func TestModeChangedUnderUs(t *testing.T) {
	b := mustOpen(t)
	b.sight.inv = switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeLegacy)}, nil)
	woken := 0
	for range 10 {
		ports, err := b.dev.Ports(t.Context())
		if err != nil || ports[0].Refused == "" {
			t.Fatalf("%+v %v", ports, err)
		}
		select {
		case <-b.dev.Changed():
			woken++
		default:
		}
	}
	if woken > 1 {
		t.Errorf("%d of 10 looks asked for another", woken)
	}
}

// A renamed interface is the same port, and what is on it is still ours.
func TestRenamedPort(t *testing.T) {
	b := mustOpen(t)
	r := b.rule(1, 11, 10)
	b.apply(put(r))
	b.sight.inv = switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeSwitchdev, fakePort(10, "up", hwif.PortUplink), fakePort(11, "renamed", hwif.PortVF), fakePort(12, "vf1", hwif.PortVF))}, nil)
	ports, err := b.dev.Ports(t.Context())
	if err != nil || len(ports) != 3 || ports[1].Name != "renamed" {
		t.Fatalf("%+v %v", ports, err)
	}
	for key, f := range b.kernel.filters {
		if key.dev == 11 && roleOf(f.Rule.Cookie) == roleGuard {
			delete(b.kernel.filters, key)
		}
	}
	if _, err := b.dev.Counters(t.Context(), nil); err != nil || b.guards(11) != guardsPerPort {
		t.Errorf("%d guards under its new name: %v", b.guards(11), err)
	}
	if err := b.apply(drop(r))[0].Err; err != nil {
		t.Error(err)
	}
	if err := b.dev.Close(true); err != nil {
		t.Error(err)
	}
	b.dev = nil
	if n := len(b.kernel.on(11)); n > 0 {
		t.Errorf("%d filters are left", n)
	}
}

// Another pref in the next start: what stands at the old one goes.
func TestAnotherPrioNextTime(t *testing.T) {
	b := mustOpen(t)
	b.apply(put(b.rule(1, 11, 10)))
	if err := b.dev.Close(false); err != nil {
		t.Fatal(err)
	}
	s := b.stranger(11, 3)
	if err := b.reopen(testProfile(), hwif.OpenOptions{Ports: []string{"up", "vf0", "vf1"}, Settings: map[string]string{"prio": "30"}}); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.kernel.on(11) {
		if f.Prio != 30 && f.Prio != s.Prio {
			t.Errorf("left at pref %d: %+v", f.Prio, f.Rule)
		}
	}
	if b.guards(11) != guardsPerPort {
		t.Error("no guards")
	}
}

// The qdisc was deleted and made again between two looks: the next listing sees that
// the guards are gone.
func TestQdiscMadeAnewByOthers(t *testing.T) {
	b := mustOpen(t)
	if err := b.kernel.DelClsact(11); err != nil {
		t.Fatal(err)
	}
	if _, err := b.kernel.AddClsact(11, 0); err != nil {
		t.Fatal(err)
	}
	b.listed()
	if n := b.guards(11); n != guardsPerPort {
		t.Errorf("%d guards", n)
	}
}

// A guard of ours that somebody changed in place is none.
func TestGuardChangedInPlace(t *testing.T) {
	b := mustOpen(t)
	for key, f := range b.kernel.filters {
		if key.dev == 11 {
			f.Rule.Match.TTL = 8
			b.kernel.filters[key] = f
		}
	}
	b.listed()
	for _, f := range b.kernel.on(11) {
		if f.Rule.Match.TTL != 0 {
			t.Errorf("still there: %+v", f.Rule)
		}
	}
}

// A wrong guard that cannot be taken out leaves the port without rules.
func TestWrongGuardThatStays(t *testing.T) {
	b := mustOpen(t)
	for key, f := range b.kernel.filters {
		if key.dev == 11 {
			f.Rule.Actions.Set = hwif.ActionsOf(hwif.ActDrop)
			b.kernel.filters[key] = f
		}
	}
	b.meddle().refuse = func(r *tc.Request) error {
		if r.Verb == tc.Delete {
			return &tc.Error{Verb: tc.Delete, Errno: unix.EBUSY}
		}
		return nil
	}
	b.listed()
	if err := b.apply(put(b.rule(1, 11, 10)))[0].Err; hwif.KindOf(err) != hwif.KindGone {
		t.Errorf("taken: %v", err)
	}
}

// The answer and the reading back are lost: the rule may be there, and can be
// removed.
func TestLostTwice(t *testing.T) {
	b := mustOpen(t)
	m := b.meddle()
	m.after = nil
	lost := 2
	m.refuse = func(r *tc.Request) error {
		if lost > 0 {
			lost--
			if r.Verb == tc.New { // carried out all the same
				b.kernel.Apply(t.Context(), &b.dev.shape, []tc.Request{*r}, make([]tc.Response, 1))
			}
			return tc.ErrLost
		}
		return nil
	}
	r := b.rule(1, 11, 10)
	if err := b.apply(put(r))[0].Err; hwif.KindOf(err) != hwif.KindBusy {
		t.Fatal(err)
	}
	if err := b.apply(drop(r))[0].Err; err != nil {
		t.Errorf("remove: %v", err)
	}
	if n := len(b.kernel.on(11)); n != guardsPerPort {
		t.Errorf("%d filters", n)
	}
}

// A dump that leaves filters out and says nothing: none is forgotten, all are listed
// in the end, and Close leaves none.
func TestDumpWithAHole(t *testing.T) {
	b := mustOpen(t)
	for n := range 20 {
		b.apply(put(b.rule(n, 11, 10)))
	}
	m := b.meddle()
	holes := 0
	m.hide = func(f *tc.Filter) bool { return holes > 0 && f.Ifindex == 11 && f.Handle%2 == 0 }
	m.after = func() { holes-- }
	holes = 1
	if n := len(b.listed()); n != 20 {
		t.Errorf("%d rules listed, want 20", n)
	}
	m.after = nil
	calls := 0
	m.hide = func(f *tc.Filter) bool {
		calls++
		return calls < 40 && f.Prio == defaultPrio+prioFlow && f.Handle%3 == 0
	}
	if err := b.dev.Close(true); err != nil {
		t.Fatal(err)
	}
	b.dev = nil
	if n := len(b.kernel.on(11)); n != 0 {
		t.Errorf("%d filters are left", n)
	}
}

// One port that can't be counted hides nothing of the others.
func TestCountersBehindAFailingPort(t *testing.T) {
	b := mustOpen(t)
	for _, f := range b.kernel.on(12) {
		delete(b.kernel.filters, keyOf(&f))
	}
	b.meddle().terse = func(dev hwif.Ifindex) error {
		if dev == 11 {
			return unix.EBUSY
		}
		return nil
	}
	if _, err := b.dev.Counters(t.Context(), nil); err == nil {
		t.Error("nothing is said of the port that can't be counted")
	}
	if n := b.guards(12); n != guardsPerPort {
		t.Errorf("%d guards behind it", n)
	}
}

// Nobody follows the card any more: no rule goes in, and Ports says why.
func TestBlind(t *testing.T) {
	b := mustOpen(t)
	b.dev.stop()
	b.dev.ended.Wait()
	b.dev.watch = ended{b.sight}
	if err := b.dev.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := b.dev.Ports(t.Context()); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("Ports says nothing")
		}
	}
	if err := b.apply(put(b.rule(1, 11, 10)))[0].Err; hwif.KindOf(err) != hwif.KindBusy {
		t.Errorf("taken: %v", err)
	}
}

// ended is a watcher that cannot go on.
type ended struct{ *fakeSight }

func (ended) Run(context.Context, func(switchdev.Event)) error { return switchdev.ErrUnsettled }

// A rule that leaves while a list is on its way, which still shows it, is gone: it can
// be written again, and removed again.
func TestListThatIsBehind(t *testing.T) {
	b := mustOpen(t)
	r := b.rule(1, 11, 10)
	b.apply(put(r))
	b.kernel.late = func() {
		b.kernel.late = nil
		if err := b.apply(drop(r))[0].Err; err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	b.listed()
	if err := b.apply(put(r))[0].Err; err != nil {
		t.Errorf("install: %v", err)
	}
	if err := b.apply(drop(r))[0].Err; err != nil {
		t.Errorf("remove: %v", err)
	}
	if n := len(b.dev.left); n != 0 {
		t.Errorf("%d handles are kept in mind with no list under way", n)
	}
}
