package conntrack

import (
	"sync"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// touchMax bounds the queue of touches. A refresh that is dropped is asked for
// again by its flow's next round.
const touchMax = 1 << 18

// queue holds what waits for the writer.
type queue struct {
	mu       sync.Mutex
	prepares []flow.Prepare
	touches  []flow.Touch
	signal   chan struct{} // of one place: something was put in
}

// Prepare queues entries to be made ready for hardware; it never blocks. Each is
// answered by one flow.Prepared, unless Run ends before.
func (t *Tracker) Prepare(ps []flow.Prepare) {
	t.queue.mu.Lock()
	t.queue.prepares = append(t.queue.prepares, ps...)
	t.queue.mu.Unlock()
	t.queue.ring()
}

// Touch queues refreshes and releases; it never blocks and has no answer. What
// the kernel refuses is counted; that an entry is gone is normal.
func (t *Tracker) Touch(ts []flow.Touch) {
	t.queue.mu.Lock()
	room := min(touchMax-len(t.queue.touches), len(ts))
	t.queue.touches = append(t.queue.touches, ts[:room]...)
	t.queue.mu.Unlock()
	if dropped := len(ts) - room; dropped > 0 {
		t.count.touchDropped.Add(uint64(dropped))
		t.log.Warn("conntrack: too many touches wait; some were dropped", "dropped", dropped, "waiting", touchMax)
	}
	t.queue.ring()
}

func (q *queue) ring() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// take gives up to batchMax of one kind, prepares first.
func (q *queue) take(ps []flow.Prepare, ts []flow.Touch) ([]flow.Prepare, []flow.Touch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.prepares, ps = shift(q.prepares, ps); len(ps) > 0 {
		return ps, ts[:0]
	}
	q.touches, ts = shift(q.touches, ts)
	return ps, ts
}

// shift moves up to batchMax from the front of q to into.
func shift[T any](q, into []T) (rest, out []T) {
	n := min(len(q), batchMax)
	out = append(into[:0], q[:n]...)
	if n == len(q) {
		return q[:0], out
	}
	return q[n:], out
}
