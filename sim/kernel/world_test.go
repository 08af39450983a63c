package kernel_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/sim"
	"github.com/shunt-offload/shunt/sim/kernel"
)

// world is a kernel with an engine that is stepped by hand.
type world struct {
	*testing.T
	k     *kernel.Kernel
	clock *sim.Clock
	eng   *offload.Engine
	nic   *hwif.NIC
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := sim.NewClock(flow.Time(time.Hour))
	k, err := kernel.NewDemo(clock)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := simdrv.New(k.NIC()).Open(t.Context(), hwif.OpenOptions{Settings: map[string]string{simdrv.SettingName: "demo"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.Close(true) })
	w := &world{T: t, k: k, clock: clock, eng: offload.New(offload.Options{}), nic: hwif.NewNIC(dev, hwif.NICOptions{})}
	w.eng.AddDevice(w.nic.Caps())
	w.eng.Tick(clock.Now())
	w.ports()
	w.eng.Observe(0, clock.Now(), slices.Collect(rules(w.nic)))
	w.eng.Step(flow.Synced{Source: flow.SourceRoute, Begin: clock.Now()})
	k.Tracker().Relist()
	w.pump()
	return w
}

func (w *world) ports() {
	ports, err := w.nic.Ports(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	w.eng.SetPorts(0, ports)
}

func rules(n *hwif.NIC) func(func(hwif.Installed) bool) {
	return func(yield func(hwif.Installed) bool) {
		for in, err := range n.Rules(context.Background()) {
			if err != nil || !yield(in) {
				return
			}
		}
	}
}

// pump carries events and wishes to and fro until nothing moves any more.
func (w *world) pump() {
	w.Helper()
	for range 100 {
		events := w.k.Drain()
		w.eng.Tick(w.clock.Now())
		for _, ev := range events {
			w.eng.Step(ev)
		}
		r := w.eng.Ready()
		if len(events)+len(r.Ops)+len(r.Forget)+len(r.Lookups)+len(r.Prepare)+len(r.Touch) == 0 {
			return
		}
		w.k.Resolver().Forget(r.Forget)
		w.k.Resolver().Resolve(r.Lookups)
		w.k.Tracker().Prepare(r.Prepare)
		w.k.Tracker().Touch(r.Touch)
		ops := slices.Clone(r.Ops)
		results := make([]hwif.Result, len(ops))
		w.nic.Apply(context.Background(), ops, results)
		var dones []offload.Done
		for i := range ops {
			dones = append(dones, offload.Done{Op: ops[i], Result: results[i]})
		}
		w.eng.Done(dones)
	}
	w.Fatal("the engine does not come to rest")
}

// second lets one second pass, with the counter round and listing of a daemon.
func (w *world) second() {
	w.Helper()
	w.clock.Advance(time.Second)
	w.eng.Tick(w.clock.Now())
	counters, err := w.nic.Counters(context.Background(), nil)
	if err != nil {
		w.Fatal(err)
	}
	w.eng.Count(counters)
	w.ports()
	w.k.Tracker().Relist()
	w.pump()
}

// open opens a flow and brings it into hardware.
func (w *world) open(proto uint8, client, server string) *kernel.Flow {
	w.Helper()
	f, err := w.k.OpenFlow(kernel.FlowSpec{Proto: proto, Client: addr(client), Server: addr(server)})
	if err != nil {
		w.Fatal(err)
	}
	w.pump()
	for range 5 {
		if w.inHW(f) {
			return f
		}
		w.second()
		f.Send(2, 200)
		w.pump()
	}
	w.Fatalf("%s is not in hardware: %+v", f.Tuple(), w.view(f))
	return nil
}

func (w *world) view(f *kernel.Flow) offload.View {
	v, _ := w.eng.Get(f.Tuple())
	return v
}

func (w *world) inHW(f *kernel.Flow) bool { return w.view(f).State.InHardware() }

// wantNIC sends packets and wants all of them forwarded by the card, and right.
func (w *world) wantNIC(f *kernel.Flow) {
	w.Helper()
	if s := f.Send(10, 5000); s.NIC != 20 {
		w.Errorf("%s: %+v, want all 20 by the card", f.Tuple(), s)
	}
	w.wantRight()
}

func (w *world) wantRight() {
	w.Helper()
	if s := w.k.Stats(); s.Wrong != 0 {
		w.Errorf("%d frames left the card wrong: %s", s.Wrong, s.WrongText)
	}
}
