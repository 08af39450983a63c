package route

import (
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// pace is what Run's loop keeps between turns.
type pace struct {
	r        *Resolver
	last     time.Time // of the latest tick
	carry    float64   // part of a flow that is due
	elapsed  time.Duration
	listDue  bool
	syncing  bool // Synced is owed once every round has ended
	begin    flow.Time
	faults   int
	pending  []command
	next     int // of pending
	warnedAt time.Time
}

// tick makes as many flows due as the time since the last tick is part of the
// recheck interval.
func (p *pace) tick() {
	now := time.Now()
	gone := now.Sub(p.last)
	p.last = now
	if p.r.recheck < 0 {
		return
	}
	p.carry += float64(p.r.index.count) * float64(gone) / float64(p.r.recheck)
	n := int(p.carry)
	p.carry -= float64(n)
	p.r.lap(n)
	if p.elapsed += gone; p.elapsed >= p.r.recheck {
		p.elapsed, p.listDue = 0, true
	}
}

// maxFaults is how often in a row a listing may go wrong before Run gives up:
// tables that change all the time do settle within seconds.
const maxFaults = 20

// later logs a listing that went wrong; it is tried again at the next turn, and
// nothing is answered before it succeeds.
func (p *pace) later(err error) error {
	if p.faults++; p.faults > maxFaults {
		return err
	}
	if now := time.Now(); now.Sub(p.warnedAt) > time.Second {
		p.warnedAt = now
		p.r.log.Warn("routing state can't be listed; trying again", "err", err)
	}
	return nil
}

// commands carries out what was called, in order, until one batch of look-ups
// has been made. It reports whether more is waiting.
func (p *pace) commands() (more bool, err error) {
	p.faults = 0
	r := p.r
	if p.next == len(p.pending) {
		clear(p.pending)
		p.pending, p.next = r.queue.take(p.pending), 0
	}
	r.batch = r.batch[:0]
	for p.next < len(p.pending) && len(r.batch) < chunk {
		c := &p.pending[p.next]
		if c.kind == cmdResolve && r.batched(c.query.ID) || c.kind == cmdCall && len(r.batch) > 0 {
			break
		}
		p.next++
		switch c.kind {
		case cmdResolve:
			r.batch = append(r.batch, c.query)
		case cmdForget:
			r.unbatch(c.query.ID)
			r.forget(c.query.ID)
		case cmdCall:
			if err := c.call(); err != nil {
				return false, err
			}
		}
	}
	if len(r.batch) > 0 {
		err = r.resolve(r.batch)
	}
	return p.next < len(p.pending), err
}

// batched reports whether a query for id waits in the batch.
func (c *core) batched(id flow.ID) bool {
	for i := range c.batch {
		if c.batch[i].ID == id {
			return true
		}
	}
	return false
}

func (c *core) unbatch(id flow.ID) {
	for i := range c.batch {
		if c.batch[i].ID == id {
			c.batch = append(c.batch[:i], c.batch[i+1:]...)
			return
		}
	}
}
