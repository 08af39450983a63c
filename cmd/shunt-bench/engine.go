package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/drivers"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

func engineCommand() *cobra.Command {
	var flows int
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Synthetic flows through the engine and the in-memory NIC",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return benchEngine(cmd.Context(), flows) },
	}
	cmd.Flags().IntVar(&flows, "flows", 100_000, "how many")
	return cmd
}

// world is an engine, its NIC, and what would be conntrack and routing: they
// answer every question at once and for free.
type world struct {
	eng     *offload.Engine
	nic     *hwif.NIC
	now     flow.Time
	routes  [2]flow.Route
	ops     []hwif.Op
	results []hwif.Result
	dones   []offload.Done
}

const batch = 64 // conntrack events at a time, as the listener reads them

func newWorld(ctx context.Context, flows int) (*world, error) {
	driver, err := drivers.ByName("sim")
	if err != nil {
		return nil, err
	}
	dev, err := driver.Open(ctx, hwif.OpenOptions{Ports: []string{"lan0", "wan0"}, MaxRules: 2 * flows})
	if err != nil {
		return nil, err
	}
	w := &world{eng: offload.New(offload.Options{}), nic: hwif.NewNIC(dev, hwif.NICOptions{}), now: 100e9}
	ports, err := w.nic.Ports(ctx)
	if err != nil {
		return nil, err
	}
	lan, wan := ports[0], ports[1]
	host := func(n byte) hwif.MAC { return hwif.MAC{0x02, 0, 0, 1, 0, n} }
	w.routes = [2]flow.Route{
		{In: lan.Ifindex, Out: wan.Ifindex, InMAC: lan.MAC, SrcMAC: wan.MAC, DstMAC: host(1), MTU: 1500, InMTU: 1500},
		{In: wan.Ifindex, Out: lan.Ifindex, InMAC: wan.MAC, SrcMAC: lan.MAC, DstMAC: host(2), MTU: 1500, InMTU: 1500},
	}
	w.eng.AddDevice(w.nic.Caps())
	w.eng.Tick(w.now)
	w.eng.SetPorts(0, ports)
	w.eng.Observe(0, w.now, nil)
	w.eng.Step(flow.Synced{Source: flow.SourceConntrack, Begin: w.now})
	w.eng.Step(flow.Synced{Source: flow.SourceRoute, Begin: w.now})
	return w, nil
}

// entry is conntrack's entry of flow i: UDP, answered, with masquerade.
func entry(i int) flow.Entry {
	t := flow.Tuple{Family: hwif.IPv4, Proto: hwif.ProtoUDP, SrcPort: uint16(1024 + i%50_000), DstPort: 443}
	binary.BigEndian.PutUint32(t.Src[:], 0x0a4d0002+uint32(i/50_000))
	binary.BigEndian.PutUint32(t.Dst[:], 0xc633640a)
	r := t.Reversed()
	binary.BigEndian.PutUint32(r.Dst[:], 0xc0000201+uint32(i/50_000))
	return flow.Entry{Orig: t, Reply: r, ID: uint32(i + 1), Timeout: 120, Has: flow.HasTimeout,
		Status: flow.StatusConfirmed | flow.StatusSeenReply | flow.StatusAssured}
}

// settle answers the engine until it wants nothing more.
func (w *world) settle(ctx context.Context) error {
	for {
		r := w.eng.Ready()
		if len(r.Ops)+len(r.Lookups)+len(r.Prepare) == 0 {
			return nil
		}
		w.ops = append(w.ops[:0], r.Ops...)
		w.results = append(w.results[:0], make([]hwif.Result, len(w.ops))...)
		w.nic.Apply(ctx, w.ops, w.results)
		w.dones = w.dones[:0]
		for i := range w.ops {
			if w.results[i].Err != nil {
				return w.results[i].Err
			}
			w.dones = append(w.dones, offload.Done{Op: w.ops[i], Result: w.results[i]})
		}
		lookups, prepare := r.Lookups, r.Prepare
		for i := range lookups {
			w.eng.Step(flow.Answer{ID: lookups[i].ID, Gen: lookups[i].Gen, Routes: w.routes})
		}
		for i := range prepare {
			w.eng.Step(flow.Prepared{ID: prepare[i].ID, Gen: prepare[i].Gen, Entry: entry(int(prepare[i].EntryID) - 1)})
		}
		w.eng.Done(w.dones)
	}
}

// tell steps events of the flows first..last-1.
func (w *world) tell(ctx context.Context, kind flow.ConnKind, first, last int) error {
	for i := first; i < last; i += batch {
		conns := make(flow.Conns, 0, batch)
		for k := i; k < min(i+batch, last); k++ {
			conns = append(conns, flow.Conn{Kind: kind, Entry: entry(k), At: w.now})
		}
		w.eng.Step(conns)
		if err := w.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

func heap() (bytes, allocs uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.Mallocs
}
