package offload

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// patience is how long an answer may take before the question is put again.
const patience = flow.Time(10e9)

// advance compares what is wanted of a flow with what is there and takes the
// next step. It is the one place where a flow's state is decided.
//
//	candidate ─▶ pending ─▶ installed ─▶ active
//	    ▲           │            │          │
//	    │           ▼            ▼          ▼
//	    ├── backoff, rejected, denied   dirty, removing ─▶ gone
//	    └───────────────────────────────────┘
func (e *Engine) advance(id flow.ID) {
	f := e.table.At(id)
	f.Clear(flow.FlagQueued)
	if f.UID == 0 {
		return
	}
	s := e.stay(f)
	if s != nil && (outstanding(s.Rules[0]) || outstanding(s.Rules[1])) {
		return // its Done queues it again
	}
	if f.Has(flow.FlagUntracked) && !f.Has(flow.FlagEnded) && !e.admitsAlone(f.Entry.Orig) {
		e.end(id, flow.CausePolicyChanged) // it is not pinned any more, or the policy is another one
		return
	}
	e.turn(id, f, s)
	ob := e.obstacles(id, f, s)
	if ob.reasons == 0 && s != nil && s.Stage >= flow.StageRouted {
		s.Device, ob = e.placeable(s)
	}
	if s != nil && anyRule(s) {
		if ob.reasons == 0 && s.Stage == flow.StageReady && s.All(s.Rules[first(s)]) {
			return // both in hardware, and wanted there
		}
		e.remove(id, f, s, ob)
		return
	}
	if ob.reasons != 0 {
		e.settle(id, f, s, ob)
		return
	}
	e.approach(id, f, s)
}

func outstanding(r flow.RuleState) bool { return r == flow.RuleSent || r == flow.RuleLeaving }

// remove sends the removal of what is in hardware.
func (e *Engine) remove(id flow.ID, f *flow.Flow, s *flow.Stay, ob obstacle) {
	if s.Cause == flow.CauseNone {
		s.Cause = ob.cause
		s.EventAt = e.eventAt
	}
	if ob.text != "" {
		e.setText(id, ob.text)
	}
	if s.Retry > e.now {
		return // its timer queues it again
	}
	e.compile(f, s) // the same input gives the rules that went in
	for d := range s.Rules {
		if s.Rules[d] == flow.RuleInHW {
			s.Rules[d] = flow.RuleLeaving
			e.ready.Ops = append(e.ready.Ops, hwif.Op{Kind: hwif.OpRemove, Device: s.Device, Rule: e.pair[d],
				Token: hwif.Token{Flow: uint32(id), Dir: uint8(d), Gen: s.Gen}})
		}
	}
	state, reasons := flow.StateRemoving, ob.reasons
	switch {
	case reasons != 0:
	case s.Stage == flow.StageIdle:
		state, reasons = flow.StateDirty, flow.Of(flow.RouteDirty)
	default: // wanted again, but a half has to leave first
		reasons = flow.Of(flow.Backoff)
	}
	f.Reasons = e.recount(f.Reasons, reasons)
	s.Remember(flow.Step{At: e.now, State: state, Cause: s.Cause})
	e.setState(id, f, state)
}

// settle leaves the flow with the kernel, for a reason.
func (e *Engine) settle(id flow.ID, f *flow.Flow, s *flow.Stay, ob obstacle) {
	if s != nil {
		if s.Refusal == 0 {
			s.RelearnOnly = false
		}
		// A refused route is watched on: its refusal may end.
		if s.Stage != flow.StageIdle && s.Refusal == 0 && ob.cause != flow.CauseFenced {
			s.Stage, s.RoutedAt, s.AskedAt = flow.StageIdle, 0, 0
			e.ready.Forget = append(e.ready.Forget, id)
		}
		if f.Has(flow.FlagEnded) && s.Stage != flow.StageIdle {
			e.ready.Forget = append(e.ready.Forget, id)
		}
	}
	if ob.cause != flow.CauseNone { // and not only waiting for listings
		e.disown(f)
	}
	if f.Has(flow.FlagEnded) {
		e.free(id, f)
		return
	}
	e.setText(id, ob.text)
	if f.State == ob.state && f.Reasons == ob.reasons {
		return
	}
	f.Reasons = e.recount(f.Reasons, ob.reasons)
	e.setState(id, f, ob.state)
}

