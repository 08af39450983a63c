package conntrack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// Run subscribes to events, then lists the table, then follows both until ctx is
// done, and returns nil then. Touches that were queued before that are still
// carried out. An error means that a socket broke.
//
// emit is never called by two goroutines at once, and what it is given belongs
// to it. While it blocks, events wait in the kernel, until they overrun. It must
// return when ctx is done.
func (t *Tracker) Run(ctx context.Context, emit func(flow.Event)) error {
	if !t.running.CompareAndSwap(false, true) {
		return errors.New("conntrack: Run is running already")
	}
	defer t.running.Store(false)

	r := t.newReader()
	t.discard(r)
	if err := t.events.join(unix.NFNLGRP_CONNTRACK_NEW, unix.NFNLGRP_CONNTRACK_UPDATE, unix.NFNLGRP_CONNTRACK_DESTROY); err != nil {
		return err
	}
	defer t.events.leave(unix.NFNLGRP_CONNTRACK_NEW, unix.NFNLGRP_CONNTRACK_UPDATE, unix.NFNLGRP_CONNTRACK_DESTROY)
	if err := t.spare.join(unix.NFNLGRP_CONNTRACK_DESTROY); err != nil {
		return err
	}
	defer t.spare.leave(unix.NFNLGRP_CONNTRACK_DESTROY)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, t.wake.up)
	defer stop()

	var mu sync.Mutex
	one := func(e flow.Event) {
		mu.Lock()
		defer mu.Unlock()
		emit(e)
	}
	written := make(chan error, 1)
	go func() {
		defer cancel()
		written <- t.writer(ctx, one)
	}()
	r.emit = one
	err := t.follow(ctx, r)
	cancel()
	return errors.Join(err, <-written)
}

// Relist asks for a listing, which ends with flow.Synced. Calls before it has
// begun are one.
func (t *Tracker) Relist() {
	t.relist.Store(true)
	t.wake.up()
}

func (t *Tracker) newReader() *reader {
	r := newReader()
	r.events, r.spare, r.chunk = t.events.recv, t.spare.recv, t.listing.recv
	r.clock, r.now, r.log, r.count = t.clock, time.Now, t.log, &t.count
	r.own, r.assured = t.write.portid, t.onlyAssured
	var req []byte
	r.request = func(seq uint32) error {
		// Before the walk: what was born unheard until now is in it.
		t.sysctl.look(t.log)
		req = appendDump(req[:0], seq, t.onlyAssured)
		return t.listing.send(req)
	}
	return r
}

// follow is the reader's loop.
func (t *Tracker) follow(ctx context.Context, r *reader) error {
	for ctx.Err() == nil {
		if t.relist.Swap(false) {
			r.wish = true
		}
		idle, d, err := r.round()
		if err != nil {
			return fmt.Errorf("follow conntrack: %w", err)
		}
		if !idle || t.relist.Load() {
			continue
		}
		if err := t.wake.wait(t.events, d); err != nil {
			return err
		}
	}
	return nil
}

// discard empties the sockets of what an earlier Run left in them.
func (t *Tracker) discard(r *reader) {
	r.empty(t.events.recv)
	r.empty(t.spare.recv)
	r.empty(t.listing.recv)
}

// empty throws away what waits in a socket.
func (r *reader) empty(recv receive) {
	for {
		msgs, err := recv()
		if err == nil && len(msgs) == 0 || err != nil && !errors.Is(err, errLost) && !errors.Is(err, errCut) {
			return
		}
	}
}
