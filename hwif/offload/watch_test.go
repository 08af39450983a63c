package offload_test

import (
	"testing"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// TestSince follows a thousand flows through the log in small bites and ends
// with the same picture as a fresh listing, whatever happened in between.
func TestSince(t *testing.T) {
	c := newCrowd(0)
	seen := map[uint64]offload.View{}
	seq := uint64(0)
	follow := func(bite int) {
		deltas, next, ok := c.eng.Since(seq, bite, nil)
		if !ok {
			t.Fatalf("the log does not reach back to %d of %d", seq, c.eng.Seq())
		}
		last := seq
		for _, d := range deltas {
			if d.Seq <= last {
				t.Fatalf("change %d came after %d", d.Seq, last)
			}
			last = d.Seq
			if d.View.Gone {
				delete(seen, d.View.UID)
			} else {
				seen[d.View.UID] = d.View
			}
		}
		seq = next
	}
	for round := range 20 {
		c.fill(1000)
		follow(300)
		conns := flow.Conns{}
		for i := round; i < 1000; i += 7 {
			conns = append(conns, flow.Conn{Kind: flow.ConnDestroy, Entry: entry(i), At: c.now})
		}
		c.eng.Step(conns)
		c.answer(nil)
		follow(50)
	}
	for seq < c.eng.Seq() {
		follow(64)
	}
	views, _, _ := c.eng.List(0, 1<<20, nil, nil)
	if len(views) != len(seen) || len(views) == 0 {
		t.Fatalf("%d flows listed, %d known by watching", len(views), len(seen))
	}
	for _, v := range views {
		if got := seen[v.UID]; got.State != v.State || got.Seq != v.Seq {
			t.Errorf("flow %d is %s at %d, watching says %s at %d", v.UID, v.State, v.Seq, got.State, got.Seq)
		}
	}
}

// TestSinceTooOld says so when the log was outrun, rather than leave a gap.
func TestSinceTooOld(t *testing.T) {
	c := newCrowd(0)
	c.fill(100)
	if _, _, ok := c.eng.Since(c.eng.Seq()+1, 10, nil); ok {
		t.Error("a number from the future was accepted")
	}
	start := c.eng.Seq()
	for range 100 {
		c.fill(1000)
		conns := flow.Conns{}
		for i := range 1000 {
			conns = append(conns, flow.Conn{Kind: flow.ConnDestroy, Entry: entry(i), At: c.now})
		}
		c.eng.Step(conns)
		c.answer(nil)
	}
	if _, _, ok := c.eng.Since(start, 10, nil); ok {
		t.Errorf("the log claims to reach from %d back to %d", c.eng.Seq(), start)
	}
}
