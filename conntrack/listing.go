package conntrack

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// Listings that fail or are made void by a loss are tried again after
// listRetry, doubling up to listRetryMax.
const (
	listRetry    = 50 * time.Millisecond
	listRetryMax = 5 * time.Second
)

// listing is the state of a walk through the whole table.
type listing struct {
	on    bool
	void  bool // a loss made it worthless: read to its end, emit nothing
	seq   uint32
	begin flow.Time
	asked flow.Time     // when the kernel was last made to write
	after time.Time     // not before
	retry time.Duration // next back-off, 0 after success
}

// hold puts the next listing off, unless it already is for longer.
func (l *listing) hold(now time.Time, d time.Duration) {
	if at := now.Add(d); at.After(l.after) {
		l.after = at
	}
}

func (r *reader) startListing() {
	l := &r.list
	r.empty(r.chunk) // the kernel walks once at a time for a socket
	l.seq++
	l.begin = r.clock()
	l.asked = l.begin
	r.order.begin()
	r.wish = false
	if err := r.request(l.seq); err != nil {
		r.failListing(fmt.Errorf("ask conntrack for a listing: %w", err))
		return
	}
	l.on, l.void = true, false
}

// failListing ends a listing without Synced; another is wanted.
func (r *reader) failListing(err error) {
	r.log.Warn("conntrack: listing failed, trying again", "err", err)
	r.endListing()
	r.again()
}

func (r *reader) endListing() {
	r.list.on = false
	r.order.done()
}

func (r *reader) again() {
	l := &r.list
	r.count.listingsVoid.Add(1)
	l.retry = min(max(2*l.retry, listRetry), listRetryMax)
	l.hold(r.now(), l.retry)
	r.wish = true
}

// listChunk takes in one datagram of the listing; at is the earliest time at which
// it may have been written.
func (r *reader) listChunk(b []byte, at flow.Time) {
	for len(b) > 0 && r.list.on {
		h, msg, rest, err := nextMessage(b)
		if err != nil {
			r.failListing(err)
			return
		}
		b = rest
		if h.Seq != r.list.seq {
			continue // of one that was given up
		}
		if h.Flags&unix.NLM_F_DUMP_INTR != 0 {
			r.list.void = true
		}
		switch h.Type {
		case typeNew:
			r.listEntry(msg, at)
		case nlmsgDoneType:
			r.finishListing(errno(msg))
		case nlmsgErrorType:
			r.failListing(fmt.Errorf("list conntrack: %w", errno(msg)))
		}
	}
}

func (r *reader) listEntry(msg []byte, at flow.Time) {
	if r.list.void {
		return
	}
	c := r.place()
	err := decode(msg, &c.Entry)
	switch {
	case err != nil:
		r.unplace()
		if r.count.malformed.Add(1) == 1 {
			r.log.Warn("conntrack: unreadable entry left out; further ones are only counted", "err", err)
		}
	case !wanted(&c.Entry, r.assured):
		r.unplace()
		r.count.foreign.Add(1)
	case !r.order.listed(&c.Entry):
		r.unplace()
		r.count.late.Add(1)
	default:
		c.Kind, c.At = flow.ConnListed, at
		r.count.listed.Add(1)
	}
}

func (r *reader) finishListing(e unix.Errno) {
	if e != 0 {
		r.failListing(fmt.Errorf("list conntrack: %w", e))
		return
	}
	r.endListing()
	if r.list.void || r.lossy {
		r.again()
		return
	}
	r.flush()
	r.list.retry = 0
	r.count.listings.Add(1)
	r.emit(flow.Synced{Source: flow.SourceConntrack, Begin: r.list.begin})
}
