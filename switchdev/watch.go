package switchdev

import (
	"context"
	"time"
)

// WatchOptions has a usable zero value.
type WatchOptions struct {
	// Settle is how long devlink must be quiet before devices are read anew: a
	// change of mode creates ports one by one. Default 20 ms.
	Settle time.Duration
	// Poll is how often devices are read although nothing was notified: the kernel
	// says nothing of a change of eswitch mode that neither makes nor removes a
	// port, nor of a reset by another host. Default 5 s; negative is never.
	Poll time.Duration
	// ReceiveBuffer of each notification socket. Default 4 MiB.
	ReceiveBuffer int
}

// Watcher keeps an Inventory true.
type Watcher struct{}

// NewWatcher subscribes in the calling thread's network namespace and then takes
// the first look, so that no change after it is missed.
func NewWatcher(ctx context.Context, o WatchOptions) (*Watcher, error) { return nil, ErrNoDevlink }

// Inventory is the newest one. When an event is handed out it has that event's
// effects already.
func (w *Watcher) Inventory() *Inventory { return nil }

// Run hands out events until ctx ends (nil) or a socket fails for good. What the
// first look found is no event: it is Inventory before Run.
func (w *Watcher) Run(ctx context.Context, fn func(Event)) error { return nil }

// Close closes the sockets. Not while Run is running: end its context first.
func (w *Watcher) Close() error { return nil }
