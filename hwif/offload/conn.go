package offload

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// conn takes in what conntrack said of one entry.
func (e *Engine) conn(c *flow.Conn) {
	e.stats.Events[c.Kind]++
	if c.At != 0 {
		e.eventAt = c.At
	}
	id, ok := e.table.Find(c.Entry.Orig)
	if ok && e.successor(id, c) {
		e.end(id, flow.CauseTupleReused)
		ok = false
	}
	if c.Kind == flow.ConnDestroy {
		if ok {
			e.merge(id, c)
			e.end(id, flow.CauseConntrackDestroyed)
		}
		return
	}
	if !ok {
		id, _ = e.table.Add(&c.Entry, c.At)
		f := e.table.At(id)
		if c.Entry.Reply != c.Entry.Orig.Reversed() {
			e.table.IndexReply(id)
		}
		f.Created, f.Since, f.State = e.now, e.now, flow.StateCandidate
		e.stats.Flows[flow.StateCandidate]++
		e.stats.Tracked++
		if c.Entry.Has&flow.HasCounters != 0 {
			e.counted(f, flow.Entry{}, c.At)
		}
		e.learnTimeout(f, c)
		e.applyIntent(f)
		e.queue(id)
		return
	}
	if e.merge(id, c) {
		e.queue(id)
	}
}

// successor reports whether the message is about another connection than the
// flow that has the tuple: the entry of the flow has died without our hearing.
func (e *Engine) successor(id flow.ID, c *flow.Conn) bool {
	f := e.table.At(id)
	if f.Entry.Orig != c.Entry.Orig || f.Entry.Reply != c.Entry.Reply {
		return c.Kind != flow.ConnDestroy
	}
	if c.Kind == flow.ConnDestroy {
		return false
	}
	if f.Entry.Has&c.Entry.Has&flow.HasStart != 0 && f.Entry.Start != c.Entry.Start {
		return true
	}
	if f.Entry.ID != c.Entry.ID && f.Entry.ID != 0 && c.Entry.ID != 0 {
		return true
	}
	// The kernel reuses ids, so an equal one proves nothing. A NEW for a flow
	// in hardware is a successor: rules never go in before NEW has been sent.
	if s := e.stay(f); c.Kind == flow.ConnNew && s != nil && s.Stage != flow.StageIdle {
		return true
	}
	return c.Kind == flow.ConnListed && f.Entry.Has&c.Entry.Has&flow.HasCounters != 0 && !overtaken(f, c) &&
		c.Entry.Packets[flow.Orig] < f.Entry.Packets[flow.Orig]
}

// overtaken reports whether newer counters than the message's are known: a listing
// takes its time, and the answer to a preparation that was read later can be here
// first.
func overtaken(f *flow.Flow, c *flow.Conn) bool { return c.At != 0 && c.At < f.Counted }

// merge brings the flow up to date and reports whether anything that a
// decision rests on has changed.
func (e *Engine) merge(id flow.ID, c *flow.Conn) bool {
	f := e.table.At(id)
	old := f.Entry
	if f.Has(flow.FlagUntracked) {
		e.unconnected--
	}
	f.Clear(flow.FlagAlone | flow.FlagUntracked) // it has a connection after all
	f.Seen = max(f.Seen, c.At)
	n := &c.Entry
	f.Entry.Status, f.Entry.Has = n.Status, old.Has|n.Has
	if n.ID != 0 {
		f.Entry.ID = n.ID
	}
	if n.Has&flow.HasTCP != 0 {
		f.Entry.TCPState, f.Entry.TCPFlags = n.TCPState, n.TCPFlags
	}
	// MARK is left out of a message when it is zero and did not just change.
	if n.Has&flow.HasMark != 0 || c.Kind == flow.ConnListed {
		f.Entry.Mark = n.Mark
	}
	if n.Has&flow.HasStart != 0 {
		f.Entry.Start = n.Start
	}
	if n.Has&flow.HasCounters != 0 && !overtaken(f, c) {
		f.Entry.Packets, f.Entry.Bytes = n.Packets, n.Bytes
		e.counted(f, old, c.At)
	}
	e.learnTimeout(f, c)
	s := e.stay(f)
	if s != nil && f.Entry.Mark != old.Mark && s.Stage != flow.StageIdle {
		e.doubt(id, flow.CauseMarkChanged, "")
	}
	inHW := s != nil && s.InAt != 0
	return flow.Eligible(&f.Entry) != flow.Eligible(&old) || f.Entry.Mark != old.Mark ||
		(!inHW && (f.Packets() != old.Packets[0]+old.Packets[1] || f.State == flow.StateCandidate))
}