// approach takes one step towards hardware.
func (e *Engine) approach(id flow.ID, f *flow.Flow, s *flow.Stay) {
	if s == nil {
		f.Stay, s = e.stays.Add(id)
		e.turn(id, f, s)
	}
	stale := s.AskedAt != 0 && e.now-s.AskedAt > patience
	switch {
	case s.Stage == flow.StageIdle, s.Stage == flow.StageAsked && stale:
		e.ask++
		s.Ask, s.AskedAt, s.Stage = e.ask, e.now, flow.StageAsked
		if s.EventAt == 0 {
			s.EventAt = e.eventAt
		}
		e.ready.Lookups = append(e.ready.Lookups, flow.Query{ID: id, Gen: s.Ask,
			Orig: f.Entry.Orig, Reply: f.Entry.Reply, Mark: f.Entry.Mark, Proof: e.proof(f, s), Verdict: s.Verdict, In: s.DropIn,
			Trust: e.opts.Ruleset == RulesetKeep && e.foundFor(f),
			Alone: f.Has(flow.FlagUntracked) && s.Verdict == flow.Forward})
		e.wait(id, f, flow.StateCandidate, flow.RouteUnobserved)
	case s.Stage == flow.StageRouted, s.Stage == flow.StagePrepping && stale:
		if ob := e.fits(f, s); ob.reasons != 0 {
			e.lack(id, f, s, ob)
			return
		}
		if f.Has(flow.FlagAlone) { // there is no entry to prepare
			s.Stage = flow.StageReady
			e.install(id, f, s)
			return
		}
		s.AskedAt, s.Stage = e.now, flow.StagePrepping
		e.ready.Prepare = append(e.ready.Prepare, flow.Prepare{ID: id, Gen: s.Ask,
			Orig: f.Entry.Orig, Reply: f.Entry.Reply, EntryID: f.Entry.ID, Timeout: e.full(f)})
		e.wait(id, f, flow.StatePending, flow.ReasonNone)
	case s.Stage == flow.StageReady:
		if ob := e.fits(f, s); ob.reasons != 0 {
			e.lack(id, f, s, ob)
			return
		}
		e.install(id, f, s)
	}
}

// wait notes a state on the way in.
func (e *Engine) wait(id flow.ID, f *flow.Flow, st flow.State, r flow.Reason) {
	e.timers.add(e.now+patience+1, id, f.UID)
	rs := flow.Of(r)
	if s := e.stay(f); s == nil || !s.RelearnOnly {
		e.setText(id, "") // of an obstacle that is gone
	}
	if f.State == st && f.Reasons == rs {
		return
	}
	f.Reasons = e.recount(f.Reasons, rs)
	e.setState(id, f, st)
}

// free lets a flow that is over go.
func (e *Engine) free(id flow.ID, f *flow.Flow) {
	f.Reasons = e.recount(f.Reasons, 0)
	e.setState(id, f, flow.StateGone)
	e.log.gone(e.view(id))
	e.stats.Flows[flow.StateGone]--
	e.stats.Tracked--
	delete(e.texts, id)
	delete(e.refusals, id)
	if f.Has(flow.FlagUntracked) {
		e.unconnected--
	}
	if f.Stay != 0 {
		delete(e.byGen, e.stays.At(f.Stay).Gen)
		e.stays.Remove(f.Stay)
	}
	e.table.Remove(id)
}

// setState moves the flow to st and writes the change down.
func (e *Engine) setState(id flow.ID, f *flow.Flow, st flow.State) {
	if f.State != st {
		if f.State != flow.StateNone {
			e.stats.Flows[f.State]--
		}
		e.stats.Flows[st]++
		f.State, f.Since = st, e.now
		if st.InHardware() && f.Reasons == 0 {
			delete(e.texts, id)
		}
	}
	f.Seq = e.log.changed(id)
}

// recount keeps the number of flows per reason; it returns next.
func (e *Engine) recount(prev, next flow.Reasons) flow.Reasons {
	for r := range prev.All() {
		e.stats.NotOffload[r]--
	}
	for r := range next.All() {
		e.stats.NotOffload[r]++
	}
	return next
}

func (e *Engine) setText(id flow.ID, text string) {
	if text == "" {
		delete(e.texts, id)
		return
	}
	e.texts[id] = text
}
