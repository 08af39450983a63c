package route

import (
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
)

// packetPatience is how long a flow's packets are waited for before the tables
// alone are asked; they have to be certain then. A flow that is worth a slot
// sends many in that time.
const packetPatience = flow.Time(1e9)

// maxTries is how often a packet may contradict the tables before that is the
// answer: those that were under way during a change are over after one.
const maxTries = 8

// watcher is what the core asks of the observer.
type watcher interface {
	Ask(orig, reply []flow.Tuple) error
	Reset(orig []flow.Tuple) error
}

// await is what the core keeps of flows whose packets are waited for.
type await struct {
	watcher watcher   // nil without an observer
	fault   error     // why it was given up
	later   []vigil   // whose packets do not count yet, the first to count first
	queue   []vigil   // the longest waiting first
	ready   []flow.ID // both directions were seen
	orig    []flow.Tuple
	reply   []flow.Tuple
}

type vigil struct {
	id  flow.ID
	gen uint64
	at  flow.Time
}

// expect tracks a flow until its packets have been seen.
func (c *core) expect(q *flow.Query) {
	c.index.put(q, &verdict{reasons: flow.Of(flow.RouteUnobserved)})
	t := c.index.get(q.ID)
	t.waits, t.asked = true, max(c.now, q.Proof)
	w := vigil{id: q.ID, gen: q.Gen, at: t.asked}
	if q.Proof > c.now {
		c.await.later = append(c.await.later, w)
		return
	}
	c.lookOut(t, w)
}

// lookOut has the next packets of both directions told.
func (c *core) lookOut(t *tracked, w vigil) {
	c.index.want(t)
	c.askFor(t)
	c.await.queue = append(c.await.queue, w)
}

// askFor has the next packets of t told.
func (c *core) askFor(t *tracked) {
	t.blind = 0
	c.askOne(t, flow.Orig)
	if !t.q.Alone {
		c.askOne(t, flow.Reply)
	}
}

func (c *core) askOne(t *tracked, d flow.Dir) {
	if d == flow.Orig {
		c.await.orig = append(c.await.orig, t.q.Orig)
	} else {
		c.await.reply = append(c.await.reply, t.q.Reply)
	}
}

// maxBlind is how many packets are passed over whose way in was not seen, before that is
// what is known of the flow.
const maxBlind = 3

// lookAgain drops what was seen of a waiting flow before a change at the given time.
func (c *core) lookAgain(t *tracked, at flow.Time) {
	if t.again {
		t.again, t.asked = false, max(c.now, t.q.Proof)
		c.askFor(t)
		return
	}
	if at == 0 { // a lap: what was asked may have been lost on the way, among very many
		for d := range t.sight {
			if t.sight[d].at == 0 && t.late && !(t.q.Alone && flow.Dir(d) == flow.Reply) {
				c.askOne(t, flow.Dir(d))
			}
		}
		return
	}
	if t.asked > at && t.sight == [2]glimpse{} {
		return
	}
	t.asked, t.sight = max(c.now, t.q.Proof), [2]glimpse{}
	if c.index.wanted[t.q.Orig] == t.q.ID { // else its packets do not count yet
		c.askFor(t)
	}
}

// outrun reports whether a change may have made the kernel choose otherwise than a
// packet was seen to go before, although the tables say the same as then: another leg
// of a multipath route, or, where rules select by mark, a way for the mark that packets
// had when they were routed, which need not be the one with which they left.
func (j *job) outrun(at flow.Time, marked bool) bool {
	for d, g := range j.seen {
		if g != nil && (marked || j.v.path[d].Legs != 0) && g.at < at {
			return true
		}
	}
	return false
}

// askPackets tells the observer what is wanted. One that can't be told is given up.
func (c *core) askPackets() {
	a := &c.await
	if len(a.orig)+len(a.reply) == 0 || a.watcher == nil {
		return
	}
	if err := a.watcher.Ask(a.orig, a.reply); err != nil {
		c.blind(err)
	}
	a.orig, a.reply = a.orig[:0], a.reply[:0]
}

// blind goes on without an observer: everything is judged by the tables alone.
func (c *core) blind(err error) {
	c.await.watcher, c.await.fault = nil, err
	c.sweepAll("the observer has failed")
}

// sights takes in what the observer saw.
func (c *core) sights(all []observe.Sight) {
	for i := range all {
		s := &all[i]
		if s.Kind == observe.Dropped {
			c.emit(flow.Dropped{Orig: s.Orig(), Reply: s.Reply(), Dir: s.Dir, In: s.In, Packets: s.Packets, At: s.At})
			continue
		}
		if id, ok := c.index.wanted[s.Own]; ok {
			if t := c.index.get(id); t != nil && t.q.Alone == (s.Kind == observe.Alone) {
				c.sight(t, s)
				continue
			}
		}
		c.emit(flow.Heavy{Orig: s.Orig(), Dir: s.Dir, Packets: s.Packets, At: s.At, Alone: s.Kind == observe.Alone})
	}
	c.askPackets()
}

