//go:build netns

package xdp

import (
	"context"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// BenchmarkPipeline is the program's cost per frame without any driver, by
// BPF_PROG_TEST_RUN. The frame is used again and again, so that the rule changes
// it into itself: every store is done, nothing but TTL-1 is left out.
func BenchmarkPipeline(b *testing.B) {
	for _, c := range []struct {
		name string
		fam  hwif.Family
		nat  hwiftest.NAT
		miss bool
	}{
		{"hit ipv4", hwif.IPv4, hwiftest.NoNAT, false}, {"hit ipv4 nat", hwif.IPv4, hwiftest.BothNAT, false},
		{"hit ipv6", hwif.IPv6, hwiftest.NoNAT, false}, {"hit ipv6 nat", hwif.IPv6, hwiftest.BothNAT, false},
		{"miss ipv4", hwif.IPv4, hwiftest.NoNAT, true}, {"miss ipv6", hwif.IPv6, hwiftest.NoNAT, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newWires(b, wireOptions{})
			d := w.open(hwif.OpenOptions{MaxRules: 1024, Settings: map[string]string{"mode": "native"}})
			defer d.Close(true)
			in := w.ports[0]
			// A test run has no sk_buff behind it to look at.
			must(b, d.coll.Maps[bpfMapPorts].Put(uint32(in.Ifindex), bpfPort{Slot: d.ports[in.Ifindex].slot}), "enter the port")
			f := hwiftest.Flow{N: 1, Family: c.fam, Proto: hwif.ProtoUDP, NAT: c.nat, In: in, Out: w.ports[1]}
			r := f.Rule(hwif.NewCookie(1, 0))
			r.Actions.Set = r.Actions.Set.Without(hwif.ActDecTTL)
			r.Actions.EthDst, r.Actions.IPSrc, r.Actions.IPDst = in.MAC, r.Match.Src, r.Match.Dst
			r.Actions.SrcPort, r.Actions.DstPort = r.Match.SrcPort, r.Match.DstPort
			if c.nat == hwiftest.NoNAT {
				r.Actions.IPSrc, r.Actions.IPDst, r.Actions.SrcPort, r.Actions.DstPort = hwif.Addr{}, hwif.Addr{}, 0, 0
			}
			if c.miss {
				r.Match.SrcPort++
			}
			installAll(b, d, r)
			frame := f.Frame().MustBuild()
			b.ReportAllocs()
			b.ResetTimer()
			w.inRouter(func() {
				ctx := xdpMD{DataEnd: uint32(len(frame)), Ingress: uint32(in.Ifindex)}
				ret, err := d.coll.Programs[bpfProgShuntPipeline].Run(&ebpf.RunOptions{Data: frame, Context: ctx, Repeat: uint32(b.N)})
				must(b, err, "run")
				if want := map[bool]uint32{false: 4, true: 2}[c.miss]; ret != want {
					b.Fatalf("verdict %d, want %d", ret, want)
				}
			})
			b.StopTimer()
			list, err := d.Counters(context.Background(), nil)
			must(b, err, "Counters")
			if n := list[0].Packets; !c.miss && n < uint64(b.N) || c.miss && n != 0 {
				b.Fatalf("%d of %d frames hit", n, b.N)
			}
		})
	}
}

// xdpMD is struct xdp_md of linux/bpf.h.
type xdpMD struct {
	Data, DataEnd, DataMeta, Ingress, RxQueue, Egress uint32
}

// benchTable is a device with n rules in it, and n others.
func benchTable(b *testing.B, n int) (*Device, []hwif.Op, []hwif.Op) {
	w := newWires(b, wireOptions{})
	d := w.open(hwif.OpenOptions{MaxRules: 2 * n, Settings: map[string]string{"mode": "native"}})
	b.Cleanup(func() { d.Close(true) })
	install, remove := make([]hwif.Op, 2*n), make([]hwif.Op, 2*n)
	for i := range install {
		f := hwiftest.Flow{N: i, Family: hwif.IPv4, Proto: hwif.ProtoTCP, NAT: hwiftest.SNAT, In: w.ports[0], Out: w.ports[1]}
		r := f.Rule(hwif.NewCookie(uint64(i), 0))
		r.Match.SrcPort += uint16(i >> 16)
		install[i], remove[i] = hwif.Op{Kind: hwif.OpInstall, Rule: r}, hwif.Op{Kind: hwif.OpRemove, Rule: r}
	}
	apply(b, d, install[:n])
	return d, install[n:], remove[n:]
}

func apply(b *testing.B, d *Device, ops []hwif.Op) {
	results := make([]hwif.Result, len(ops))
	d.Apply(context.Background(), ops, results)
	for _, r := range results {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

// BenchmarkInstall: one operation is one rule, in batches of Caps.Batch, beside
// 50000 rules that stay.
func BenchmarkInstall(b *testing.B) {
	d, install, remove := benchTable(b, 50_000)
	n := d.Caps().Batch
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += n {
		apply(b, d, install[:n])
		b.StopTimer()
		apply(b, d, remove[:n])
		b.StartTimer()
	}
}

// BenchmarkRemove: one operation is one rule, in batches of Caps.Batch; each batch
// waits for a grace period of the kernel.
func BenchmarkRemove(b *testing.B) {
	d, install, remove := benchTable(b, 50_000)
	n := d.Caps().Batch
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += n {
		b.StopTimer()
		apply(b, d, install[:n])
		b.StartTimer()
		apply(b, d, remove[:n])
	}
}

// BenchmarkCounters: one operation reads the counters of 50000 rules.
func BenchmarkCounters(b *testing.B) {
	d, _, _ := benchTable(b, 50_000)
	var into []hwif.Counted
	b.ReportAllocs()
	for b.Loop() {
		var err error
		into, err = d.Counters(context.Background(), into[:0])
		must(b, err, "Counters")
	}
	if len(into) != 50_000 {
		b.Fatalf("%d counters", len(into))
	}
}

// BenchmarkRules: one operation lists 50000 rules.
func BenchmarkRules(b *testing.B) {
	d, _, _ := benchTable(b, 50_000)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range d.Rules(context.Background()) {
			must(b, err, "Rules")
			n++
		}
		if n != 50_000 {
			b.Fatalf("%d rules", n)
		}
	}
}
