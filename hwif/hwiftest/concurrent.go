package hwiftest

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/shunt-offload/shunt/hwif"
)

// testConcurrent: listings and counters run beside Apply, and frames beside both.
// No reader may ever see half a rule or a falling counter. Meant for -race.
func testConcurrent(b *bench) {
	const rounds, n = 40, 16
	var rules [n]hwif.Rule
	known := map[hwif.Cookie]hwif.Rule{}
	for i := range rules {
		rules[i] = b.rule(i)
		known[rules[i].Cookie] = rules[i]
	}
	b.install(rules[0]) // stays throughout
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		var last hwif.Counter
		var buf []hwif.Counted
		for !stop.Load() {
			seen := false
			for in, err := range b.nic.Rules(context.Background()) {
				if err != nil {
					b.Errorf("Rules: %v", err)
					return
				}
				if in.Rule != known[in.Rule.Cookie] {
					b.Errorf("half a rule: %s", &in.Rule)
				}
				seen = seen || in.Rule == rules[0]
			}
			if !seen {
				b.Error("a rule that nobody touched was not listed")
			}
			var err error
			if buf, err = b.nic.Counters(context.Background(), buf[:0]); err != nil {
				b.Errorf("Counters: %v", err)
			}
			for _, c := range buf {
				if c.Cookie == rules[0].Cookie {
					if c.Packets < last.Packets || c.Bytes < last.Bytes {
						b.Errorf("counter fell from %+v to %+v", last, c.Counter)
					}
					last = c.Counter
				}
			}
			if _, err := b.nic.Ports(context.Background()); err != nil {
				b.Errorf("Ports: %v", err)
			}
		}
	})
	wg.Go(func() {
		raw, want := b.flow(0).Frame().MustBuild(), Forwarded
		if b.flow(0).drops() {
			want = Dropped
		}
		for !stop.Load() {
			if out := b.h.Inject(b.in().Ifindex, raw); out.Verdict != want {
				b.Errorf("a frame of the rule that nobody touched: %s", out.Verdict)
				return
			}
		}
	})
	for range rounds {
		var ops []hwif.Op
		for i := 1; i < n; i++ {
			ops = append(ops, install(rules[i]))
		}
		for i := 1; i < n; i++ {
			ops = append(ops, remove(rules[i]))
		}
		for i, res := range b.apply(ops...) {
			if res.Err != nil {
				b.Errorf("%s: %v", ops[i].Kind, res.Err)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	b.wantRules(rules[0])
}
