package flower

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

func (b *bench) guards(dev hwif.Ifindex) (n int) {
	for _, f := range b.kernel.on(dev) {
		if roleOf(f.Rule.Cookie) == roleGuard && f.Rule.Actions.Set.Has(hwif.ActTrap) && f.Presence() == hwif.InHW {
			n++
		}
	}
	return n
}

// Somebody takes a guard away, and leaves the flows: the next look at the counters
// sees it.
func TestLostGuard(t *testing.T) {
	b := mustOpen(t)
	b.apply(put(b.rule(1, 11, 10)))
	for key, f := range b.kernel.filters {
		if key.dev == 11 && roleOf(f.Rule.Cookie) == roleGuard && f.AnyTag {
			delete(b.kernel.filters, key)
		}
	}
	if n := b.guards(11); n != guardsPerPort-2 {
		t.Fatalf("%d guards are left for the test", n)
	}
	if list, err := b.dev.Counters(t.Context(), nil); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if n := b.guards(11); n != guardsPerPort {
		t.Errorf("%d guards, want %d", n, guardsPerPort)
	}
}

// A guard that can't be put back is worse than none: the port carries nothing more.
func TestLostGuardRefused(t *testing.T) {
	b := mustOpen(t)
	b.apply(put(b.rule(1, 11, 10)))
	for key, f := range b.kernel.filters {
		if key.dev == 11 && roleOf(f.Rule.Cookie) == roleGuard {
			delete(b.kernel.filters, key)
		}
	}
	b.kernel.refuse = func(f *tc.Filter) (unix.Errno, string) {
		if roleOf(f.Rule.Cookie) == roleGuard {
			return unix.ENOSPC, ""
		}
		return 0, ""
	}
	if _, err := b.dev.Counters(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.dev.Changed():
	default:
		t.Error("nobody is told to look at the ports")
	}
	res := b.apply(put(b.rule(2, 11, 10)))[0]
	if hwif.KindOf(res.Err) != hwif.KindGone || !strings.Contains(res.Err.Error(), "no guard") {
		t.Errorf("installed without guard: %v", res.Err)
	}
	b.kernel.refuse = nil
	if _, err := b.dev.Ports(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.guards(11); n != guardsPerPort {
		t.Errorf("%d guards once there is room, want %d", n, guardsPerPort)
	}
}

// What an earlier life left as a guard is one only if it says what a guard says.
func TestWrongGuardIsReplaced(t *testing.T) {
	b := mustOpen(t)
	if err := b.dev.Close(false); err != nil {
		t.Fatal(err)
	}
	b.dev = nil
	spoil := []func(*tc.Filter){
		func(f *tc.Filter) { f.Rule.Match.TTLMask = 0xff },
		func(f *tc.Filter) { f.Flags = tc.SkipSW | tc.NotInHW },
		func(f *tc.Filter) { f.Rule.Actions.Set = hwif.ActionsOf(hwif.ActDrop) },
	}
	n := 0
	for key, f := range b.kernel.filters {
		if key.dev == 11 && n < len(spoil) {
			spoil[n](&f)
			b.kernel.filters[key] = f
			n++
		}
	}
	if err := b.reopen(testProfile(), hwif.OpenOptions{Ports: []string{"up", "vf0", "vf1"}}); err != nil {
		t.Fatal(err)
	}
	want := map[hwif.Cookie]*tc.Filter{}
	for _, f := range b.dev.guardsOf(b.dev.ports["vf0"]) {
		want[f.Rule.Cookie] = f
	}
	for _, f := range b.kernel.on(11) {
		if !sameGuard(&f, want[f.Rule.Cookie]) {
			t.Errorf("left as it was: %+v", f)
		}
	}
	if len(b.kernel.on(11)) != guardsPerPort {
		t.Errorf("%d filters", len(b.kernel.on(11)))
	}
}

// Flows leave before the guards that they rely on.
func TestGuardsLeaveLast(t *testing.T) {
	b := mustOpen(t)
	b.apply(put(b.rule(1, 11, 10)), put(b.rule(2, 11, 10)))
	b.kernel.deleted = nil
	if err := b.dev.Close(true); err != nil {
		t.Fatal(err)
	}
	b.dev = nil
	flows := 2
	for _, f := range b.kernel.deleted {
		if f.Ifindex != 11 {
			continue
		}
		if f.Prio == defaultPrio+prioFlow {
			flows--
		} else if flows > 0 {
			t.Fatal("a guard left while flows were there")
		}
	}
	if flows != 0 {
		t.Errorf("%d flows were not deleted", flows)
	}
}

// A port that refuses rules for a while keeps those that it has until they are
// removed: nothing that is in hardware is forgotten.
func TestRefusedPortKeepsItsRules(t *testing.T) {
	b := mustOpen(t)
	r := b.rule(1, 11, 10)
	b.apply(put(r))
	off := fakePort(11, "vf0", hwif.PortVF)
	off.TCOffload = switchdev.TCOffloadOff
	b.sight.inv = switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeSwitchdev, fakePort(10, "up", hwif.PortUplink), off, fakePort(12, "vf1", hwif.PortVF))}, nil)
	for range 3 { // again and again, and nobody is woken by what is known
		ports, err := b.dev.Ports(t.Context())
		if err != nil || len(ports) != 3 || ports[1].Refused == "" {
			t.Fatalf("%+v %v", ports, err)
		}
	}
	told := 0
	for more := true; more; {
		select {
		case <-b.dev.Changed():
			told++
			_, err := b.dev.Ports(t.Context())
			more = err == nil && told < 10
		default:
			more = false
		}
	}
	if told > 1 {
		t.Errorf("a port that stays refused wakes the reader again and again")
	}
	if res := b.apply(drop(r))[0]; res.Err != nil {
		t.Errorf("its rule cannot be removed: %v", res.Err)
	}
	for _, f := range b.kernel.on(11) {
		if f.Rule.Cookie.Ours() {
			t.Errorf("a ghost: %+v", f)
		}
	}
	if res := b.apply(put(b.rule(2, 11, 10)))[0]; !errors.As(res.Err, new(*hwif.Error)) {
		t.Errorf("took a rule: %v", res.Err)
	}
}
