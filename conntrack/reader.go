package conntrack

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

const (
	// batchConns is how many Conn one emitted batch holds at most.
	batchConns = 256
	// drainMax is how many events are read before a listing gets its turn again.
	drainMax = 16 << 10
)

// receive gives waiting datagrams, as socket.recv does. A test brings its own.
type receive func() ([][]byte, error)

// reader turns datagrams into events. Owned by the goroutine of Tracker.Run.
type reader struct {
	events, spare, chunk receive
	request              func(seq uint32) error // asks for a listing
	emit                 func(flow.Event)
	clock                func() flow.Time
	now                  func() time.Time // for back-off
	log                  *slog.Logger
	count                *counters
	own                  uint32 // port id of the writer
	assured              bool

	order *order
	batch []flow.Conn // gathered; emitted as a copy of just its size
	held  []flow.Conn // DESTROYs from spare, after a loss

	destroys int  // read from events since the spare socket was last emptied
	lossy    bool // events overran and is not empty yet
	wish     bool // a listing is wanted
	list     listing
}

func newReader() *reader {
	return &reader{order: newOrder(), batch: make([]flow.Conn, 0, batchConns), wish: true}
}

// round reads what there is, once. idle says that nothing is left to do until
// the events socket wakes us, or after d when that is not negative.
func (r *reader) round() (idle bool, d time.Duration, err error) {
	if !r.list.on && !r.lossy && r.wish {
		if d := r.list.after.Sub(r.now()); d > 0 {
			empty, err := r.drain()
			return empty && !r.lossy, d, err
		}
		r.startListing()
	}
	var datagrams [][]byte
	var written flow.Time
	if r.list.on {
		var failed error
		// The kernel writes a datagram when the one before is read, the first one with
		// the request: this one says what was true since then, not what is now.
		written, r.list.asked = r.list.asked, r.clock()
		if datagrams, failed = r.chunk(); failed != nil {
			r.failListing(failed)
		}
		r.order.step()
	}
	spareEmpty := false // nor known to be, when the loss shows in this round
	if r.lossy {
		spareEmpty = r.hold()
	}
	empty, err := r.drain()
	if err != nil {
		return false, 0, err
	}
	if r.lossy && empty {
		r.release()
		if spareEmpty {
			r.lossy = false
			r.destroys = 0 // too few is safe: they are only kept longer
			r.order.forget()
		}
	}
	for _, b := range datagrams {
		r.listChunk(b, written)
	}
	r.flush()
	if r.list.on && len(datagrams) == 0 {
		// A listing is answered before the request returns; this one broke off.
		r.failListing(errNoAnswer)
	}
	return empty && !r.lossy && !r.list.on && !r.wish, -1, nil
}

// drain reads and emits events until there are none (empty) or it is the
// listing's turn.
func (r *reader) drain() (empty bool, err error) {
	for n := 0; n < drainMax; {
		msgs, err := r.events()
		switch {
		case errors.Is(err, errLost), errors.Is(err, errCut):
			r.lose(err)
			continue
		case err != nil:
			return false, err
		case len(msgs) == 0:
			r.flush()
			r.trimSpare()
			return true, nil
		}
		at := r.clock()
		for _, m := range msgs {
			r.message(m, at)
		}
		n += len(msgs)
		if len(r.batch) > batchConns-bufCount {
			r.flush()
		}
	}
	r.flush()
	return false, nil
}

// message takes in one event.
func (r *reader) message(b []byte, at flow.Time) {
	h, msg, _, err := nextMessage(b)
	if err != nil {
		r.malformed(err)
		return
	}
	kind := flow.ConnUpdate
	switch {
	case h.Type == typeDelete:
		kind = flow.ConnDestroy
		r.destroys++
		r.count.destroyed.Add(1)
	case h.Type != typeNew:
		r.count.foreign.Add(1)
		return
	case h.Flags&unix.NLM_F_CREATE != 0:
		kind = flow.ConnNew
		r.count.created.Add(1)
	default:
		r.count.updated.Add(1)
		if h.Pid == r.own {
			r.count.own.Add(1)
			return
		}
	}
	c := r.place()
	if err := decode(msg, &c.Entry); err != nil {
		r.unplace()
		r.malformed(err)
		return
	}
	switch {
	case !wanted(&c.Entry, r.assured && kind != flow.ConnNew):
		r.unplace()
		r.count.foreign.Add(1)
		return
	case !r.order.event(kind, &c.Entry.Orig):
		r.unplace()
		r.count.late.Add(1)
		return
	}
	c.Kind, c.At = kind, at
}

// malformed counts. What an unreadable event said is not known, so a listing
// has to say it.
func (r *reader) malformed(err error) {
	if r.count.malformed.Add(1) == 1 {
		r.log.Warn("conntrack: unreadable event, listing instead; further ones are only counted", "err", err)
	}
	r.list.hold(r.now(), time.Second)
	r.wish = true
}

// lose reports a loss, once until the socket is empty again.
func (r *reader) lose(why error) {
	r.count.losses.Add(1)
	r.list.void = r.list.on
	r.wish = true
	if r.lossy {
		return
	}
	r.lossy = true
	r.flush()
	r.emit(flow.Loss{Source: flow.SourceConntrack, Text: fmt.Sprintf("conntrack events were lost: %v", why)})
}

// place gives the next free Conn of the batch, unplace takes it back.
func (r *reader) place() *flow.Conn {
	if len(r.batch) == batchConns {
		r.flush()
	}
	r.batch = r.batch[:len(r.batch)+1]
	return &r.batch[len(r.batch)-1]
}

func (r *reader) unplace() { r.batch = r.batch[:len(r.batch)-1] }

// flush hands over what was gathered: one allocation a batch, none an event.
func (r *reader) flush() {
	if len(r.batch) > 0 {
		r.emit(flow.Conns(slices.Clone(r.batch)))
		r.batch = r.batch[:0]
	}
}
