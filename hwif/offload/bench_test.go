package offload_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// crowd is an engine with n settled UDP flows over a device that takes
// everything.
type crowd struct {
	eng *offload.Engine
	now flow.Time
}

func entry(i int) flow.Entry {
	t := flow.Tuple{Family: hwif.IPv4, Proto: hwif.ProtoUDP, SrcPort: uint16(1024 + i%50000), DstPort: 443}
	binary.BigEndian.PutUint32(t.Src[:], 0x0a000000+uint32(i/50000))
	binary.BigEndian.PutUint32(t.Dst[:], 0xc0000201)
	return flow.Entry{Orig: t, Reply: t.Reversed(), ID: uint32(i + 1), Timeout: 120, Has: flow.HasTimeout,
		Status: flow.StatusConfirmed | flow.StatusSeenReply | flow.StatusAssured}
}

func newCrowd(rules int) *crowd {
	c := &crowd{eng: offload.New(offload.Options{}), now: 100e9}
	c.eng.AddDevice(allCaps(rules))
	c.eng.Tick(c.now)
	c.eng.SetPorts(0, []hwif.Port{{Ifindex: 1, Name: "lan", Up: true}, {Ifindex: 2, Name: "wan", Up: true}})
	c.eng.Observe(0, c.now, nil)
	c.eng.Step(flow.Synced{Source: flow.SourceConntrack})
	c.eng.Step(flow.Synced{Source: flow.SourceRoute})
	return c
}

var routes = [2]flow.Route{
	{In: 1, Out: 2, InMAC: hwif.MAC{2, 1}, SrcMAC: hwif.MAC{2, 2}, DstMAC: hwif.MAC{2, 3}, MTU: 1500, InMTU: 1500},
	{In: 2, Out: 1, InMAC: hwif.MAC{2, 2}, SrcMAC: hwif.MAC{2, 1}, DstMAC: hwif.MAC{2, 4}, MTU: 1500, InMTU: 1500},
}

// answer plays resolver, keeper and device until nothing is wanted.
func (c *crowd) answer(dones []offload.Done) []offload.Done {
	for {
		r := c.eng.Ready()
		if len(r.Ops)+len(r.Lookups)+len(r.Prepare) == 0 {
			return dones
		}
		dones = dones[:0]
		for _, op := range r.Ops {
			dones = append(dones, offload.Done{Op: op, Result: hwif.Result{Presence: hwif.InHW}})
		}
		lookups, prepare := r.Lookups, r.Prepare
		for i := range lookups {
			c.eng.Step(flow.Answer{ID: lookups[i].ID, Gen: lookups[i].Gen, Routes: routes})
		}
		for i := range prepare {
			c.eng.Step(flow.Prepared{ID: prepare[i].ID, Gen: prepare[i].Gen, Entry: entry(int(prepare[i].EntryID) - 1)})
		}
		c.eng.Done(dones)
	}
}

func (c *crowd) fill(n int) {
	var dones []offload.Done
	for i := 0; i < n; i += 64 {
		conns := make(flow.Conns, 0, 64)
		for k := i; k < min(i+64, n); k++ {
			conns = append(conns, flow.Conn{Kind: flow.ConnUpdate, Entry: entry(k), At: c.now})
		}
		c.eng.Step(conns)
		dones = c.answer(dones)
	}
}

// BenchmarkUpdate is one conntrack event for a flow in hardware, out of 100 000.
func BenchmarkUpdate(b *testing.B) {
	c := newCrowd(0)
	c.fill(100_000)
	conns := make(flow.Conns, 64)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		conns[i%64] = flow.Conn{Kind: flow.ConnUpdate, Entry: entry(i * 7919 % 100_000), At: c.now}
		if i++; i%64 == 0 {
			c.eng.Step(conns)
			c.eng.Ready()
		}
	}
}

// BenchmarkLife is a flow's whole way: told of, routed, prepared, both rules
// in, ended, both rules out.
func BenchmarkLife(b *testing.B) {
	c := newCrowd(0)
	c.fill(100_000)
	var dones []offload.Done
	conns := make(flow.Conns, 64)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		conns[i%64] = flow.Conn{Kind: flow.ConnUpdate, Entry: entry(200_000 + i%64), At: c.now}
		if i++; i%64 == 0 {
			c.eng.Step(conns)
			dones = c.answer(dones)
			for k := range conns {
				conns[k].Kind = flow.ConnDestroy
			}
			c.eng.Step(conns)
			dones = c.answer(dones)
		}
	}
}

// BenchmarkCount is one rule's counter taken in.
func BenchmarkCount(b *testing.B) {
	c := newCrowd(0)
	c.fill(50_000)
	views, next, done := c.eng.List(0, 1<<20, nil, nil)
	for !done {
		views, next, done = c.eng.List(next, 1<<20, nil, views)
	}
	var counted []hwif.Counted
	for i := range views {
		counted = append(counted, hwif.Counted{Cookie: views[i].Cookies[0]}, hwif.Counted{Cookie: views[i].Cookies[1]})
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		k := n % len(counted)
		counted[k].Packets++
		c.eng.Count(counted[k : k+1])
	}
}

// TestMemory holds the cost of a flow to what its records say: an arena has no
// hidden price.
func TestMemory(t *testing.T) {
	const n = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := newCrowd(0)
	c.fill(n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes per flow in hardware", per)
	if per > 1500 {
		t.Errorf("a flow in hardware takes %.0f bytes", per)
	}
	runtime.KeepAlive(c)
}
