package switchdev

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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
type Watcher struct {
	conn      *Conn
	listeners []*listener
	opts      WatchOptions
	view      view
	failed    int    // re-reads in a row that came to nothing
	owed      string // cause of a resync that came to nothing and is tried again
	inv       atomic.Pointer[Inventory]
}

// NewWatcher subscribes in the calling thread's network namespace and then takes
// the first look, so that no change after it is missed.
func NewWatcher(ctx context.Context, o WatchOptions) (w *Watcher, err error) {
	w = &Watcher{opts: o.defaults()}
	defer func() {
		if err != nil {
			w.Close()
			w = nil
		}
	}()
	for _, open := range []func(int) (*listener, error){listenLinks, listenDevlink} {
		l, err := open(w.opts.ReceiveBuffer)
		if err != nil {
			return w, err
		}
		if l != nil {
			w.listeners = append(w.listeners, l)
		}
	}
	if w.conn, err = Open(); err != nil {
		return w, err
	}
	return w, w.first(ctx)
}

func (o WatchOptions) defaults() WatchOptions {
	if o.Settle <= 0 {
		o.Settle = 20 * time.Millisecond
	}
	if o.Poll == 0 {
		o.Poll = 5 * time.Second
	}
	if o.ReceiveBuffer <= 0 {
		o.ReceiveBuffer = 4 << 20
	}
	return o
}

// first takes the first look.
func (w *Watcher) first(ctx context.Context) error {
	s, err := w.conn.lookLocked(ctx)
	if err != nil {
		return err
	}
	w.view = view{s: s, inv: s.build()}
	w.inv.Store(w.view.inv)
	return nil
}

// Inventory is the newest one. When an event is handed out it has that event's
// effects already.
func (w *Watcher) Inventory() *Inventory { return w.inv.Load() }

// Run hands out events, from the calling goroutine, until ctx ends (nil) or a
// socket fails for good. What the first look found is no event: it is Inventory
// before Run. While fn works, notifications wait in the sockets' buffers; when
// these overflow, a Resync follows.
func (w *Watcher) Run(ctx context.Context, fn func(Event)) error {
	ch, stop := make(chan batch), make(chan struct{})
	var readers sync.WaitGroup
	for _, l := range w.listeners {
		if err := l.deadline(time.Time{}); err != nil {
			close(stop)
			return err
		}
		readers.Go(func() { l.run(ch, stop, l.name == "devlink") })
	}
	defer readers.Wait()
	defer func() {
		close(stop)
		for _, l := range w.listeners {
			_ = l.deadline(time.Unix(1, 0)) // fails on a closed socket, whose reader has ended
		}
	}()
	err := w.loop(ctx, ch, fn)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Close closes the sockets. Not while Run is running: end its context first.
func (w *Watcher) Close() error {
	var errs []error
	for _, l := range w.listeners {
		errs = append(errs, l.close())
	}
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(errs...)
}
