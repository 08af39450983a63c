package conntrack

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

func BenchmarkDecode(b *testing.B) {
	for _, tc := range []struct{ name string }{
		{"tcp4_update"}, {"largest"},
	} {
		var msg []byte
		for _, line := range recorded(b) {
			m := bytesOf(b, line)
			h, _, _, _ := nextMessage(m)
			switch {
			case tc.name == "tcp4_update" && strings.HasPrefix(line, "event") && h.Type == typeNew && m[headerLen] == 2 && msg == nil:
				msg = m
			case tc.name == "largest" && len(m) > len(msg):
				msg = m
			}
		}
		b.Run(tc.name, func(b *testing.B) {
			var e flow.Entry
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if err := Decode(msg, &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReader is everything but the system call: header, decode, order,
// batching and the copy that is handed over.
func BenchmarkReader(b *testing.B) {
	for _, during := range []string{"following", "listing"} {
		b.Run(during, func(b *testing.B) {
			var datagrams [][]byte
			for _, line := range recorded(b) {
				if strings.HasPrefix(line, "event") {
					datagrams = append(datagrams, bytesOf(b, line))
				}
			}
			for len(datagrams) < bufCount {
				datagrams = append(datagrams, datagrams...)
			}
			datagrams = datagrams[:bufCount]
			left := 0
			r := newReader()
			r.events = func() ([][]byte, error) {
				if left <= 0 {
					return nil, nil
				}
				left--
				return datagrams, nil
			}
			r.spare = func() ([][]byte, error) { return nil, nil }
			r.emit = func(flow.Event) {}
			start := time.Now()
			r.clock = func() flow.Time { return flow.Time(time.Since(start)) }
			r.now, r.log, r.count = time.Now, slog.New(slog.DiscardHandler), new(counters)
			r.order.on = during == "listing"
			b.ReportAllocs()
			for b.Loop() {
				left = 64
				if _, err := r.drain(); err != nil {
					b.Fatal(err)
				}
				r.order.step()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64*bufCount), "ns/event")
		})
	}
}

func BenchmarkAppendChange(b *testing.B) {
	var e flow.Entry
	if err := Decode(bytesOf(b, recorded(b)[0]), &e); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendChange(buf[:0], 1, &e.Orig, change{timeout: 5, liberal: true})
	}
}
