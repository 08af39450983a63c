package offload

import "github.com/shunt-offload/shunt/hwif/flow"

// answer takes in what the resolver found.
func (e *Engine) answer(a *flow.Answer) {
	_, s := e.asked(a.ID, a.Gen)
	if s == nil || s.Stage == flow.StageIdle {
		return // of an earlier question
	}
	if s.Stage > flow.StageAsked && a.Reasons == 0 && s.Refusal == 0 && a.Routes == s.Routes {
		return // said again
	}
	if anyRule(s) {
		// A second, different answer to the same question: the routes that the
		// rules rest on are void. Out, and ask afresh.
		e.doubt(a.ID, flow.CauseRouteChanged, a.Text)
		return
	}
	s.AskedAt = 0
	s.Stage = flow.StageRouted
	s.Refusal = a.Reasons
	s.Routes, s.Nexthop, s.Evidence, s.RoutedAt = a.Routes, a.Nexthop, a.Evidence, e.now
	if a.Reasons != 0 {
		s.RoutedAt = 0
		e.refusals[a.ID] = a.Text
	} else {
		delete(e.refusals, a.ID)
	}
	e.queue(a.ID)
}

// asked finds the flow that a question was for, if it is still the same.
func (e *Engine) asked(id flow.ID, ask uint64) (*flow.Flow, *flow.Stay) {
	if id >= e.table.Bound() {
		return nil, nil
	}
	f := e.table.At(id)
	s := e.stay(f)
	if f.UID == 0 || s == nil || s.Ask != ask {
		return nil, nil
	}
	return f, s
}

// dirty takes in that answers no longer hold.
func (e *Engine) dirty(d *flow.Dirty) {
	if d.At != 0 {
		e.eventAt = d.At
	}
	for _, id := range e.hottest(d.IDs) {
		if id < e.table.Bound() && e.table.At(id).UID != 0 {
			e.doubt(id, d.Cause, d.Text)
		}
	}
}

// doubt voids the flow's routes: out of hardware first, then learn again.
func (e *Engine) doubt(id flow.ID, cause flow.Cause, text string) {
	f := e.table.At(id)
	s := e.stay(f)
	if s == nil || s.Stage == flow.StageIdle {
		return
	}
	e.because(f, cause)
	s.Stage, s.RoutedAt, s.AskedAt, s.Refusal = flow.StageIdle, 0, 0, 0
	s.RelearnOnly = s.Verdict == flow.Forward // it was admitted
	if s.EventAt == 0 {
		s.EventAt = e.eventAt
	}
	e.setText(id, text)
	e.queue(id)
}

// prepared takes in that conntrack's entry is ready for hardware, or is not.
func (e *Engine) prepared(p *flow.Prepared) {
	f, s := e.asked(p.ID, p.Gen)
	if s == nil || s.Stage != flow.StagePrepping {
		return
	}
	s.AskedAt = 0
	switch {
	case p.Gone:
		e.end(p.ID, flow.CauseConntrackDestroyed)
	case p.Err != "":
		s.Stage = flow.StageRouted
		e.setText(p.ID, "conntrack entry: "+p.Err)
		e.backOff(p.ID, f, flow.Of(flow.DeviceRejected))
	default:
		s.Stage = flow.StageReady
		f.Entry.Status, f.Entry.Has = p.Entry.Status, f.Entry.Has|p.Entry.Has
		f.Entry.TCPState, f.Entry.TCPFlags = p.Entry.TCPState, p.Entry.TCPFlags
		if p.Entry.Has&flow.HasCounters != 0 {
			old := f.Entry
			f.Entry.Packets, f.Entry.Bytes = p.Entry.Packets, p.Entry.Bytes
			e.counted(f, old, e.now)
		}
		if p.Entry.Has&flow.HasTimeout != 0 {
			f.Entry.Timeout = p.Entry.Timeout
			s.Expires = e.now + seconds(p.Entry.Timeout)
		}
		s.Moved = e.now
	}
	e.queue(p.ID)
}

// onSynced closes a listing: what was not in it has ended.
func (e *Engine) onSynced(sy *flow.Synced) {
	e.stats.Listings[sy.Source]++
	e.setSynced(sy.Source, true)
	if sy.Source != flow.SourceConntrack {
		return
	}
	e.disownUnknown()
	for id := flow.ID(0); id < e.table.Bound(); id++ {
		f := e.table.At(id)
		if f.UID != 0 && f.Seen < sy.Begin && !f.Has(flow.FlagAlone) {
			e.end(id, flow.CauseConntrackDestroyed)
		}
	}
}

func (e *Engine) setSynced(src flow.Source, synced bool) {
	if e.synced[src] == synced {
		return
	}
	e.synced[src], e.stats.Synced[src] = synced, synced
	if e.synced[flow.SourceConntrack] && e.synced[flow.SourceRoute] {
		e.queueAll()
		if e.reapAt == 0 {
			e.reapAt = e.now + flow.Time(e.opts.Grace)
		}
	}
}
