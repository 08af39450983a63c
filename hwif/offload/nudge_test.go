package offload_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// nudging runs a loop that looks at nothing by itself for an hour, over a device
// that says when there is something to see, with three flows in it.
func nudging(t *testing.T) *rig {
	t.Helper()
	dev := newTray()
	dev.changed = make(chan struct{}, 1)
	r := startOver(dev, offload.LoopOptions{Count: time.Hour, Audit: time.Hour})
	t.Cleanup(func() { r.stop(); <-r.ended })
	time.Sleep(100 * time.Millisecond)
	r.flows(3)
	time.Sleep(time.Second)
	if dev.len() != 6 {
		t.Fatalf("%d rules, want 6", dev.len())
	}
	return r
}

// nudge changes the device and lets it say so.
func (r *rig) nudge(change func(d *tray)) {
	r.dev.mu.Lock()
	change(r.dev)
	r.dev.mu.Unlock()
	select {
	case r.dev.changed <- struct{}{}:
	default: // one is there already
	}
}

func (r *rig) listings() int {
	r.dev.mu.Lock()
	defer r.dev.mu.Unlock()
	return r.dev.listed
}

// TestNudgePort: a port that a device says has vanished takes its flows out at
// once, not at the next look; one that returns brings them back.
func TestNudgePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nudging(t)
		ports := r.dev.ports
		r.nudge(func(d *tray) { d.ports = ports[:1] })
		time.Sleep(time.Millisecond)
		if st := r.loop.Stats(); r.dev.len() != 0 {
			t.Errorf("%d rules left, causes %v", r.dev.len(), st.Removals)
		}
		r.nudge(func(d *tray) { d.ports = ports })
		time.Sleep(time.Millisecond)
		if r.dev.len() != 6 {
			t.Errorf("%d rules after the port's return, want 6", r.dev.len())
		}
	})
}

// TestNudgeReset: a card that says that it has lost its rules gets them again, and
// the cause has its name.
func TestNudgeReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nudging(t)
		r.nudge(func(d *tray) { clear(d.rules) })
		time.Sleep(100 * time.Millisecond)
		if n := r.loop.Stats().Removals[flow.CauseDeviceReset]; r.dev.len() != 6 || n != 3 {
			t.Errorf("%d rules, %d flows left by device_reset; want 6 and 3", r.dev.len(), n)
		}
	})
}

// TestNudgeStorm: a device that cannot stop talking gets its rules listed once a
// second, not each time, and what it said last is not lost.
func TestNudgeStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nudging(t)
		before := r.listings()
		for range 1000 {
			r.nudge(func(*tray) {})
			time.Sleep(3 * time.Millisecond)
		}
		if n := r.listings() - before; n < 2 || n > 5 {
			t.Errorf("%d listings in three seconds", n)
		}
		r.nudge(func(d *tray) { clear(d.rules) })
		time.Sleep(1100 * time.Millisecond)
		if r.dev.len() != 6 {
			t.Errorf("%d rules a second after the last word, want 6", r.dev.len())
		}
	})
}

// TestNudgeCost: the longer a listing takes, the rarer it is.
func TestNudgeCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nudging(t)
		r.nudge(func(d *tray) { d.slow = 300 * time.Millisecond }) // 6 s apart
		before := r.listings()
		for range 3000 {
			time.Sleep(10 * time.Millisecond)
			r.nudge(func(*tray) {})
		}
		if n := r.listings() - before; n < 4 || n > 6 {
			t.Errorf("%d listings in thirty seconds", n)
		}
	})
}

// TestNudgeEnds: a device that closes its channel has no more to say; the loop
// goes on without.
func TestNudgeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := nudging(t)
		before := r.listings()
		close(r.dev.changed)
		time.Sleep(10 * time.Second)
		if n := r.listings() - before; n != 0 {
			t.Errorf("%d listings because a channel is closed", n)
		}
		if err := r.loop.Do(context.Background(), func(*offload.Engine) {}); err != nil {
			t.Error(err)
		}
	})
}

// TestNICChanged: the wrapper passes on what the device has, and nothing for one
// without.
func TestNICChanged(t *testing.T) {
	d := newTray()
	d.changed = make(chan struct{})
	if hwif.NewNIC(d, hwif.NICOptions{}).Changed() != (<-chan struct{})(d.changed) {
		t.Error("the channel is not the device's")
	}
	if hwif.NewNIC(struct{ hwif.Device }{d}, hwif.NICOptions{}).Changed() != nil {
		t.Error("a device that says nothing has a channel")
	}
}
