package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"time"

	simdrv "github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/sim"
)

// host is an engine over an in-memory NIC, with the resolver and conntrack's
// keeper answered on the spot: what is measured is the engine and the device,
// in one goroutine.
type host struct {
	eng     *offload.Engine
	nic     *hwif.NIC
	now     flow.Time
	conns   flow.Conns
	results []hwif.Result
	dones   []offload.Done
}

var ports = []hwif.Port{
	{Ifindex: 1, Name: "lan", MAC: hwif.MAC{2, 0, 0, 0, 0, 1}, MTU: 1500, Up: true},
	{Ifindex: 2, Name: "wan", MAC: hwif.MAC{2, 0, 0, 0, 0, 2}, MTU: 1500, Up: true},
}

var routes = [2]flow.Route{
	{In: 1, Out: 2, InMAC: ports[0].MAC, SrcMAC: ports[1].MAC, DstMAC: hwif.MAC{2, 0, 0, 0, 1, 1}, MTU: 1500, InMTU: 1500},
	{In: 2, Out: 1, InMAC: ports[1].MAC, SrcMAC: ports[0].MAC, DstMAC: hwif.MAC{2, 0, 0, 0, 1, 2}, MTU: 1500, InMTU: 1500},
}

func newHost(ctx context.Context, flows int) (*host, error) {
	card := sim.New(sim.Options{Name: "bench", Ports: ports, MaxRules: 2*flows + 128})
	dev, err := simdrv.New(card).Open(ctx, hwif.OpenOptions{Settings: map[string]string{simdrv.SettingName: "bench"}})
	if err != nil {
		return nil, err
	}
	h := &host{eng: offload.New(offload.Options{}), nic: hwif.NewNIC(dev, hwif.NICOptions{}), now: flow.Time(time.Minute)}
	h.eng.AddDevice(h.nic.Caps())
	h.eng.Tick(h.now)
	h.eng.SetPorts(0, ports)
	h.eng.Observe(0, h.now, nil)
	h.eng.Step(flow.Synced{Source: flow.SourceConntrack})
	h.eng.Step(flow.Synced{Source: flow.SourceRoute})
	h.conns = make(flow.Conns, 64)
	return h, nil
}

// entry is the i-th synthetic connection: UDP through masquerade.
func entry(i int) flow.Entry {
	orig := flow.Tuple{Family: hwif.IPv4, Proto: hwif.ProtoUDP, SrcPort: uint16(1024 + i%60000), DstPort: 443}
	binary.BigEndian.PutUint32(orig.Src[:], 0x0a000001+uint32(i/60000))
	copy(orig.Dst[:], []byte{192, 0, 2, 1})
	reply := orig.Reversed()
	copy(reply.Dst[:], []byte{198, 51, 100, byte(1 + i/60000)})
	return flow.Entry{Orig: orig, Reply: reply, ID: uint32(i + 1), Timeout: 120, Has: flow.HasTimeout,
		Status: flow.StatusConfirmed | flow.StatusSeenReply | flow.StatusAssured | flow.StatusSrcNAT}
}

// answer carries out everything that the engine wants, until it wants nothing.
func (h *host) answer(ctx context.Context) error {
	for {
		r := h.eng.Ready()
		if len(r.Ops)+len(r.Lookups)+len(r.Prepare) == 0 {
			return nil
		}
		ops, lookups, prepare := r.Ops, r.Lookups, r.Prepare
		h.results = slices.Grow(h.results[:0], len(ops))[:len(ops)]
		h.nic.Apply(ctx, ops, h.results)
		h.dones = h.dones[:0]
		for i := range ops {
			if h.results[i].Err != nil {
				return fmt.Errorf("%s: %w", ops[i].Rule.String(), h.results[i].Err)
			}
			h.dones = append(h.dones, offload.Done{Op: ops[i], Result: h.results[i]})
		}
		for i := range lookups {
			h.eng.Step(flow.Answer{ID: lookups[i].ID, Gen: lookups[i].Gen, Routes: routes})
		}
		for i := range prepare {
			p := &prepare[i]
			h.eng.Step(flow.Prepared{ID: p.ID, Gen: p.Gen, Entry: entry(int(p.EntryID) - 1)})
		}
		h.eng.Done(h.dones)
	}
}

// say tells the engine of flows [from, to) in batches, as a socket would.
func (h *host) say(ctx context.Context, kind flow.ConnKind, from, to int) error {
	for i := from; i < to; i += cap(h.conns) {
		h.conns = h.conns[:0]
		for k := i; k < min(i+cap(h.conns), to); k++ {
			h.conns = append(h.conns, flow.Conn{Kind: kind, Entry: entry(k), At: h.now})
		}
		h.eng.Step(h.conns)
		if err := h.answer(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) fill(ctx context.Context, n int) error {
	if err := h.say(ctx, flow.ConnUpdate, 0, n); err != nil {
		return err
	}
	if got := h.eng.Stats().RulesInHW; got != 2*n {
		return fmt.Errorf("%d rules in hardware instead of %d", got, 2*n)
	}
	return nil
}

// deviceBytes is what the in-memory NIC takes for a flow's two rules, measured
// on a card without an engine.
func (h *host) deviceBytes(n int) float64 {
	views, next, done := h.eng.List(0, n, nil, nil)
	_, _ = next, done
	if len(views) == 0 {
		return 0
	}
	before := heap()
	card := sim.New(sim.Options{Ports: ports, MaxRules: 2 * n})
	for in, err := range h.nic.Rules(context.Background()) {
		if err == nil {
			_, _ = card.Install(in.Rule)
		}
	}
	per := float64(heap()-before) / float64(n)
	runtime.KeepAlive(card)
	return per
}

// updates takes in n events for flows in hardware, visited in a scattered order.
func (h *host) updates(n int) (rate, allocs float64) {
	flows := h.eng.Stats().Tracked
	h.conns = h.conns[:cap(h.conns)]
	ring := make([]flow.Entry, min(flows, 1<<16))
	for i := range ring {
		ring[i] = entry(i * 7919 % flows)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for i := range n {
		h.conns[i%cap(h.conns)] = flow.Conn{Kind: flow.ConnUpdate, Entry: ring[i%len(ring)], At: h.now}
		if i%cap(h.conns) == cap(h.conns)-1 {
			h.eng.Step(h.conns)
			h.eng.Ready()
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	return float64(n) / took.Seconds(), float64(after.Mallocs-before.Mallocs) / float64(n)
}

// churn lets n further flows live and die, 64 at a time, beside the others.
func (h *host) churn(ctx context.Context, n int) (rate, allocs float64, err error) {
	first := h.eng.Stats().Tracked
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for range n / 64 {
		for _, kind := range []flow.ConnKind{flow.ConnUpdate, flow.ConnDestroy} {
			if err := h.say(ctx, kind, first, first+64); err != nil {
				return 0, 0, err
			}
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	done := float64(n / 64 * 64)
	return done / took.Seconds(), float64(after.Mallocs-before.Mallocs) / done, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
