package kernel

import (
	"context"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// outbox holds a source's events until its Run, or Drain, takes them. Guarded by
// Kernel.mu; wake has room for one and is never closed.
type outbox struct {
	events []flow.Event
	wake   chan struct{}
}

// post queues an event for a source. The caller holds the lock.
func (k *Kernel) post(src flow.Source, ev flow.Event) {
	o := &k.outbox[src]
	o.events = append(o.events, ev)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Drain takes what both sources have to say, conntrack first: for tests that step
// an engine by hand instead of running the sources.
func (k *Kernel) Drain() []flow.Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	var out []flow.Event
	for i := range k.outbox {
		out = append(out, k.outbox[i].events...)
		k.outbox[i].events = nil
	}
	return out
}

// sweep is how often Run looks for entries that have expired; the kernel's own
// collector is no finer (nf_conntrack_core.c, gc_worker).
const sweep = 200 * time.Millisecond

// run emits a source's events until ctx ends.
func (k *Kernel) run(ctx context.Context, src flow.Source, emit func(flow.Event)) error {
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	for {
		k.mu.Lock()
		k.expire()
		events := k.outbox[src].events
		k.outbox[src].events = nil
		k.mu.Unlock()
		for _, ev := range events {
			emit(ev)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.outbox[src].wake:
		case <-ticker.C:
		}
	}
}
