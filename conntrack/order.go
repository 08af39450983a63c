package conntrack

import "github.com/shunt-offload/shunt/hwif/flow"

// order decides which messages may be emitted, so that what is emitted can be
// taken for the truth. An entry wrongly thought dead costs some time in software
// and comes back with the next listing. An entry wrongly thought alive is a stale
// rule. So in doubt order drops the message that says "alive".
//
// How a tuple's history stays in order:
//
//  1. NEW, UPDATE and DESTROY are read from one socket. The kernel queues them as
//     they happen: DESTROY is sent before an entry leaves the hash table
//     (nf_ct_delete), and no successor can be confirmed while it is in there
//     (__nf_conntrack_confirm), so a tuple's DESTROY comes before its successor's
//     NEW. Three sockets would lose that: CTA_ID cannot tell the two apart, since
//     the kernel gives it again, and nothing else in an UPDATE can.
//
//  2. One race is left. An UPDATE is built on one CPU (nf_ct_deliver_cached_events
//     looks at DYING first) while another CPU deletes the entry, and is queued
//     behind the DESTROY. But a successor's first message is its NEW. So an UPDATE
//     for a tuple whose last message was DESTROY is such a late one: dropped. The
//     last deadMax destroyed tuples are remembered; the race spans microseconds.
//     A rule that hides NEW (ct event set) makes a successor silent here until
//     the next listing.
//
//  3. A listing is walked by the kernel before it is read, so its word on a tuple
//     can be older than an event which was emitted already. The kernel walks the
//     datagram that is read next while this one is being read, or while the
//     request is sent for the first. So a datagram is read first, then events are
//     read and emitted, then what is left of the datagram: without the tuples for
//     which an event was read since the walk can have begun, that is in this step
//     or the one before. Those tuples have just been seen, so the listing need
//     not name them. An event that is read later comes out later, and right.
//     Entries with DYING set are left out: their DESTROY is sent or about to be.
//
//  4. After a loss nothing above holds. The reader says Loss, empties the socket
//     (the kernel drops everything until it is empty: NETLINK_S_CONGESTED), and
//     starts a listing anew; one that was under way ends without Synced. See
//     spare.go for the DESTROYs of that time.
//
// Two CPUs can also build two UPDATEs of one living entry and queue them the
// other way round within microseconds. The later content is then emitted first.
// Prepare reads the entry itself, and hardware leaves FIN and RST to the kernel,
// so the next state change or listing sets it right.
type order struct {
	dead  map[flow.Tuple]uint64 // destroyed, by place in ring
	ring  [deadMax]flow.Tuple
	next  uint64
	fresh [2]map[flow.Tuple]struct{} // tuples with an event in this step of a listing and the one before
	on    bool                       // a listing is under way
}

// deadMax is how many destroyed tuples are remembered: at 100 000 ends a second
// still 40 ms, a thousand times the race.
const deadMax = 4096

func newOrder() *order {
	o := &order{dead: make(map[flow.Tuple]uint64, deadMax)}
	for i := range o.fresh {
		o.fresh[i] = make(map[flow.Tuple]struct{})
	}
	return o
}

// event takes note of an event and reports whether it may be emitted.
func (o *order) event(kind flow.ConnKind, orig *flow.Tuple) bool {
	if o.on {
		o.fresh[0][*orig] = struct{}{}
	}
	switch kind {
	case flow.ConnDestroy:
		o.bury(orig)
	case flow.ConnNew:
		delete(o.dead, *orig)
	default:
		_, dead := o.dead[*orig]
		return !dead
	}
	return true
}

func (o *order) bury(t *flow.Tuple) {
	slot := o.next % deadMax
	if old := &o.ring[slot]; o.next >= deadMax {
		// Unless the tuple was created, and destroyed again later, since.
		if at, ok := o.dead[*old]; ok && at == o.next-deadMax {
			delete(o.dead, *old)
		}
	}
	o.ring[slot] = *t
	o.dead[*t] = o.next
	o.next++
}

// begin starts a listing; call it before the request is sent.
func (o *order) begin() {
	o.on = true
	clear(o.fresh[0])
	clear(o.fresh[1])
}

// step is to be called when a datagram of the listing was read, before events
// are read again.
func (o *order) step() {
	o.fresh[0], o.fresh[1] = o.fresh[1], o.fresh[0]
	clear(o.fresh[0])
}

// listed reports whether an entry of the datagram at hand may be emitted.
func (o *order) listed(e *flow.Entry) bool {
	if e.Status&flow.StatusDying != 0 {
		return false
	}
	for i := range o.fresh {
		if len(o.fresh[i]) == 0 {
			continue
		}
		if _, ok := o.fresh[i][e.Orig]; ok {
			return false
		}
	}
	delete(o.dead, e.Orig) // alive after all: a successor whose NEW is hidden
	return true
}

// done ends a listing.
func (o *order) done() { o.on = false }

// forget drops everything, after a loss.
func (o *order) forget() {
	clear(o.dead)
	o.next = 0
}
