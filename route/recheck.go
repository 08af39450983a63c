package route

import (
	"net/netip"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// stir is what has flows looked up again. The zero time is nothing that happened.
type stir struct {
	text   string
	at     flow.Time // when it happened, the first time
	tables bool      // routes, rules or nexthops changed: where they hang on a mark, packets show too little
}

// task is a set of flows to be looked up again for one reason.
type task struct {
	ids []flow.ID
	stir
}

// sweep is a round over every flow of a family, because something changed that
// may touch any of them.
type sweep struct {
	wanted bool // a round must begin after now
	active bool
	next   flow.ID
	due    stir // of the round that is wanted
	now    stir // of the one under way
	began  flow.Time
	ended  flow.Time
}

// sweepLap is the periodic round over everything, for silent changes.
type sweepLap struct {
	next      flow.ID
	due       int                     // flows to look up now
	multipath func() multipathSysctls // reads them; nil leaves them unknown
	read      flow.Time               // when that was done last
}

// sysctlRest is how long the settings for multipath routes are not read again.
const sysctlRest = flow.Time(time.Second)

// affected queues the flows with an address inside prefix; what names the
// change, and is called only when there are any.
func (c *core) affected(prefix netip.Prefix, what func() string) {
	if c.index.count == 0 {
		return
	}
	if prefix.Bits() == 0 { // everything: a round needs no list
		c.sweepTables(familyOf(prefix), what())
		return
	}
	var ids []flow.ID
	c.index.within(prefix, func(t *tracked) {
		if !t.queued {
			t.queued = true
			ids = append(ids, t.q.ID)
		}
	})
	c.stirred = c.now
	if len(ids) > 0 {
		c.work = append(c.work, task{ids, stir{what(), c.now, true}})
	}
}

func familyOf(p netip.Prefix) hwif.Family {
	if p.Addr().Is4() {
		return hwif.IPv4
	}
	return hwif.IPv6
}

// sweep asks for a round over a family. Requests that come while one waits are
// met by it; those that come while one runs, by one after it.
func (c *core) sweep(f hwif.Family, text string) { c.round(f, text, false) }

// sweepTables is for a change of routes, rules or nexthops.
func (c *core) sweepTables(f hwif.Family, text string) { c.round(f, text, true) }

func (c *core) round(f hwif.Family, text string, tables bool) {
	s := &c.sweeps[famIndex(f)]
	if !s.wanted {
		s.wanted, s.due = true, stir{text: text, at: c.now}
	}
	c.stirred = c.now
	s.due.tables = s.due.tables || tables
}

func (c *core) sweepAll(text string) {
	for _, f := range families {
		c.sweep(f, text)
	}
}

// ripe reports whether a wanted round may begin: after as long a rest as the
// last one took, so that a storm of changes leaves half of the time.
func (s *sweep) ripe(now flow.Time) bool {
	return s.wanted && !s.active && now-s.ended >= s.ended-s.began
}

// step does one piece of what is queued and reports whether there was any.
func (c *core) step() (bool, error) {
	if len(c.work) > 0 {
		return true, c.stepTask()
	}
	for i := range c.sweeps {
		s := &c.sweeps[i]
		if s.ripe(c.now) {
			s.wanted, s.active, s.next, s.began, s.now = false, true, 0, c.now, s.due
			c.stats.Sweeps++
		}
		if s.active {
			return true, c.stepSweep(s, families[i])
		}
	}
	if c.again.due > 0 {
		return true, c.stepLap()
	}
	return false, nil
}

func (c *core) stepTask() error {
	t := &c.work[0]
	n := min(chunk, len(t.ids))
	ids := make([]flow.ID, 0, chunk)
	for _, id := range t.ids[:n] {
		// A flow that was asked about anew meanwhile is up to date.
		if f := c.index.get(id); f != nil && f.queued {
			ids = append(ids, id)
		}
	}
	err := c.reconsider(ids, true, &t.stir)
	if t.ids = t.ids[n:]; len(t.ids) == 0 {
		c.work[0] = task{}
		c.work = c.work[1:]
	}
	return err
}

// scan is how many places of the index one step of a round looks at.
const scan = 8192

// collect gathers up to chunk flows from *next on that keep says yes to.
func (c *core) collect(next *flow.ID, keep func(*tracked) bool) (ids []flow.ID, end bool) {
	stop := min(int(*next)+scan, len(c.index.flows))
	for ; int(*next) < stop && len(ids) < chunk; *next++ {
		if t := &c.index.flows[*next]; t.live && keep(t) {
			ids = append(ids, *next)
		}
	}
	return ids, int(*next) >= len(c.index.flows)
}

func (c *core) stepSweep(s *sweep, f hwif.Family) error {
	ids, end := c.collect(&s.next, func(t *tracked) bool { return t.q.Orig.Family == f })
	if err := c.reconsider(ids, true, &s.now); err != nil {
		return err
	}
	if end {
		s.active, s.ended = false, c.now
	}
	return nil
}

// lap makes n more flows due for the periodic round, and reads what few settings
// change silently: it takes microseconds, and need not wait for the round's end.
func (c *core) lap(n int) {
	c.again.due = min(c.again.due+n, c.index.count)
	if c.now-c.again.read >= sysctlRest {
		c.readMultipath()
	}
}

func (c *core) stepLap() error {
	ids, end := c.collect(&c.again.next, func(*tracked) bool { return true })
	if end {
		c.again.next = 0
	}
	c.again.due -= max(len(ids), 1)
	return c.reconsider(ids, false, &stir{text: "found by the periodic look-up; the kernel announced nothing"})
}

// idle reports whether no round is wanted or under way.
func (c *core) idle() bool {
	for i := range c.sweeps {
		if c.sweeps[i].wanted || c.sweeps[i].active {
			return false
		}
	}
	return true
}
