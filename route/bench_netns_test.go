//go:build netns

package route

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// BenchmarkKernel looks flows up in a router's real tables.
func BenchmarkKernel(b *testing.B) {
	l := newLab(b)
	r := l.open(Options{})
	defer r.Close()
	if err := r.listSetup(l); err != nil {
		b.Fatal(err)
	}
	qs := make([]flow.Query, chunk)
	for i := range qs {
		qs[i] = toB
		qs[i].ID = flow.ID(i)
		qs[i].Orig.Dst[3], qs[i].Reply.Src[3] = byte(i+1), byte(i+1)
	}
	ids := make([]flow.ID, chunk)
	for i := range ids {
		ids[i] = flow.ID(i)
	}
	each := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			before := r.ask.asked
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(chunk*b.N)/b.Elapsed().Seconds(), "flows/s")
			b.ReportMetric(float64(r.ask.asked-before)/b.Elapsed().Seconds(), "lookups/s")
		})
	}
	r.emit = func(e flow.Event) {
		if a, ok := e.(flow.Answer); !ok || a.Reasons != 0 {
			b.Fatalf("said %+v", e)
		}
	}
	each("resolve", func() error { return r.resolve(qs) })
	each("recheck", func() error { return r.reconsider(ids, true, &stir{}) })
	each("periodic", func() error { return r.reconsider(ids, false, &stir{}) })
	asks, out := make([]rtnl.Ask, rtnl.BatchSize), make([]rtnl.Answer, rtnl.BatchSize)
	for i := range asks {
		asks[i] = r.ask.question(&qs[i], flow.Orig, l.ifindex("r0"))
	}
	for _, n := range []int{1, 8, 64} {
		b.Run("batch_"+itoa(uint32(n)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := r.conn.Lookup(asks[:n], out[:n]); err != nil || out[n-1].Errno != 0 || out[0].Route.Type != unix.RTN_UNICAST {
					b.Fatal(err, out[n-1].Errno)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "lookups/s")
		})
	}
}

// listSetup makes the picture without Run.
func (r *Resolver) listSetup(l *lab) error {
	r.emit = func(flow.Event) {}
	r.setPorts(l.ports())
	return r.listAll()
}
