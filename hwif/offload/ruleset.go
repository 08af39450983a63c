package offload

import (
	"math/bits"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// RulesetPolicy is what a change of netfilter's rules means for flows that are
// known: a closed list.
type RulesetPolicy uint8

const (
	// RulesetRelearn takes every flow out, and each back as soon as a packet of both
	// directions was seen to pass since.
	RulesetRelearn RulesetPolicy = iota
	// RulesetFlush takes every flow out, and has each show its worth anew besides.
	RulesetFlush
	// RulesetKeep leaves everything as it is: established connections are taken to
	// be let through, whatever the rules.
	RulesetKeep
)

func (p RulesetPolicy) String() string { return [...]string{"relearn", "flush", "keep"}[p] }

// settle is how long packets that were judged by the earlier rules may be on their
// way out, through queues of the ports.
const settle = flow.Time(200e6)

// ruleset takes in that the rules have changed.
func (e *Engine) ruleset(r *flow.Ruleset) {
	e.stats.Rulesets++
	e.undrop()
	if e.opts.Ruleset == RulesetKeep {
		e.kept = true
		return
	}
	if r.At != 0 {
		e.eventAt = r.At
	}
	e.ruledAt = e.eventAt + settle
	var ids []flow.ID
	for n := uint32(1); n < e.stays.Bound(); n++ {
		if s := e.stays.At(n); s.Ask != 0 && s.Stage != flow.StageIdle {
			ids = append(ids, s.Flow)
		}
	}
	for _, id := range e.hottest(ids) {
		f := e.table.At(id)
		e.doubt(id, flow.CauseRulesetChanged, r.Text)
		if e.opts.Ruleset == RulesetFlush {
			e.stay(f).RelearnOnly = false
			f.Base, f.Observed = e.forwarded(f), 0
		}
	}
}

// undrop puts every drop verdict that was learnt out of force.
func (e *Engine) undrop() {
	for n := uint32(1); n < e.stays.Bound(); n++ {
		s := e.stays.At(n)
		if f := e.table.At(s.Flow); s.DropEnd != 0 && f.Has(flow.FlagDropped) {
			e.endDrop(s.Flow, f, s, flow.CauseRulesetChanged)
			e.queue(s.Flow)
		}
	}
}

// proof is the time after which a packet has to have been seen to pass: that of
// the latest ruleset, for connections that are older and are to be forwarded.
func (e *Engine) proof(f *flow.Flow, s *flow.Stay) flow.Time {
	if f.Created >= e.ruledAt || s.Verdict == flow.Drop {
		return 0
	}
	return e.ruledAt
}

// heavy takes in that the observer saw many packets of a flow: it need not wait
// for a listing to be judged.
func (e *Engine) heavy(h *flow.Heavy) {
	id, ok := e.table.Find(h.Orig)
	switch {
	case h.Alone:
		if id, ok = e.untracked(h); !ok {
			return
		}
	case !ok:
		return // its entry has not been told of yet, or not any more
	}
	f := e.table.At(id)
	f.Seen = max(f.Seen, h.At)
	f.Observed = uint32(min(h.Packets, 1<<32-1))
	f.Clear(flow.FlagQuiet)
	e.queue(id)
}

// hottest orders flows so that those that hardware forwards most of leave first:
// by powers of two of their rates, which is all that matters and takes no sorting.
func (e *Engine) hottest(ids []flow.ID) []flow.ID {
	if len(ids) < 2 {
		return ids
	}
	for i := range e.order {
		e.order[i] = e.order[i][:0]
	}
	for _, id := range ids {
		k := 0
		if id < e.table.Bound() {
			if s := e.stay(e.table.At(id)); s != nil {
				k = bits.Len32(s.Rate[0] + s.Rate[1])
			}
		}
		e.order[k] = append(e.order[k], id)
	}
	out := make([]flow.ID, 0, len(ids))
	for k := len(e.order) - 1; k >= 0; k-- {
		out = append(out, e.order[k]...)
	}
	return out
}
