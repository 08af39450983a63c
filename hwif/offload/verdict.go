package offload

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Marks are bits of the conntrack mark that decide over a flow; 0 is none. No bit
// may be in two of them.
type Marks struct {
	Offload uint32 // into hardware, whatever the policy says
	Never   uint32 // not into hardware
	Drop    uint32 // hardware drops its packets
}

// marked is for a flow whose mark keeps it out, or says two things at once.
func (e *Engine) marked(f *flow.Flow) obstacle {
	m := e.opts.Marks
	said := ""
	for _, b := range [...]struct {
		bits uint32
		name string
	}{{m.Offload, "offload"}, {m.Never, "never"}, {m.Drop, "drop"}} {
		if f.Entry.Mark&b.bits == 0 {
			continue
		}
		if said != "" {
			said += " and "
		}
		said += b.name
	}
	switch said {
	case "", "offload", "drop":
		return obstacle{}
	}
	return obstacle{flow.Of(flow.DisabledByPolicy), flow.StateRejected, flow.CauseMarkChanged,
		fmt.Sprintf("its conntrack mark 0x%x says %s", f.Entry.Mark, said)}
}

// wanted is what is to become of the flow's packets, and of which directions.
func (e *Engine) wanted(f *flow.Flow, s *flow.Stay) (flow.Verdict, uint8) {
	switch {
	case f.Entry.Mark&e.opts.Marks.Drop != 0:
		return flow.Drop, flow.BothDirs
	case f.Has(flow.FlagDropped):
		return flow.Drop, s.DropDirs
	case f.Has(flow.FlagUntracked):
		return flow.Forward, 1 << flow.Orig
	}
	return flow.Forward, flow.BothDirs
}

// turn brings the flow's rules in line with its verdict: those of another one leave
// first, and the route is asked for anew.
func (e *Engine) turn(id flow.ID, f *flow.Flow, s *flow.Stay) {
	if s == nil {
		return
	}
	if f.Has(flow.FlagDropped) && e.now >= s.DropEnd {
		e.endDrop(id, f, s, flow.CauseLeaseExpired)
	}
	v, dirs := e.wanted(f, s)
	if s.Verdict == v && s.Dirs == dirs {
		return
	}
	if anyRule(s) {
		e.because(f, flow.CausePolicyChanged)
		s.Stage, s.RoutedAt, s.Refusal, s.RelearnOnly = flow.StageIdle, 0, 0, true
		return
	}
	if s.Stage != flow.StageIdle {
		e.ready.Forget = append(e.ready.Forget, id)
	}
	s.Verdict, s.Dirs = v, dirs
	s.Stage, s.RoutedAt, s.AskedAt, s.Refusal = flow.StageIdle, 0, 0, 0
}

// dropped takes in that netfilter keeps dropping a direction. Hardware may do so in
// its place for a while: for that direction of that flow alone.
func (e *Engine) dropped(d *flow.Dropped) {
	if e.opts.DropCeiling == 0 {
		return
	}
	id, ok := e.table.Find(d.Orig)
	if !ok {
		if e.dropping >= e.opts.DropCeiling {
			return // not even to be remembered: there may be very many
		}
		id = e.addAlone(d.Orig, d.Reply, d.At, 0)
	}
	f := e.table.At(id)
	if f.Has(flow.FlagEnded) {
		return
	}
	if f.Stay == 0 {
		f.Stay, _ = e.stays.Add(id)
	}
	s := e.stay(f)
	if s.Verdict == flow.Forward && s.Rules[d.Dir] == flow.RuleInHW {
		return // what hardware does not take is not what the connection sends: anybody can forge it
	}
	if !f.Has(flow.FlagDropped) {
		s.DropDirs = 0
	}
	f.Set(flow.FlagDropped)
	s.DropDirs |= 1 << d.Dir
	s.DropIn[d.Dir] = d.In
	s.DropEnd = e.now + flow.Time(e.opts.DropLife)
	if s.EventAt == 0 {
		s.EventAt = d.At
	}
	e.timers.add(s.DropEnd, id, f.UID)
	e.setText(id, fmt.Sprintf("netfilter drops its %s packets, %d within a second", d.Dir, d.Packets))
	e.queue(id)
}

// addAlone makes a flow of a connection that has no entry.
func (e *Engine) addAlone(orig, reply flow.Tuple, at flow.Time, flags flow.Flag) flow.ID {
	en := flow.Entry{Orig: orig, Reply: reply}
	id, f := e.table.Add(&en, at)
	if en.Reply != en.Orig.Reversed() {
		e.table.IndexReply(id)
	}
	f.Created, f.Since, f.State = e.now, e.now, flow.StateCandidate
	f.Set(flow.FlagAlone | flags)
	e.stats.Flows[flow.StateCandidate]++
	e.stats.Tracked++
	e.applyIntent(f)
	return id
}

// endDrop puts the verdict out of force: the kernel is asked again.
func (e *Engine) endDrop(id flow.ID, f *flow.Flow, s *flow.Stay, cause flow.Cause) {
	f.Clear(flow.FlagDropped)
	s.DropDirs, s.DropIn, s.DropEnd = 0, [2]hwif.Ifindex{}, 0
	if f.Has(flow.FlagAlone) && !f.Has(flow.FlagUntracked) {
		e.end(id, cause) // there is nothing else to know of it
		return
	}
	e.because(f, cause)
}

// placeableDrop says why the ports cannot carry the rules of a flow to be dropped.
func (e *Engine) placeableDrop(s *flow.Stay) (hwif.DeviceID, obstacle) {
	var dev hwif.DeviceID
	first := true
	for d := range s.Routes {
		if !s.Wants(d) {
			continue
		}
		p, ok := e.ports[s.Routes[d].In]
		no := func(r flow.Reason, text string) (hwif.DeviceID, obstacle) {
			return 0, obstacle{flow.Of(r), flow.StateRejected, flow.CauseFenced, text}
		}
		switch {
		case !ok:
			return no(flow.PortNotOffloadable, fmt.Sprintf("interface %d is not a port of any device", s.Routes[d].In))
		case p.Refused != "":
			return no(flow.OffloadDisabledOnPort, p.Name+": "+p.Refused)
		case !first && p.Device != dev:
			return no(flow.DifferentEswitch, p.Name+" is on another device")
		}
		dev, first = p.Device, false
	}
	return dev, obstacle{}
}

// first is a direction that has a rule.
func first(s *flow.Stay) int {
	if s.Wants(0) {
		return 0
	}
	return 1
}
