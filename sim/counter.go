package sim

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// snapshot is what lagging counters tell: the values of an earlier moment.
type snapshot struct {
	at flow.Time
	// taken is false while there is none: counters are live.
	taken bool
}

// lag is how far counters may be behind.
func (n *NIC) lag() flow.Time { return flow.Time(max(n.faults.CounterLag, n.caps.CounterLag)) }

// beforeCount takes the snapshot that is due. Called before counters move and
// before they are read, so that a snapshot holds the values of its own moment.
func (n *NIC) beforeCount() {
	lag := n.lag()
	if lag == 0 {
		return
	}
	now := n.clock.Now()
	if n.shown.taken && now-n.shown.at < lag {
		return
	}
	for e := range n.table.all() {
		e.shown = e.counter
	}
	n.shown = snapshot{at: now, taken: true}
}

// counter is what the card tells of an entry.
func (n *NIC) counter(e *entry) hwif.Counter {
	c := e.counter
	if n.lag() != 0 {
		n.beforeCount()
		c = e.shown
	}
	return n.told(c)
}

// told is as much of a counter as the card counts.
func (n *NIC) told(c hwif.Counter) hwif.Counter {
	switch n.caps.Counters {
	case hwif.CountersNone:
		return hwif.Counter{}
	case hwif.CountersPackets:
		c.Bytes = 0
	}
	return c
}

// Counters appends one Counted for each rule of ours; none when the card does
// not count.
func (n *NIC) Counters(into []hwif.Counted) []hwif.Counted {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.caps.Counters == hwif.CountersNone {
		return into
	}
	for e := range n.table.all() {
		if e.rule.Cookie.Ours() && !e.software {
			into = append(into, hwif.Counted{Cookie: e.rule.Cookie, Counter: n.counter(e)})
		}
	}
	return into
}
