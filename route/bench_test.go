package route

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// crowd tracks n flows from 10.0.0.2 to hosts of their own in 198.18.0.0/15,
// all by way of 10.0.1.2, which is no matter for a notification's cost.
func crowd(b *testing.B, n int) *fixture {
	f := newFixture(b)
	f.emit = func(flow.Event) {}
	f.host.routes[netip.MustParsePrefix("198.18.0.0/15")] = via("10.0.1.2", 2)
	track(b, f, n)
	return f
}

func track(b *testing.B, f *fixture, n int) {
	qs := make([]flow.Query, 0, chunk)
	for i := range n {
		q := toB
		q.ID = flow.ID(i)
		q.Orig.Dst = hwif.Addr{198, 18 + byte(i>>16)&1, byte(i >> 8), byte(i)}
		q.Reply.Src, q.Orig.SrcPort = q.Orig.Dst, uint16(i>>17)
		if qs = append(qs, q); len(qs) == chunk || i == n-1 {
			if err := f.resolve(qs); err != nil {
				b.Fatal(err)
			}
			qs = qs[:0]
		}
	}
}

// BenchmarkRouteMessage is one RTM_NEWROUTE with 100 000 flows tracked, and the
// look-ups (of a fake kernel) for those inside its prefix.
func BenchmarkRouteMessage(b *testing.B) {
	f := crowd(b, 100_000)
	for name, prefix := range map[string]string{
		"touches_0": "203.0.113.0/24", "touches_1": "198.18.7.9/32", "touches_1024": "198.18.4.0/22",
	} {
		b.Run(name, func(b *testing.B) {
			r := via("10.0.1.2", 2)
			p := netip.MustParsePrefix(prefix)
			r.Family, r.DstLen = hwif.IPv4, uint8(p.Bits())
			r.Dst, _ = hwif.AddrFrom(p.Addr())
			m := rtnl.Msg{Type: unix.RTM_NEWROUTE}
			judged := f.stats.Judged
			b.ReportAllocs()
			for b.Loop() {
				f.onRoute(&r, &m)
				f.work()
			}
			b.ReportMetric(float64(f.stats.Judged-judged)/float64(b.N), "flows/op")
		})
	}
}

// BenchmarkNeighMessage is a refreshed neighbour that changes nothing, and one
// that nobody uses.
func BenchmarkNeighMessage(b *testing.B) {
	f := crowd(b, 100_000)
	for name, n := range map[string]rtnl.Neigh{
		"in_use": {Dst: ip("10.0.1.2"), Family: hwif.IPv4, Ifindex: 2, State: unix.NUD_REACHABLE, MAC: hwif.MAC{2, 0, 0, 0, 2, 2}},
		"unused": {Dst: ip("10.0.1.3"), Family: hwif.IPv4, Ifindex: 2, State: unix.NUD_REACHABLE, MAC: hwif.MAC{2, 0, 0, 0, 2, 3}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.onNeigh(&n, false)
			}
		})
	}
}

// BenchmarkNeighMoved takes 1, 1 000 and 100 000 flows out, of 100 000.
func BenchmarkNeighMoved(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("touches_%d", n), func(b *testing.B) {
			f := crowd(b, 100_000-n)
			f.host.routes[netip.MustParsePrefix("198.18.0.0/15")] = via("10.0.2.2", 3)
			more := make([]flow.Query, n)
			for i := range more {
				more[i] = toB
				more[i].ID = flow.ID(100_000 - n + i)
				more[i].Orig.Dst = hwif.Addr{198, 19, byte(i >> 8), byte(i)}
				more[i].Reply.Src = more[i].Orig.Dst
			}
			last := byte(0)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for i := 0; i < n; i += chunk {
					if err := f.resolve(more[i:min(i+chunk, n)]); err != nil {
						b.Fatal(err)
					}
				}
				last++
				b.StartTimer()
				f.neigh("10.0.2.2", 3, unix.NUD_REACHABLE, hwif.MAC{2, 7, last})
			}
		})
	}
}

// BenchmarkMemory reports what a tracked flow costs with a host of its own.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		b.StopTimer()
		f := newFixture(b)
		f.emit = func(flow.Event) {}
		f.host.routes[netip.MustParsePrefix("198.18.0.0/15")] = via("10.0.1.2", 2)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		track(b, f, n)
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/flow")
		runtime.KeepAlive(f)
		b.StartTimer()
	}
}
