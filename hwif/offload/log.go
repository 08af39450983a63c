package offload

import (
	"log/slog"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// step hands one event to the engine and logs those that an operator has to
// know of.
func (l *Loop) step(ev flow.Event) {
	switch ev := ev.(type) {
	case flow.Loss:
		l.opts.Log.Warn("events lost; listing everything again", "source", ev.Source, "text", ev.Text)
	case flow.Dirty:
		if l.debug {
			l.opts.Log.Debug("routes in doubt", "cause", ev.Cause, "flows", len(ev.IDs), "text", ev.Text)
		}
	}
	l.eng.Step(ev)
}

// logOp says what is asked of a device.
func (l *Loop) logOp(op *hwif.Op) {
	args := []any{"dir", flow.Dir(op.Rule.Cookie.Dir()), "cookie", op.Rule.Cookie, "rule", op.Rule.String()}
	if op.Kind == hwif.OpRemove && op.Token.Flow == ghostToken {
		args = append(args, "ghost", true)
	}
	l.opts.Log.Debug(op.Kind.String(), args...)
}

// logPorts says what changed about a device's ports.
func logPorts(log *slog.Logger, before, after []hwif.Port) {
	old := make(map[hwif.Ifindex]hwif.Port, len(before))
	for _, p := range before {
		old[p.Ifindex] = p
	}
	for _, p := range after {
		o, known := old[p.Ifindex]
		delete(old, p.Ifindex)
		switch {
		case p.Refused != "" && o.Refused != p.Refused:
			log.Warn("port carries no rules now", "port", p.Name, "text", p.Refused)
		case o.Refused != "" && p.Refused == "":
			log.Info("port carries rules again", "port", p.Name)
		case !known:
			log.Info("port is there", "port", p.Name, "ifindex", p.Ifindex)
		case o.Up != p.Up:
			log.Info("port changed", "port", p.Name, "up", p.Up)
		}
	}
	for _, p := range old {
		log.Warn("port is gone", "port", p.Name, "ifindex", p.Ifindex)
	}
}

// report sums up for the log what happened to flows, at most every some
// seconds: a storm is one line, and quiet times are none.
type report struct {
	last Stats
	next flow.Time
}

const reportEvery = flow.Time(5e9)

func (r *report) tell(log *slog.Logger, st *Stats) {
	if st.Now < r.next {
		return
	}
	r.next = st.Now + reportEvery
	var left []any
	for _, c := range flow.Causes() {
		// Closes and idle flows are daily life.
		if n := st.Removals[c] - r.last.Removals[c]; n > 0 && c != flow.CauseTCPClose && c != flow.CauseIdle && c != flow.CauseConntrackDestroyed {
			left = append(left, c.String(), n)
		}
	}
	if left != nil {
		log.Info("flows left hardware", left...)
	}
	var refused []any
	for _, k := range hwif.Kinds() {
		if n := st.Refusals[k] - r.last.Refusals[k]; n > 0 {
			refused = append(refused, k.String(), n)
		}
		if n := st.RuleErrors[k] - r.last.RuleErrors[k]; n > 0 {
			refused = append(refused, "removal_"+k.String(), n)
		}
	}
	if refused != nil {
		log.Warn("the device refused rules", refused...)
	}
	if n := st.Ghosts - r.last.Ghosts; n > 0 {
		log.Info("removed rules of an earlier daemon", "rules", n)
	}
	if n := st.Adopted - r.last.Adopted; n > 0 {
		log.Info("took over rules of an earlier daemon", "rules", n)
	}
	r.last = *st
}
