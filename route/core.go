package route

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// host is what the core asks of the kernel besides look-ups.
type host interface {
	// Link reads an interface as it is now.
	Link(hwif.Ifindex) (rtnl.Link, error)
	// UseNeigh has a neighbour resolved or confirmed.
	UseNeigh(n *rtnl.Neigh, create bool) error
}

type kernel struct{ *rtnl.Conn }

// core is the resolver without sockets: notifications and commands go in, events
// come out of emit. No goroutine, no clock. Owned by Run.
type core struct {
	view  *picture
	ask   asker
	index *index
	host  host
	emit  func(flow.Event)
	stats Stats

	work   []task   // flows to look up again, oldest first
	sweeps [2]sweep // by famIndex
	again  sweepLap // the periodic round
	stale  stale    // what to list again before the next look-up
	now    flow.Time

	stirred flow.Time // when something changed last that has flows looked at again

	await await // flows whose packets are waited for

	jobs  []job
	olds  []verdict
	batch []flow.Query
	used  map[neighKey]flow.Time // when NTF_USE was last sent for a resolution
}

// stale marks listings that a notification made untrue.
type stale struct {
	rules    [2]bool // by famIndex
	policies bool
	lost     bool
}

func newCore(l lookup, markKnown bool) core {
	v := newPicture()
	return core{view: v, ask: asker{picture: v, lookup: l, markKnown: markKnown},
		index: newIndex(), used: map[neighKey]flow.Time{}}
}

// resolve answers queries, at most chunk of them and of different IDs. With an
// observer, those that it can see are answered once their packets were seen.
func (c *core) resolve(qs []flow.Query) error {
	c.jobs = c.jobs[:0]
	for i := range qs {
		if c.await.watcher != nil && trackable(&qs[i]) && qs[i].Verdict != flow.Drop {
			c.expect(&qs[i])
			continue
		}
		c.jobs = append(c.jobs, job{q: &qs[i], full: true})
	}
	c.askPackets()
	if err := c.ask.judge(c.jobs); err != nil {
		return err
	}
	c.stats.Judged += uint64(len(c.jobs))
	for i := range c.jobs {
		j := &c.jobs[i]
		j.prove(false)
		if trackable(j.q) {
			c.index.put(j.q, &j.v)
		}
		c.emit(j.answer())
		c.wake(&j.v)
	}
	return nil
}

// forget ends the tracking of a flow. One without a connection is told of anew when
// it becomes heavy again: nobody else speaks of it.
func (c *core) forget(id flow.ID) {
	if t := c.index.get(id); t != nil && t.q.Alone {
		c.recount([]flow.Tuple{t.q.Orig})
	}
	c.index.drop(id)
}

// recount has directions told of once more.
func (c *core) recount(ts []flow.Tuple) {
	if c.await.watcher == nil {
		return
	}
	if err := c.await.watcher.Reset(ts); err != nil {
		c.blind(err)
	}
}

// trackable reports whether a notification can ever be about q.
func trackable(q *flow.Query) bool {
	a, b := q.Orig.SrcAddr(), q.Reply.SrcAddr()
	return a.IsValid() && b.IsValid() && !a.Is4In6() && !b.Is4In6()
}

// explain judges one query without a trace.
func (c *core) explain(q *flow.Query) (flow.Answer, error) {
	c.jobs = append(c.jobs[:0], job{q: q, full: true})
	if t := c.index.get(q.ID); t != nil && t.q.Orig == q.Orig && t.q.Reply == q.Reply {
		c.jobs[0].seen = t.glimpses()
	}
	if err := c.ask.judge(c.jobs); err != nil {
		return flow.Answer{}, err
	}
	return c.jobs[0].answer(), nil
}

// reconsider looks tracked flows up again, at most chunk of them. Those whose
// answer differs become dirty, for the cause that the difference shows; a flow that
// waited for its neighbour is answered.
//
// A packet that was seen before the latest change proves nothing, also when an earlier
// one is what the flows are looked at for: they are looked at once for all of them.
func (c *core) reconsider(ids []flow.ID, full bool, by *stir) error {
	last := flow.Time(0)
	if by.at != 0 {
		last = c.stirred
	}
	c.jobs, c.olds = c.jobs[:0], c.olds[:0]
	for _, id := range ids {
		t := c.index.get(id)
		if t == nil {
			continue
		}
		t.queued = false
		if t.waits { // nothing was answered yet, and what was seen may be of before
			contradicted := t.again
			c.lookAgain(t, last)
			if !t.late || contradicted {
				continue
			}
		}
		j := job{q: &t.q, full: full, quiet: true, seen: t.glimpses()}
		old := c.index.found(t)
		if t.reasons.Without(flow.NeighbourUnresolved) == 0 {
			j.in[flow.Orig] = old.path[flow.Orig].L3In
			j.full = full || old.path[flow.Orig].Legs|old.path[flow.Reply].Legs != 0
		} else {
			j.full = true
		}
		c.jobs, c.olds = append(c.jobs, j), append(c.olds, old)
	}
	c.askPackets()
	if len(c.jobs) == 0 {
		return nil
	}
	if err := c.ask.judge(c.jobs); err != nil {
		return err
	}
	c.stats.Judged += uint64(len(c.jobs))
	byCause := map[flow.Cause][]flow.ID{}
	for i := range c.jobs {
		j, old := &c.jobs[i], &c.olds[i]
		j.prove(c.await.watcher != nil)
		switch {
		case old.same(&j.v) && !j.outrun(last, by.tables && c.view.rules[famIndex(j.q.Orig.Family)].fwmark):
			c.wake(&j.v) // still waiting: ask again, now and then
		case waiting(old) && waiting(&j.v):
			c.index.amend(c.index.get(j.q.ID), &j.v)
			c.wake(&j.v)
		case waiting(old) && j.v.reasons == 0:
			c.settle(j)
		default:
			why := old.cause(&j.v)
			byCause[why] = append(byCause[why], j.q.ID)
		}
	}
	for why, ids := range byCause {
		c.dirty(ids, why, by.text, by.at)
	}
	return nil
}

// waiting reports whether nothing but a next hop's MAC is missing.
func waiting(v *verdict) bool { return v.reasons == flow.Of(flow.NeighbourUnresolved) }

// settle answers a flow whose neighbour has been resolved.
func (c *core) settle(j *job) {
	c.index.amend(c.index.get(j.q.ID), &j.v)
	c.stats.Resolved++
	a := j.answer()
	a.Text = "resolved now"
	c.emit(a)
	c.wake(&j.v)
}

// dirty ends the tracking of flows and says so. ids may hold some twice, and
// some that are gone.
func (c *core) dirty(ids []flow.ID, cause flow.Cause, text string, at flow.Time) {
	out := make([]flow.ID, 0, len(ids))
	for _, id := range ids {
		if c.index.drop(id) {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return
	}
	c.stats.Dirty += uint64(len(out))
	c.emit(flow.Dirty{IDs: out, Cause: cause, Text: text, At: at})
}