func (c *core) sight(t *tracked, s *observe.Sight) {
	if t == nil {
		return
	}
	d := s.Dir
	if s.At < t.asked { // of before it was asked for, and the question is used up
		c.askOne(t, d)
		return
	}
	c.stats.Sights++
	if s.Came.Port == 0 && t.blind < maxBlind { // its way in was not watched yet
		t.blind++
		c.askOne(t, d)
		return
	}
	fresh := t.sight[d].at == 0
	t.sight[d] = glimpseOf(s)
	if fresh && t.watched() {
		c.await.ready = append(c.await.ready, t.q.ID)
	}
}

// stepSeen judges flows whose packets have been seen, and those whose packets
// have not been for too long. It reports whether there were any.
func (c *core) stepSeen() (bool, error) {
	c.wakeLater()
	ids := make([]flow.ID, 0, chunk)
	late := false
	for len(c.await.ready) > 0 && len(ids) < chunk {
		id := c.await.ready[0]
		c.await.ready = c.await.ready[1:]
		if t := c.index.get(id); t != nil && t.watched() {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		ids, late = c.overdue(ids), true
	}
	if len(ids) == 0 {
		return false, nil
	}
	return true, c.judgeSeen(ids, late)
}

// wakeLater looks out for packets that begin to count now.
func (c *core) wakeLater() {
	a := &c.await
	for len(a.later) > 0 && a.later[0].at <= c.now {
		w := a.later[0]
		a.later = a.later[1:]
		if t := c.index.get(w.id); t != nil && t.q.Gen == w.gen {
			c.lookOut(t, w)
		}
	}
	c.askPackets()
}

// overdue takes flows off the queue that have waited for long enough.
func (c *core) overdue(ids []flow.ID) []flow.ID {
	a := &c.await
	for len(a.queue) > 0 && len(ids) < chunk && (a.queue[0].at+packetPatience <= c.now || a.watcher == nil) {
		w := a.queue[0]
		a.queue = a.queue[1:]
		if t := c.index.get(w.id); t != nil && t.q.Gen == w.gen && t.waits {
			ids = append(ids, w.id)
		}
	}
	return ids
}

// judgeSeen answers flows with what was seen of them. When the tables say
// otherwise, a packet was under way while they changed: another one is waited
// for, unless it is late.
func (c *core) judgeSeen(ids []flow.ID, late bool) error {
	c.jobs = c.jobs[:0]
	for _, id := range ids {
		t := c.index.get(id)
		c.jobs = append(c.jobs, job{q: &t.q, full: true, seen: t.glimpses()})
	}
	if err := c.ask.judge(c.jobs); err != nil {
		return err
	}
	c.stats.Judged += uint64(len(c.jobs))
	for i := range c.jobs {
		j := &c.jobs[i]
		t := c.index.get(j.q.ID)
		if j.differs && !late && t.waits && t.tries < maxTries {
			c.stats.Contradicted++
			t.tries++
			t.asked, t.sight = c.now, [2]glimpse{}
			c.askFor(t)
			continue
		}
		j.prove(c.await.watcher != nil)
		c.report(t, j)
		t.late = c.await.watcher != nil && (j.differs || late && !j.q.Trust && !j.proven())
		t.waits, t.tries = t.late, 0
		if j.differs {
			t.again, t.sight = true, [2]glimpse{}
		}
		if !late && !t.late {
			c.index.unwant(t)
		}
	}
	c.askPackets()
	return nil
}

// report answers a flow, or corrects an answer that was given without its packets.
func (c *core) report(t *tracked, j *job) {
	old := c.index.found(t)
	switch {
	case t.waits || old.reasons != 0:
		c.index.amend(t, &j.v)
		c.emit(j.answer())
		c.wake(&j.v)
	case !old.agrees(&j.v):
		c.dirty([]flow.ID{j.q.ID}, old.cause(&j.v), "a packet left otherwise than the tables had said", c.now)
	default:
		c.index.amend(t, &j.v) // now with what was seen
	}
}

// agrees compares what rules are made from: the TTL comes from packets alone.
func (v *verdict) agrees(w *verdict) bool {
	a, b := v.path, w.path
	for d := range a {
		a[d].Route.TTL, b[d].Route.TTL = 0, 0
	}
	return v.reasons == w.reasons && a == b
}
