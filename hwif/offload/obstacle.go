package offload

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/policy"
)

// obstacle is why a flow is not wanted in hardware now, and the state that
// follows from it. The zero value is no obstacle.
type obstacle struct {
	reasons flow.Reasons
	state   flow.State
	cause   flow.Cause // of the removal, if it is in hardware and no event named one
	text    string     // the words behind the reasons
}

// obstacles asks everyone but the resolver and the device.
func (e *Engine) obstacles(id flow.ID, f *flow.Flow, s *flow.Stay) obstacle {
	switch {
	case f.Has(flow.FlagEnded):
		return obstacle{flow.Of(flow.Closing), flow.StateGone, flow.CauseConntrackDestroyed, ""}
	case e.closing:
		return obstacle{flow.Of(flow.AgentPaused), flow.StateCandidate, flow.CauseShutdown, "the daemon is stopping"}
	case f.Has(flow.FlagDenied):
		return obstacle{flow.Of(flow.DeniedByOperator), flow.StateDenied, flow.CauseOperator, ""}
	case e.paused != "":
		return obstacle{flow.Of(flow.AgentPaused), flow.StateCandidate, flow.CauseOperator, e.paused}
	}
	drops := s != nil && s.Verdict == flow.Drop
	if ob := e.marked(f); ob.reasons != 0 {
		return ob
	}
	rs := flow.Eligible(&f.Entry)
	if drops || f.Has(flow.FlagUntracked) {
		rs = flow.Droppable(&f.Entry, f.Has(flow.FlagAlone))
	}
	if rs != 0 {
		return obstacle{rs, ineligible(rs), ineligibleCause(rs), ""}
	}
	if f.Until > e.now {
		state, cause := flow.StateBackoff, flow.CausePolicyChanged
		if f.Has(flow.FlagHeld) {
			cause = flow.CauseOperator
		}
		return obstacle{f.Hold, state, cause, e.texts[id]}
	}
	if s != nil && s.Refusal != 0 {
		return obstacle{s.Refusal, flow.StateRejected, flow.CausePolicyChanged, e.refusals[id]}
	}
	if drops && !anyRule(s) && e.dropping >= e.opts.DropCeiling && f.Entry.Mark&e.opts.Marks.Drop == 0 {
		return obstacle{flow.Of(flow.CeilingReached), flow.StateCandidate, flow.CausePolicyChanged,
			fmt.Sprintf("%d flows are dropped by hardware already", e.dropping)}
	}
	if s != nil && s.Stage != flow.StageIdle {
		if drops {
			return obstacle{}
		}
		return e.standing(f, s)
	}
	if !e.synced[flow.SourceConntrack] || !e.synced[flow.SourceRoute] {
		return obstacle{flow.Of(flow.AgentPaused), flow.StateCandidate, flow.CauseNone, "waiting for the kernel's first listing"}
	}
	if drops || f.Entry.Mark&e.opts.Marks.Offload != 0 {
		return obstacle{}
	}
	if f.Has(flow.FlagQuiet) && !f.Has(flow.FlagPinned) {
		return obstacle{flow.Of(flow.BelowThreshold), flow.StateCandidate, flow.CauseIdle, ""}
	}
	return e.judge(id, f, s)
}

func ineligible(rs flow.Reasons) flow.State {
	if rs == flow.Of(flow.NotEstablished) {
		return flow.StateCandidate
	}
	return flow.StateRejected
}

func ineligibleCause(rs flow.Reasons) flow.Cause {
	if rs.Has(flow.Closing) {
		return flow.CauseTCPClose
	}
	return flow.CausePolicyChanged
}

// standing is for a flow that was admitted: the policy is asked again only about
// one on trial, once its counters are there; otherwise it can but object.
func (e *Engine) standing(f *flow.Flow, s *flow.Stay) obstacle {
	if f.Has(flow.FlagPinned) || f.Entry.Mark&e.opts.Marks.Offload != 0 {
		return obstacle{}
	}
	v := e.verdict(f)
	trial := s.Stage == flow.StageReady && f.Has(flow.FlagOnTrial)
	if trial {
		f.Clear(flow.FlagOnTrial)
	}
	if s.Stage == flow.StageReady && !anyRule(s) && v.Reason == flow.CeilingReached {
		// There was room when it was admitted, and others have come in since.
		return obstacle{flow.Of(v.Reason), flow.StateCandidate, flow.CausePolicyChanged, ""}
	}
	if v.Decision == policy.Never || trial && v.Decision != policy.Offload {
		return obstacle{flow.Of(v.Reason), flow.StateCandidate, flow.CausePolicyChanged, ""}
	}
	return obstacle{}
}

