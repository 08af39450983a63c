package offload

import (
	"errors"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/plan"
)

// retryRemoval is how long a failed removal waits: short, since the rule may
// be forwarding what it should not.
const retryRemoval = flow.Time(time.Second)

// Done takes in the devices' answers. One for an operation that is no longer
// outstanding is ignored.
func (e *Engine) Done(dones []Done) {
	for i := range dones {
		d := &dones[i]
		if d.Op.Token.Flow == ghostToken {
			e.ghostDone(d)
			continue
		}
		id := flow.ID(d.Op.Token.Flow)
		if id >= e.table.Bound() {
			continue
		}
		f := e.table.At(id)
		s := e.stay(f)
		if f.UID == 0 || s == nil || s.Gen != d.Op.Token.Gen {
			continue
		}
		if d.Op.Kind == hwif.OpInstall {
			e.installed(id, f, s, d)
		} else {
			e.removed(id, s, d)
		}
		if !outstanding(s.Rules[0]) && !outstanding(s.Rules[1]) {
			e.answered(id, f, s)
		}
	}
}

func (e *Engine) installed(id flow.ID, f *flow.Flow, s *flow.Stay, d *Done) {
	rule := &s.Rules[d.Op.Token.Dir]
	if *rule != flow.RuleSent {
		return
	}
	if d.Result.Err == nil {
		*rule = flow.RuleInHW
		e.stats.Installs++
		e.stats.RulesInHW++
		return
	}
	*rule = flow.RuleRefused
	kind := hwif.KindOf(d.Result.Err)
	e.stats.Refusals[kind]++
	e.devices[s.Device].used--
	e.setText(id, flow.Dir(d.Op.Token.Dir).String()+": "+d.Result.Err.Error())
	reasons := flow.Of(flow.DeviceRejected)
	switch kind {
	case hwif.KindFull:
		reasons = flow.Of(flow.TableFull)
	case hwif.KindGone:
		reasons = flow.Of(flow.PortNotOffloadable)
	case hwif.KindExist:
		e.dump = true // somebody's rule is where ours should be
	case hwif.KindUnsupported:
		var he *hwif.Error
		if errors.As(d.Result.Err, &he) {
			reasons = flow.Of(plan.Unsupported(he, &d.Op.Rule))
		}
	}
	if !kind.Retry() {
		f.Tries = 255 // the longest wait: asking again cannot help soon
	}
	e.backOff(id, f, reasons)
}

func (e *Engine) removed(id flow.ID, s *flow.Stay, d *Done) {
	rule := &s.Rules[d.Op.Token.Dir]
	if *rule != flow.RuleLeaving {
		return
	}
	if d.Result.Err != nil && !errors.Is(d.Result.Err, hwif.ErrNotExist) {
		*rule = flow.RuleInHW // as far as we know it is still there
		e.stats.RuleErrors[hwif.KindOf(d.Result.Err)]++
		s.Retry = e.now + retryRemoval
		e.timers.add(s.Retry, id, e.table.At(id).UID)
		e.setText(id, d.Result.Err.Error())
		return
	}
	*rule = flow.RuleNone
	if d.Result.Err == nil {
		e.count(s, d.Op.Token.Dir, d.Result.Final)
	}
	e.stats.RulesInHW--
	e.devices[s.Device].used--
}

// answered goes on when nothing of the flow is outstanding.
func (e *Engine) answered(id flow.ID, f *flow.Flow, s *flow.Stay) {
	r0, r1 := s.Rules[0], s.Rules[1]
	switch {
	case anyRule(s) && s.All(flow.RuleInHW):
		if s.InAt == 0 {
			e.entered(id, f, s)
		}
	case r0 == flow.RuleRefused || r1 == flow.RuleRefused:
		// Both or neither: what went in leaves again.
		for d := range s.Rules {
			if s.Rules[d] == flow.RuleRefused {
				s.Rules[d] = flow.RuleNone
			}
		}
		if !anyRule(s) {
			e.left(id, f, s)
		}
	case !anyRule(s):
		e.left(id, f, s)
	}
	e.queue(id)
}

// left notes that no rule of the flow is in hardware any more.
func (e *Engine) left(id flow.ID, f *flow.Flow, s *flow.Stay) {
	delete(e.byGen, s.Gen)
	e.resident--
	if s.Verdict == flow.Drop {
		e.dropping--
	}
	if s.InAt != 0 {
		if s.Cause == flow.CauseNone {
			s.Cause = flow.CausePolicyChanged
		}
		e.stats.Removals[s.Cause]++
		took := flow.Time(0)
		if s.EventAt != 0 {
			took = e.now - s.EventAt
			e.stats.Latency.Observe(float64(took) / 1e9)
			e.stats.Removed[s.Cause].Observe(float64(took) / 1e9)
		}
		s.Remember(flow.Step{At: e.now, Took: took, State: flow.StateCandidate, Cause: s.Cause})
		e.handBack(f, s)
		if s.Cause == flow.CauseIdle {
			f.Base = e.forwarded(f)
		}
	}
	if s.Stage == flow.StageReady {
		s.Stage = flow.StageRouted // prepare again before the next attempt
	}
	s.Cause, s.InAt, s.Retry, s.EventAt = flow.CauseNone, 0, 0, 0
	if s.RelearnOnly {
		s.EventAt = e.now
	}
	e.feed()
}

// handBack writes the time-out that the kernel would have left, and makes TCP
// window tracking liberal for the way back. A closing entry keeps its timer.
func (e *Engine) handBack(f *flow.Flow, s *flow.Stay) {
	if f.Flags&(flow.FlagEnded|flow.FlagAlone) != 0 || flow.Eligible(&f.Entry).Has(flow.Closing) {
		return
	}
	left := max(seconds(e.full(f))-(e.now-s.Moved), flow.Time(time.Second))
	s.Expires = e.now + left
	e.touches = append(e.touches, flow.Touch{Orig: f.Entry.Orig, EntryID: f.Entry.ID,
		Timeout: uint32(left / 1e9), Release: true})
}

// feed lets flows that wait for room try again: as many as there is room for.
func (e *Engine) feed() {
	n := 1
	for n > 0 && len(e.starved) > 0 {
		id := e.starved[0]
		e.starved = e.starved[1:]
		f := e.table.At(id)
		if f.UID == 0 || !f.Has(flow.FlagStarved) {
			continue
		}
		f.Clear(flow.FlagStarved)
		e.queue(id)
		n--
	}
}

// backOff keeps the flow out for a while that doubles with each failure.
func (e *Engine) backOff(id flow.ID, f *flow.Flow, why flow.Reasons) {
	wait := e.opts.BackoffMax
	if f.Tries < 32 {
		wait = min(e.opts.BackoffMin<<f.Tries, e.opts.BackoffMax)
		if wait <= 0 {
			wait = e.opts.BackoffMax
		}
		f.Tries++
	} else {
		f.Tries = 0
	}
	f.Until = e.now + flow.Time(wait)
	f.Hold = why.With(flow.Backoff)
	e.timers.add(f.Until, id, f.UID)
}
