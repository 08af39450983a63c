package flower

import (
	"context"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// yes is a kernel that takes everything at once: what is left is the driver.
type yes struct{ *fakeKernel }

func (yes) Apply(_ context.Context, _ *tc.Shape, reqs []tc.Request, out []tc.Response) {
	for i := range reqs {
		out[i] = tc.Response{Flags: tc.SkipSW | tc.InHW}
	}
}

// What the driver adds to each rule: checks, its table, and the batch.
func BenchmarkApply(b *testing.B) {
	p := testProfile()
	k := newFakeKernel()
	d := newDevice(New(p), yes{k}, nil, &card{}, settings{prio: defaultPrio}, hwif.OpenOptions{}, nil)
	for _, i := range []hwif.Ifindex{10, 11} {
		d.ports[string(rune(i))] = &port{Port: fakePort(i, "p", hwif.PortVF), joins: []hwif.Ifindex{10, 11}}
	}
	const n = 1024
	ops, results := make([]hwif.Op, n), make([]hwif.Result, n)
	for i := range ops {
		r := (&feature{fields: hwif.RoutedFlow, actions: hwif.Routed, fam: hwif.IPv4, proto: hwif.ProtoUDP}).rule(11, 10, &hwif.Caps{})
		r.Cookie, r.Match.SrcPort = hwif.NewCookie(uint64(i)+1, 0), uint16(i)
		ops[i].Rule = r
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, kind := range []hwif.OpKind{hwif.OpInstall, hwif.OpRemove} {
			for i := range ops {
				ops[i].Kind = kind
			}
			d.Apply(b.Context(), ops, results)
		}
	}
	for i := range results {
		if results[i].Err != nil {
			b.Fatal(results[i].Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/rule")
}
