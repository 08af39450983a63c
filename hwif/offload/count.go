package offload

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Count takes in the counters of one device. Those of rules that are not known
// (ghosts, rules just removed) are passed over.
func (e *Engine) Count(counted []hwif.Counted) {
	for i := range counted {
		c := &counted[i]
		id, ok := e.byGen[c.Cookie.Gen()]
		if !ok || !c.Cookie.Ours() {
			continue
		}
		f := e.table.At(id)
		s := e.stay(f)
		if s == nil || s.Rules[c.Cookie.Dir()] != flow.RuleInHW {
			continue
		}
		if e.count(s, c.Cookie.Dir(), c.Counter) && s.InAt != 0 {
			if f.State == flow.StateInstalled {
				e.setState(id, f, flow.StateActive)
			}
			e.keepAlive(f, s)
		}
	}
}

// count adds what a rule counted since the last word and reports whether it moved.
func (e *Engine) count(s *flow.Stay, dir uint8, c hwif.Counter) bool {
	last := &s.Last[dir]
	since := e.now - s.NICAt
	s.NICAt = e.now
	if c.Packets <= last.Packets {
		return false
	}
	packets, bytes := c.Packets-last.Packets, uint64(0)
	if c.Bytes > last.Bytes {
		bytes = c.Bytes - last.Bytes
	}
	if since > 0 {
		s.Rate[dir] = uint32(min(float64(packets)*1e9/float64(since), 1<<31))
	}
	s.NIC[dir].Packets += packets
	s.NIC[dir].Bytes += bytes
	path := &e.stats.NICPath
	if s.Verdict == flow.Drop {
		path = &e.stats.NICDrops
	}
	path.Packets += packets
	path.Bytes += bytes
	*last = c
	s.Moved = e.now
	return true
}

// keepAlive refreshes the conntrack time-out of a flow that hardware has seen,
// before half of it or the last three rounds have gone: the kernel, which sees
// no packet, would let the entry and its NAT mapping die.
func (e *Engine) keepAlive(f *flow.Flow, s *flow.Stay) {
	full := e.full(f)
	if f.Flags&(flow.FlagEnded|flow.FlagAlone) != 0 || s.Expires-e.now > max(seconds(full)/2, 3*flow.Time(e.opts.Round)) {
		return
	}
	s.Expires = e.now + seconds(full)
	e.touches = append(e.touches, flow.Touch{Orig: f.Entry.Orig, EntryID: f.Entry.ID, Timeout: full})
}

// checkLife has a flow's packets seen again when its time in hardware is over; not all
// at once that went in at once.
func (e *Engine) checkLife(n uint32, s *flow.Stay) {
	if e.opts.Life == 0 || s.InAt == 0 || s.Cause != flow.CauseNone || s.Verdict != flow.Forward {
		return
	}
	life, f := flow.Time(e.opts.Life), e.table.At(s.Flow)
	if life -= life / 1024 * flow.Time(f.UID%256); e.now-s.InAt < life || f.Stay != n || f.Has(flow.FlagUntracked|flow.FlagEnded) {
		return
	}
	e.doubt(s.Flow, flow.CauseLeaseExpired, "its time in hardware is over: packets of it have to be seen again")
}

// checkIdle takes out flows that hardware has not seen for long. A device
// without counters cannot say; there the kernel's own timer decides.
func (e *Engine) checkIdle() {
	for n := uint32(1); n < e.stays.Bound(); n++ {
		s := e.stays.At(n)
		if e.unconnected > 0 {
			e.checkUntracked(n, s)
		}
		e.checkLife(n, s)
		if s.InAt == 0 || s.Cause != flow.CauseNone || e.now-s.Moved <= flow.Time(e.opts.Idle) ||
			e.devices[s.Device].caps.Counters == hwif.CountersNone {
			continue
		}
		f := e.table.At(s.Flow)
		if f.Has(flow.FlagPinned) {
			continue
		}
		e.because(f, flow.CauseIdle)
		if f.Has(flow.FlagUntracked) {
			e.end(s.Flow, flow.CauseIdle) // nothing else will say so
			continue
		}
		// Out, and back only after the kernel has seen it speak again.
		f.Base, f.Observed = e.forwarded(f), 0
		f.Set(flow.FlagQuiet)
		f.Clear(flow.FlagLooked)
		f.Until, f.Hold = e.now+flow.Time(e.opts.BackoffMin), flow.Of(flow.BelowThreshold)
		e.timers.add(f.Until, s.Flow, f.UID)
		e.queue(s.Flow)
	}
}