// counted adds what the kernel counted since the last word.
func (e *Engine) counted(f *flow.Flow, old flow.Entry, at flow.Time) {
	e.acct = true
	f.Counted = max(f.Counted, at)
	if e.forwarded(f) > f.Base {
		f.Clear(flow.FlagQuiet)
	}
	for d := range f.Entry.Packets {
		if f.Entry.Packets[d] > old.Packets[d] {
			e.stats.KernelPath.Packets += f.Entry.Packets[d] - old.Packets[d]
		}
		if f.Entry.Bytes[d] > old.Bytes[d] {
			e.stats.KernelPath.Bytes += f.Entry.Bytes[d] - old.Bytes[d]
		}
	}
}

// learnTimeout keeps the largest time-out seen: an UPDATE that makes an entry
// assured carries the full one, whatever policy set it (nf_ct_timeout objects
// are not shown otherwise). Our own writes come back too and change nothing.
func (e *Engine) learnTimeout(f *flow.Flow, c *flow.Conn) {
	if c.Entry.Has&flow.HasTimeout == 0 {
		return
	}
	f.Entry.Timeout = c.Entry.Timeout
	if s := e.stay(f); s != nil {
		// A timer that ends later than it would have is a packet that the
		// kernel saw; two seconds are the messages' own grain.
		ends := c.At + seconds(c.Entry.Timeout)
		if ends > s.Expires+seconds(2) {
			f.Clear(flow.FlagQuiet)
		}
		s.Expires = ends
	}
	if flow.Eligible(&f.Entry) != 0 {
		return
	}
	fromEvent := c.Kind != flow.ConnListed
	if fromEvent && !f.Has(flow.FlagFullSet) {
		f.Full = 0
		f.Set(flow.FlagFullSet)
	}
	f.Full = max(f.Full, c.Entry.Timeout)
}

// full is the time-out that the kernel would give to a packet now, in seconds.
func (e *Engine) full(f *flow.Flow) uint32 {
	def := e.opts.UDPTimeout
	if f.Entry.Orig.Proto == hwif.ProtoTCP {
		def = e.opts.TCPTimeout
	}
	if f.Has(flow.FlagFullSet) {
		return f.Full
	}
	return max(f.Full, def)
}

func seconds(s uint32) flow.Time { return flow.Time(s) * 1e9 }

// end marks the connection as over and makes room for a successor with the
// same tuples. The flow itself lasts until its rules are gone.
func (e *Engine) end(id flow.ID, cause flow.Cause) {
	f := e.table.At(id)
	if f.Has(flow.FlagEnded) {
		return
	}
	f.Set(flow.FlagEnded)
	e.table.Unindex(id)
	e.because(f, cause)
	e.queue(id)
}

// because notes why a flow leaves hardware; the first word stands until it has left.
func (e *Engine) because(f *flow.Flow, cause flow.Cause) {
	if s := e.stay(f); s != nil && s.Cause == flow.CauseNone && anyRule(s) {
		s.Cause, s.EventAt = cause, e.eventAt
	}
}

func anyRule(s *flow.Stay) bool {
	return s.Rules[0] != flow.RuleNone || s.Rules[1] != flow.RuleNone
}
