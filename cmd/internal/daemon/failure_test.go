package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// flaky is a device whose readings fail while broken is set.
type flaky struct {
	hwif.Device
	broken atomic.Bool
}

func (f *flaky) Ports(ctx context.Context) ([]hwif.Port, error) {
	if f.broken.Load() {
		return nil, &hwif.Error{Op: "list", Device: "sim", Kind: hwif.KindGone, Text: "pulled out"}
	}
	return f.Device.Ports(ctx)
}

// mute is a tracker that fails when told to.
type mute struct {
	offload.Tracker
	fail chan error
}

func (m mute) Run(ctx context.Context, emit func(flow.Event)) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Tracker.Run(inner, emit) }()
	select {
	case err := <-m.fail:
		cancel()
		<-done
		return err
	case err := <-done:
		return err
	}
}

// opened is a daemon that has opened everything and started nothing.
func opened(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{opts: Options{Config: simConfig(t), Story: longestStory}, clock: newClock()}
	d.cfg = d.opts.Config
	log := new(output)
	d.log = newLog(d.cfg, log, &d.level)
	if err := d.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log)
		}
	})
	return d
}

// TestDeviceGone: a device that does not answer three times in a row ends the
// daemon; one that comes back in between does not. In virtual time.
func TestDeviceGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clk := newClock()
		driver, src, err := scripted(0, clk, newLog(simConfig(t), new(output), new(slog.LevelVar)))
		if err != nil {
			t.Fatal(err)
		}
		dev, err := driver.Open(t.Context(), hwif.OpenOptions{Ports: scriptedPorts()})
		if err != nil {
			t.Fatal(err)
		}
		f := &flaky{Device: dev}
		d := &daemon{cfg: simConfig(t), clock: clk, nic: hwif.NewNIC(f, hwif.NICOptions{}), sources: src}
		d.log = newLog(d.cfg, new(output), &d.level)
		if err := d.makeLoop(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		group, inner := errgroup.WithContext(ctx)
		group.Go(func() error { return d.loop.Run(inner) })
		var ended atomic.Bool
		group.Go(func() error { defer ended.Store(true); return d.watchDevice(inner) })

		// Off the beat of the checks; the loop takes a round to notice each change.
		time.Sleep(time.Minute + deviceCheck/4)
		f.broken.Store(true)
		time.Sleep(deviceCheck + deviceCheck/2)
		f.broken.Store(false) // seen twice at the most
		time.Sleep(time.Minute)
		if ended.Load() {
			t.Error("ended by a device that came back")
		}
		f.broken.Store(true)
		err = group.Wait()
		if err == nil || !strings.Contains(err.Error(), "pulled out") {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestSourceFails: when conntrack cannot go on, every flow is given back to the
// kernel, and the daemon ends with the reason.
func TestSourceFails(t *testing.T) {
	d := opened(t)
	fail := make(chan error, 1)
	d.sources.tracker = mute{d.sources.tracker, fail}
	if err := d.makeLoop(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.run(t.Context()) }()
	until(t, "flows in the card", func() bool { return d.loop.Stats().RulesInHW > 0 })
	why := errors.New("the socket is broken")
	fail <- why
	select {
	case err := <-done:
		if !errors.Is(err, why) {
			t.Errorf("it ended with: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on without its tracker")
	}
	if n := d.loop.Stats().RulesInHW; n != 0 {
		t.Errorf("%d rules left in hardware", n)
	}
}
