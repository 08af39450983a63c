package route

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// tracked is one flow that has been answered and not been forgotten.
type tracked struct {
	q       flow.Query
	reasons flow.Reasons
	path    [2]uint32 // by Dir, 0 when none was found
	live    bool
	queued  bool // waits for a look-up in a recheck
	waits   bool // for packets of both directions
	late    bool // they have not come in time, or not as the tables say, and that was the answer
	again   bool // they are to be asked for at the next change or lap
	tries   uint8
	blind   uint8      // packets told of whose way in was not seen
	asked   flow.Time  // packets seen before do not count
	sight   [2]glimpse // by Dir; at 0 when none was seen
}

// watched reports whether packets of every direction that matters were seen.
func (t *tracked) watched() bool {
	return t.sight[flow.Orig].at != 0 && (t.q.Alone || t.sight[flow.Reply].at != 0)
}

// glimpses are the packets that were seen of t.
func (t *tracked) glimpses() (out [2]*glimpse) {
	for d := range t.sight {
		if t.sight[d].at != 0 {
			out[d] = &t.sight[d]
		}
	}
	return out
}

// index is every tracked flow, found by ID, by the addresses that its routing
// depends on, and by path. Owned by Run.
//
// Routing of both directions depends on two addresses alone: orig.src and
// reply.src (the destination after DNAT). Each is destination in one direction
// and source in the other.
type index struct {
	flows  []tracked // by flow.ID: IDs are dense
	count  int
	paths  *paths
	onPath chains                 // node = ID*2 + Dir
	addrs  bart.Table[uint32]     // host prefix to head in byAddr
	byAddr chains                 // node = ID*2 + 0 for orig.src, 1 for reply.src
	wanted map[flow.Tuple]flow.ID // directions whose next packet is wanted, by their tuples
}

func newIndex() *index { return &index{paths: newPaths(), wanted: map[flow.Tuple]flow.ID{}} }

// want has the flow's packets looked for; unwant ends it.
func (x *index) want(t *tracked) {
	x.wanted[t.q.Orig] = t.q.ID
	if !t.q.Alone {
		x.wanted[t.q.Reply] = t.q.ID
	}
}

func (x *index) unwant(t *tracked) {
	for _, tu := range [2]flow.Tuple{t.q.Orig, t.q.Reply} {
		if x.wanted[tu] == t.q.ID {
			delete(x.wanted, tu)
		}
	}
}

// get gives the live flow, or nil.
func (x *index) get(id flow.ID) *tracked {
	if int(id) >= len(x.flows) || !x.flows[id].live {
		return nil
	}
	return &x.flows[id]
}

// put tracks q with what was found, in place of what was known of its ID.
func (x *index) put(q *flow.Query, v *verdict) {
	x.drop(q.ID)
	for len(x.flows) <= int(q.ID) {
		x.flows = append(x.flows, tracked{})
	}
	x.onPath.grow(2 * len(x.flows))
	x.byAddr.grow(2 * len(x.flows))
	t := &x.flows[q.ID]
	*t = tracked{q: *q, live: true, reasons: v.reasons}
	x.count++
	for d := range uint32(2) {
		x.link(t, d, &v.path[d])
		x.enter(hostOf(t, d), uint32(q.ID)*2+d)
	}
}

// amend replaces what was found for a tracked flow.
func (x *index) amend(t *tracked, v *verdict) {
	t.reasons = v.reasons
	for d := range uint32(2) {
		x.unlink(t, d)
		x.link(t, d, &v.path[d])
	}
}

func (x *index) link(t *tracked, d uint32, p *path) {
	if t.path[d] = x.paths.take(p); t.path[d] != 0 {
		s := &x.paths.all[t.path[d]]
		s.flows = x.onPath.push(s.flows, uint32(t.q.ID)*2+d)
	}
}

func (x *index) unlink(t *tracked, d uint32) {
	if n := t.path[d]; n != 0 {
		s := &x.paths.all[n]
		s.flows = x.onPath.remove(s.flows, uint32(t.q.ID)*2+d)
		x.paths.release(n)
		t.path[d] = 0
	}
}

// drop forgets a flow; one that is not tracked is no matter.
func (x *index) drop(id flow.ID) bool {
	t := x.get(id)
	if t == nil {
		return false
	}
	for d := range uint32(2) {
		x.unlink(t, d)
		x.leave(hostOf(t, d), uint32(id)*2+d)
	}
	if len(x.wanted) > 0 {
		x.unwant(t)
	}
	*t = tracked{}
	x.count--
	return true
}

// hostOf is the host prefix of orig.src (0) or reply.src (1).
func hostOf(t *tracked, which uint32) netip.Prefix {
	a := t.q.Orig.SrcAddr()
	if which == 1 {
		a = t.q.Reply.SrcAddr()
	}
	return netip.PrefixFrom(a, a.BitLen())
}

func (x *index) enter(host netip.Prefix, node uint32) {
	if head, ok := x.addrs.Get(host); ok {
		x.byAddr.pushSecond(head, node)
		return
	}
	x.addrs.Insert(host, x.byAddr.push(0, node))
}

func (x *index) leave(host netip.Prefix, node uint32) {
	head, ok := x.addrs.Get(host)
	if !ok {
		return
	}
	switch now := x.byAddr.remove(head, node); now {
	case head:
	case 0:
		x.addrs.Delete(host)
	default:
		x.addrs.Insert(host, now)
	}
}

// within calls f for every flow with one of its two addresses inside prefix;
// twice for one with both.
func (x *index) within(prefix netip.Prefix, f func(t *tracked)) {
	for _, head := range x.addrs.Subnets(prefix) {
		for ; head != 0; head = x.byAddr.nodes[head-1].next {
			f(&x.flows[(head-1)/2])
		}
	}
}

// chosen lists the flows of which a packet was seen choosing a leg.
func (x *index) chosen() (ids []flow.ID) {
	for i := range x.flows {
		if t := &x.flows[i]; t.live && x.paths.all[t.path[0]].Legs|x.paths.all[t.path[1]].Legs != 0 {
			ids = append(ids, flow.ID(i))
		}
	}
	return ids
}

// ofFamily lists every flow of a family.
func (x *index) ofFamily(f hwif.Family) (ids []flow.ID) {
	for i := range x.flows {
		if t := &x.flows[i]; t.live && t.q.Orig.Family == f {
			ids = append(ids, flow.ID(i))
		}
	}
	return ids
}

// onLink calls f for every flow with a path that rests on dev; twice for one
// with both directions on it. f must not change the index.
func (x *index) onLink(dev hwif.Ifindex, f func(id flow.ID)) {
	x.paths.onLink(dev, func(n uint32) { x.alongPath(n, f) })
}

// alongPath calls f for the flows on path n. f must not change the index.
func (x *index) alongPath(n uint32, f func(id flow.ID)) {
	x.onPath.each(x.paths.all[n].flows, func(node uint32) { f(flow.ID(node / 2)) })
}

// found is what is on record for t, in the form of a new verdict.
func (x *index) found(t *tracked) verdict {
	return verdict{
		path:    [2]path{x.paths.all[t.path[0]].path, x.paths.all[t.path[1]].path},
		reasons: t.reasons,
	}
}
