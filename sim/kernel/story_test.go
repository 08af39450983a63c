package kernel_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/sim"
	"github.com/shunt-offload/shunt/sim/kernel"
)

// TestPlay plays the whole story against the daemon's own loop, in a time that
// passes at once.
func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		clock := sim.NewRealClock(func() flow.Time { return flow.Time(time.Since(start) + time.Second) })
		k, err := kernel.NewDemo(clock)
		must(t, err)
		dev, err := simdrv.New(k.NIC()).Open(t.Context(), hwif.OpenOptions{Settings: map[string]string{simdrv.SettingName: "demo"}})
		must(t, err)
		loop := offload.NewLoop(offload.New(offload.Options{}), offload.LoopOptions{
			NICs: []*hwif.NIC{hwif.NewNIC(dev, hwif.NICOptions{})}, Tracker: k.Tracker(), Resolver: k.Resolver(), Clock: clock.Now})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- loop.Run(ctx) }()
		time.Sleep(time.Second)

		must(t, k.Play(ctx, kernel.StoryOptions{Length: 15 * time.Second}))
		s := k.Stats()
		if s.NIC.Packets < 3*s.Forwarded.Packets {
			t.Errorf("the card forwarded %d packets, the kernel %d; want three in four by the card", s.NIC.Packets, s.Forwarded.Packets)
		}
		if s.Wrong != 0 { // a beat after each change, the rules are right again
			t.Errorf("%d frames were wrong: %s", s.Wrong, s.WrongText)
		}
		if s.Lost != 0 || s.NoRoute != 0 || s.NoNeighbour != 0 || s.Invalid != 0 {
			t.Errorf("lost frames: %+v", s)
		}
		t.Logf("%+v; %+v", s, k.NIC().Stats())
		if st := loop.Stats(); st.Removals[flow.CauseRouteChanged] == 0 || st.Removals[flow.CauseTCPClose] == 0 {
			t.Errorf("removals %v: want some for the routes and some for the closes", st.Removals)
		}
		cancel()
		must(t, <-ended)
		if n := k.NIC().Stats().Rules; n != 0 {
			t.Errorf("%d rules left after the end", n)
		}
		must(t, dev.Close(true))
	})
}

func TestPlayRefuses(t *testing.T) {
	k, err := kernel.NewDemo(sim.NewClock(1))
	must(t, err)
	for _, d := range []time.Duration{time.Second, time.Hour, -1} {
		if err := k.Play(t.Context(), kernel.StoryOptions{Length: d}); err == nil {
			t.Errorf("a story of %s was played", d)
		}
	}
}

func TestPlayCutShort(t *testing.T) {
	k, err := kernel.NewDemo(sim.NewClock(1))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Play(ctx, kernel.StoryOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}
