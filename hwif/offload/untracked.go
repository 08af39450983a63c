package offload

import (
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// Untracked is what becomes of flows that conntrack was told to leave alone
// (notrack). Each direction is a flow of its own.
type Untracked struct {
	Pinned bool // those that an operator pins may go into hardware
	All    bool // and those that the policy lets in
	// Life is the longest that one stays in hardware before a packet of it has to be
	// seen again: no conntrack entry says that it is over. 5 min.
	Life time.Duration
}

// untracked finds the flow of packets without a connection, or makes one. ok is
// false where there is to be none, or where there is a connection after all.
func (e *Engine) untracked(h *flow.Heavy) (id flow.ID, ok bool) {
	if id, ok = e.table.Find(h.Orig); ok {
		return id, e.table.At(id).Has(flow.FlagUntracked)
	}
	if !e.admitsAlone(h.Orig) {
		return 0, false
	}
	id = e.addAlone(h.Orig, h.Orig.Reversed(), h.At, flow.FlagUntracked)
	f := e.table.At(id)
	f.Stay, _ = e.stays.Add(id)
	e.unconnected++
	return id, true
}

// admitsAlone reports whether packets without a connection may go into hardware.
func (e *Engine) admitsAlone(t flow.Tuple) bool {
	u := &e.opts.Untracked
	return u.All || u.Pinned && e.intents[t].Kind == IntentPin
}

// outlived reports whether an untracked flow's time in hardware, or without a word of
// it, is over.
func (e *Engine) outlived(f *flow.Flow, s *flow.Stay) bool {
	if s.InAt != 0 {
		return e.now-s.InAt >= flow.Time(e.opts.Untracked.Life)
	}
	return !anyRule(s) && e.now-max(f.Since, f.Seen) >= flow.Time(e.opts.Idle)
}

// checkUntracked has packets of flows seen again whose life is over, and forgets those
// that nothing was heard of.
func (e *Engine) checkUntracked(n uint32, s *flow.Stay) {
	f := e.table.At(s.Flow)
	if f.Stay != n || !f.Has(flow.FlagUntracked) || f.Has(flow.FlagEnded) || s.Cause != flow.CauseNone || !e.outlived(f, s) {
		return
	}
	if s.InAt != 0 {
		e.doubt(s.Flow, flow.CauseLeaseExpired, "its hard life is over: a packet has to be seen again")
		return
	}
	e.end(s.Flow, flow.CauseIdle)
}
