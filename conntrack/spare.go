package conntrack

import (
	"errors"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// The spare socket hears DESTROY alone. It holds what the events socket may have
// dropped, so that dead flows leave hardware before the listing after a loss has
// found them missing, and a flood of NEW cannot delay them. While events does not
// overrun, both sockets hold the same DESTROYs in the same order, and those that
// were read from the one are thrown away unread from the other.
const (
	// spareKeep is how many are left lying there before they are thrown away, to
	// do that by the batch; a sixth of what the smaller buffer holds.
	spareKeep = 8 << 10
	// heldMax bounds what is read from it at a time after a loss.
	heldMax = 4 << 10
)

// trimSpare throws away what events has already told. Only those: a loss that
// has not been noticed yet must find the rest.
func (r *reader) trimSpare() {
	if r.lossy || r.destroys < spareKeep {
		return
	}
	for r.destroys >= bufCount { // what one call may bring
		msgs, err := r.spare()
		if err != nil {
			r.spareError(err)
			r.empty(r.spare)
			return
		}
		if len(msgs) == 0 {
			r.destroys = 0
			return
		}
		r.destroys -= len(msgs)
	}
}

// hold reads DESTROYs, to be emitted by release once events has been emptied:
// what events holds by then that is older, above all an UPDATE of the same
// entry, comes out before them. It reports whether the socket is empty.
//
// Some have been emitted already, and their tuples may have been used again
// since; such a successor is then thought dead until the listing that follows
// every loss. That is the safe side.
func (r *reader) hold() (empty bool) {
	for len(r.held) < heldMax {
		msgs, err := r.spare()
		if err != nil {
			r.spareError(err)
			if !errors.Is(err, errLost) && !errors.Is(err, errCut) {
				return true
			}
			continue
		}
		if len(msgs) == 0 {
			r.destroys = 0
			return true
		}
		at := r.clock()
		for _, m := range msgs {
			r.holdOne(m, at)
		}
	}
	return false
}

func (r *reader) holdOne(b []byte, at flow.Time) {
	h, msg, _, err := nextMessage(b)
	if err != nil || h.Type != typeDelete {
		return
	}
	c := flow.Conn{Kind: flow.ConnDestroy, At: at}
	if decode(msg, &c.Entry) != nil || !wanted(&c.Entry, r.assured) {
		return
	}
	r.held = append(r.held, c)
}

// release emits what was held.
func (r *reader) release() {
	for i := range r.held {
		*r.place() = r.held[i]
		r.order.event(flow.ConnDestroy, &r.held[i].Entry.Orig)
	}
	r.count.spared.Add(uint64(len(r.held)))
	r.held = r.held[:0]
	r.flush()
}

func (r *reader) spareError(err error) {
	r.count.spareLosses.Add(1)
	if !errors.Is(err, errLost) {
		r.log.Warn("conntrack: spare socket", "err", err)
	}
	r.destroys = 0
}
