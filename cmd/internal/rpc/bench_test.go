package rpc

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func benchViews(n int) []offload.View {
	out := make([]offload.View, n)
	for i := range out {
		t := flow.Tuple{Family: hwif.IPv4, Proto: hwif.ProtoTCP, SrcPort: uint16(i + 1), DstPort: 443}
		t.Src, t.Dst = hwif.Addr{10, 0, byte(i >> 8), byte(i)}, hwif.Addr{192, 0, 2, 1}
		out[i] = offload.View{UID: uint64(i), State: flow.StateActive, HasRoutes: true, RoutedAt: 1, Created: 1, Since: 1,
			Entry:   flow.Entry{Orig: t, Reply: t.Reversed(), Has: flow.HasTCP},
			Rules:   [2]offload.RuleState{offload.RuleInHW, offload.RuleInHW},
			Cookies: [2]hwif.Cookie{hwif.NewCookie(1, 0), hwif.NewCookie(1, 1)}, KernelAt: 1, NICAt: 1,
			History: make([]offload.Change, 4)}
	}
	return out
}

func benchConverter() *converter {
	return &converter{wall: func(t flow.Time) time.Time { return time.Unix(0, int64(t)) }, now: 2, ports: portNames{}}
}

// BenchmarkListMessage is one message of ListFlows: 64 views to bytes.
func BenchmarkListMessage(b *testing.B) {
	for _, step := range []string{"convert", "convert+marshal"} {
		b.Run(step, func(b *testing.B) {
			c, views := benchConverter(), benchViews(perMessage)
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				m := &pb.ListFlowsResponse{Flows: c.flows(views), AsOf: c.asOf()}
				if step == "convert" {
					continue
				}
				var err error
				if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*perMessage)/b.Elapsed().Seconds(), "flows/s")
			b.ReportMetric(float64(len(buf))/perMessage, "B/flow")
		})
	}
}

// TestConvertAllocs bounds what one flow costs: the listing of a million runs
// beside the packet path. 4 addresses, 6 MACs, 2 cookies, 7 times and ages, one
// for all messages, 2 for the history with 4 times.
func TestConvertAllocs(t *testing.T) {
	c, views := benchConverter(), benchViews(1)
	if n := testing.AllocsPerRun(100, func() { c.flow(&views[0]) }); n > 40 {
		t.Errorf("%v allocations for one flow", n)
	}
	if s := fmt.Sprint(c.flow(&views[0])); s == "" {
		t.Error("nothing converted")
	}
}

func TestMAC(t *testing.T) {
	for _, m := range []hwif.MAC{{}, {0x02, 0x1f, 0xa0, 0, 9, 0xff}} {
		if mac(m) != m.String() {
			t.Errorf("%s, not %s", mac(m), m)
		}
	}
}
