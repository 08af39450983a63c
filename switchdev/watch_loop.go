package switchdev

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// settleMost is how many settle times a re-read may be put off by further news,
// and how often the time doubles while it fails.
const settleMost = 8

// loop is the one goroutine that owns the view.
func (w *Watcher) loop(ctx context.Context, ch <-chan batch, fn func(Event)) error {
	settle := time.NewTimer(0)
	<-settle.C
	var latest time.Time // when the re-read must be done; zero when none is due
	var poll <-chan time.Time
	if w.opts.Poll > 0 {
		t := time.NewTicker(w.opts.Poll)
		defer t.Stop()
		poll = t.C
	}
	defer settle.Stop()
	emit := func() error { return w.emit(ctx, fn) }
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case b := <-ch:
			err = w.take(ctx, b, fn, emit)
		case <-poll:
			w.view.doubt = true
		case <-settle.C:
			latest = time.Time{}
			if w.owed != "" {
				err = w.resyncFor(ctx, fn, w.owed)
			} else {
				err = w.reread(ctx)
			}
		}
		if err == nil {
			err = emit()
		}
		if err != nil {
			return err
		}
		if !w.view.doubt {
			continue
		}
		w.view.doubt = false
		now, wait := time.Now(), w.opts.Settle<<min(w.failed, settleMost)
		first := latest.IsZero()
		if first {
			latest = now.Add(settleMost * wait)
		}
		if first || now.Add(wait).Before(latest) {
			settle.Reset(wait)
		}
	}
}

// take applies what was heard.
func (w *Watcher) take(ctx context.Context, b batch, fn func(Event), emit func() error) error {
	if b.err != nil {
		return b.err
	}
	if b.lost {
		return w.resync(ctx, fn)
	}
	for _, m := range b.msgs {
		apply := w.view.link
		if b.devlink {
			apply = w.view.devlink
		}
		lostPort, err := apply(m)
		if err != nil {
			// What we can't read may be anything: look for ourselves.
			return w.resyncFor(ctx, fn, err.Error())
		}
		// A port's end is told at once, before anything that follows: its number may
		// be given to another.
		if lostPort {
			if err := emit(); err != nil {
				return err
			}
		}
	}
	return nil
}

// emit makes the new inventory public, and then tells what is new in it.
func (w *Watcher) emit(ctx context.Context, fn func(Event)) error {
	if !w.view.dirty {
		return nil
	}
	w.view.dirty = false
	w.conn.mu.Lock()
	err := w.conn.readOffload(ctx, w.view.s)
	w.conn.mu.Unlock()
	if err != nil {
		return err
	}
	was := w.view.inv
	w.view.inv = w.view.s.build()
	w.inv.Store(w.view.inv)
	for _, e := range diff(was, w.view.inv) {
		fn(e)
	}
	return nil
}

// reread reads what devlink says; interfaces are known from notifications. What
// is not settled yet, or refused for the moment, is read again.
func (w *Watcher) reread(ctx context.Context) error {
	w.conn.mu.Lock()
	defer w.conn.mu.Unlock()
	s := newSight()
	s.before = w.view.s.devs
	settled, err := w.conn.readDevices(ctx, s)
	if err != nil {
		if ctx.Err() != nil || final(err) {
			return err
		}
	}
	if !settled {
		w.failed++
		w.view.doubt = true
		return nil
	}
	w.failed = 0
	w.view.devices(s)
	return nil
}

// final reports whether it is useless to ask again.
func final(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EBADF)
}

func (w *Watcher) resync(ctx context.Context, fn func(Event)) error {
	return w.resyncFor(ctx, fn, "the receive buffer overflowed (ENOBUFS)")
}

// resyncFor reads everything anew; when the kernel has no answer just now, again
// later.
func (w *Watcher) resyncFor(ctx context.Context, fn func(Event), cause string) error {
	s, err := w.conn.lookLocked(ctx)
	if errors.Is(err, ErrUnsettled) {
		s, err = w.conn.lookLocked(ctx)
	}
	if err != nil {
		if ctx.Err() != nil || final(err) {
			return err
		}
		w.owed, w.view.doubt = cause, true
		w.failed++
		return nil
	}
	w.owed, w.failed = "", 0
	w.view.s, w.view.dirty = s, true
	fn(Resync{cause})
	return nil
}
