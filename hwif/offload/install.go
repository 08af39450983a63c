package offload

import (
	"fmt"
	"math/bits"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/plan"
)

// compile fills e.pair with the flow's rules.
func (e *Engine) compile(f *flow.Flow, s *flow.Stay) (flow.Reasons, string) {
	return plan.Compile(plan.Input{Entry: &f.Entry, Routes: &s.Routes, Caps: &e.devices[s.Device].caps, Gen: s.Gen,
		Verdict: s.Verdict, Dirs: s.Dirs}, &e.pair)
}

// fits asks the plan and the table.
func (e *Engine) fits(f *flow.Flow, s *flow.Stay) obstacle {
	dev := &e.devices[s.Device]
	if !dev.listed {
		return obstacle{flow.Of(flow.AgentPaused), flow.StateCandidate, flow.CauseNone, "waiting for the device's first listing"}
	}
	if dev.failed != "" {
		return obstacle{flow.Of(flow.DeviceRejected), flow.StateCandidate, flow.CauseDeviceReset, dev.failed}
	}
	if s.Gen == 0 {
		s.Gen = e.nextGen()
	}
	if rs, text := e.compile(f, s); rs != 0 {
		return obstacle{rs, flow.StateRejected, flow.CausePolicyChanged, text}
	}
	if dev.caps.MaxRules > 0 && dev.used+bits.OnesCount8(s.Dirs) > dev.caps.MaxRules && !e.canAdopt(s) {
		return obstacle{flow.Of(flow.TableFull), flow.StateCandidate, flow.CauseNone,
			fmt.Sprintf("%d of %d rules in use", dev.used, dev.caps.MaxRules)}
	}
	return obstacle{}
}

// lack puts up with what fits found: a plan's no waits for other routes, a
// full table for room.
func (e *Engine) lack(id flow.ID, f *flow.Flow, s *flow.Stay, ob obstacle) {
	switch {
	case ob.state == flow.StateRejected:
		s.Refusal = ob.reasons
		e.disown(f)
	case ob.reasons.Has(flow.TableFull):
		if f.Has(flow.FlagStarved) {
			break
		}
		f.Set(flow.FlagStarved)
		if f.Has(flow.FlagPinned) {
			e.starved = append([]flow.ID{id}, e.starved...)
			e.makeRoom(s.Device)
		} else {
			e.starved = append(e.starved, id)
		}
	}
	s.Stage = flow.StageRouted // prepare again: the entry will have aged
	e.setText(id, ob.text)
	if f.State == ob.state && f.Reasons == ob.reasons {
		return
	}
	f.Reasons = e.recount(f.Reasons, ob.reasons)
	e.setState(id, f, ob.state)
}

// makeRoom takes out the flow that has been silent longest, for a pinned one.
func (e *Engine) makeRoom(dev hwif.DeviceID) {
	var victim *flow.Stay
	for n := uint32(1); n < e.stays.Bound(); n++ {
		s := e.stays.At(n)
		if s.InAt == 0 || s.Device != dev || s.Cause != flow.CauseNone || e.table.At(s.Flow).Has(flow.FlagPinned) {
			continue
		}
		if victim == nil || s.Moved < victim.Moved {
			victim = s
		}
	}
	if victim == nil {
		return
	}
	f := e.table.At(victim.Flow)
	e.because(f, flow.CauseOutranked)
	f.Until, f.Hold = e.now+flow.Time(e.opts.BackoffMin), flow.Of(flow.Outranked)
	e.timers.add(f.Until, victim.Flow, f.UID)
	e.queue(victim.Flow)
}

func (e *Engine) nextGen() uint64 {
	e.gen++
	return e.gen
}

// install sends both rules, or takes over equal ones that were found.
func (e *Engine) install(id flow.ID, f *flow.Flow, s *flow.Stay) {
	if e.adopt(id, f, s) {
		return
	}
	// Cookies name one stay: a late answer or counter of an earlier one must
	// not be taken for this one's.
	if _, used := e.byGen[s.Gen]; used || s.Installs > 0 {
		s.Gen = e.nextGen()
	}
	if rs, text := e.compile(f, s); rs != 0 {
		e.lack(id, f, s, obstacle{rs, flow.StateRejected, flow.CausePolicyChanged, text})
		return
	}
	for d := range s.Rules {
		if !s.Wants(d) {
			continue
		}
		s.Rules[d] = flow.RuleSent
		s.Last[d] = hwif.Counter{}
		e.ready.Ops = append(e.ready.Ops, hwif.Op{Kind: hwif.OpInstall, Device: s.Device, Rule: e.pair[d],
			Token: hwif.Token{Flow: uint32(id), Dir: uint8(d), Gen: s.Gen}})
	}
	e.byGen[s.Gen] = id
	e.devices[s.Device].used += bits.OnesCount8(s.Dirs)
	e.resident++
	if s.Verdict == flow.Drop {
		e.dropping++
	}
	f.Reasons = e.recount(f.Reasons, 0)
	e.setState(id, f, flow.StatePending)
}

// canAdopt reports whether e.pair was found in hardware: it needs no room.
func (e *Engine) canAdopt(s *flow.Stay) bool {
	if s.Verdict != flow.Forward {
		return false // it ends with its daemon
	}
	a, ok0 := e.found[e.pair[0].Match]
	b, ok1 := e.found[e.pair[1].Match]
	return ok0 && ok1 && a.Presence == hwif.InHW && b.Presence == hwif.InHW &&
		a.Rule.Actions == e.pair[0].Actions && b.Rule.Actions == e.pair[1].Actions &&
		a.Rule.Cookie.Gen() == b.Rule.Cookie.Gen() && a.Rule.Cookie.Dir() == 0 && b.Rule.Cookie.Dir() == 1
}

// adopt takes over rules of an earlier daemon that do exactly what ours would.
// Others with the same matches are in the way and leave first.
func (e *Engine) adopt(id flow.ID, f *flow.Flow, s *flow.Stay) bool {
	if e.canAdopt(s) {
		s.Gen = e.found[e.pair[0].Match].Rule.Cookie.Gen()
		for d := range s.Rules {
			s.Rules[d] = flow.RuleInHW
			s.Last[d] = e.found[e.pair[d].Match].Counter
			e.unfind(e.pair[d].Match)
		}
		e.byGen[s.Gen] = id
		e.resident++
		e.stats.Adopted += 2
		e.stats.RulesInHW += 2
		e.entered(id, f, s)
		return true
	}
	for d := range e.pair {
		if !s.Wants(d) {
			continue
		}
		if _, ok := e.found[e.pair[d].Match]; ok {
			e.dropGhost(e.pair[d].Match) // its removal comes before our install
		}
	}
	return false
}

// entered notes that both rules are in hardware.
func (e *Engine) entered(id flow.ID, f *flow.Flow, s *flow.Stay) {
	s.InAt, s.Moved = e.now, e.now
	s.Installs++
	s.RelearnOnly = false
	f.Tries = 0
	f.Clear(flow.FlagHeld)
	if s.EventAt != 0 {
		e.stats.Latency.Observe(float64(e.now-s.EventAt) / 1e9)
		s.EventAt = 0
	}
	s.Remember(flow.Step{At: e.now, State: flow.StateInstalled, Cause: flow.CauseNone})
	f.Reasons = e.recount(f.Reasons, 0)
	e.setState(id, f, flow.StateInstalled)
}