// stale is how old counters may be before a flow below the threshold is worth
// a look of its own: listings are seconds apart, and a fast flow is over by then.
const stale = flow.Time(1e9)

// judge asks the policy, unless the flow is pinned or only out to learn its
// route again. A flow whose counters are not known, or old, is let in on trial:
// its preparation reads them, and the policy is asked again before any rule
// goes in. That look is had once; then listings have to do.
func (e *Engine) judge(id flow.ID, f *flow.Flow, s *flow.Stay) obstacle {
	if f.Has(flow.FlagPinned) || (s != nil && s.RelearnOnly) {
		return obstacle{}
	}
	v := e.verdict(f)
	if v.Decision != policy.Never && e.foundFor(f) {
		return obstacle{} // an earlier daemon has admitted it
	}
	known := f.Entry.Has&flow.HasCounters != 0
	switch {
	case v.Decision == policy.Offload:
		if !known && e.acct {
			f.Set(flow.FlagOnTrial | flow.FlagLooked)
		}
		return obstacle{}
	case v.Again > 0:
		e.timers.add(e.now+v.Again, id, f.UID)
	case v.Reason == flow.BelowThreshold && known && !f.Has(flow.FlagLooked):
		if e.now-f.Counted >= stale {
			f.Set(flow.FlagOnTrial | flow.FlagLooked)
			return obstacle{}
		}
		e.timers.add(f.Counted+stale, id, f.UID)
	}
	return obstacle{flow.Of(v.Reason), flow.StateCandidate, flow.CausePolicyChanged, ""}
}

// forwarded is what kernel and hardware have forwarded of the flow, in packets.
func (e *Engine) forwarded(f *flow.Flow) uint64 {
	p := f.Packets()
	if s := e.stay(f); s != nil {
		p += s.NIC[0].Packets + s.NIC[1].Packets
	}
	return p
}

func (e *Engine) verdict(f *flow.Flow) policy.Verdict {
	in := &e.input
	*in = policy.Input{
		Proto: f.Entry.Orig.Proto, Mark: f.Entry.Mark,
		Bytes: f.Bytes(), Counted: f.Entry.Has&flow.HasCounters != 0,
		Age: e.now - f.Created, Resident: e.resident,
	}
	if p := e.forwarded(f); p > f.Base {
		in.Packets = p - f.Base
	}
	if seen := uint64(f.Observed); seen > in.Packets {
		in.Packets, in.Counted = seen, true
	}
	return e.opts.Policy.Judge(in)
}

// placeable says why the routes' ports cannot carry the flow's rules.
func (e *Engine) placeable(s *flow.Stay) (hwif.DeviceID, obstacle) {
	var dev hwif.DeviceID
	if s.Verdict == flow.Drop {
		return e.placeableDrop(s)
	}
	no := func(r flow.Reason, format string, args ...any) (hwif.DeviceID, obstacle) {
		return 0, obstacle{flow.Of(r), flow.StateRejected, flow.CauseFenced, fmt.Sprintf(format, args...)}
	}
	began := false
	for d := range s.Routes {
		if !s.Wants(d) {
			continue
		}
		for k, ifindex := range [2]hwif.Ifindex{s.Routes[d].In, s.Routes[d].Out} {
			p, ok := e.ports[ifindex]
			switch {
			case !ok:
				return no(flow.PortNotOffloadable, "interface %d is not a port of any device", ifindex)
			case p.Refused != "":
				return no(flow.OffloadDisabledOnPort, "%s: %s", p.Name, p.Refused)
			case !p.Up:
				return no(flow.PortNotOffloadable, "%s is down", p.Name)
			case (began || k > 0) && p.Device != dev:
				return no(flow.DifferentEswitch, "%s is on another device", p.Name)
			}
			dev, began = p.Device, true
		}
		in, out := e.ports[s.Routes[d].In], e.ports[s.Routes[d].Out]
		if !in.Reaches(out.Ifindex) {
			return no(flow.DifferentEswitch, "the device cannot send from %s %s to %s %s", in.Kind, in.Name, out.Kind, out.Name)
		}
	}
	return dev, obstacle{}
}
