package offload

import (
	"cmp"
	"maps"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// ghostToken is the flow number of operations that are for no flow.
const ghostToken = ^uint32(0)

// Observe takes in a whole listing of a device, begun at the given time. The
// first one of a device finds what an earlier daemon left; later ones are held
// against what should be there.
func (e *Engine) Observe(dev hwif.DeviceID, began flow.Time, rules []hwif.Installed) {
	d := &e.devices[dev]
	d.strangers = 0
	if !d.listed {
		e.firstListing(dev, rules)
		return
	}
	present := make(map[hwif.Cookie]bool, len(rules))
	for i := range rules {
		in := &rules[i]
		c := in.Rule.Cookie
		if !c.Ours() {
			d.strangers++
			continue
		}
		if in.Presence == hwif.InHW {
			present[c] = true
		}
		_, waiting := e.found[in.Rule.Match]
		if _, known := e.byGen[c.Gen()]; !known && !waiting {
			e.ghosts = append(e.ghosts, ghost{rule: in.Rule, dev: dev})
		}
	}
	e.dropFound(dev, rules)
	e.audit(dev, began, present)
}

// dropFound forgets found rules that are no longer there.
func (e *Engine) dropFound(dev hwif.DeviceID, rules []hwif.Installed) {
	if len(e.found) == 0 {
		return
	}
	still := make(map[hwif.Match]hwif.Cookie, len(rules))
	for i := range rules {
		still[rules[i].Rule.Match] = rules[i].Rule.Cookie
	}
	for m, in := range e.found {
		if e.ports[m.InPort].Device == dev && still[m] != in.Rule.Cookie {
			e.unfind(m)
			e.devices[dev].used--
		}
	}
}

func (e *Engine) firstListing(dev hwif.DeviceID, rules []hwif.Installed) {
	d := &e.devices[dev]
	d.listed = true
	dirs := make(map[uint64]uint8)
	for i := range rules {
		c := rules[i].Rule.Cookie
		if !c.Ours() {
			d.strangers++
			continue
		}
		e.gen = max(e.gen, c.Gen())
		d.used++
		e.found[rules[i].Rule.Match] = rules[i]
		e.foundBy[tupleOf(&rules[i].Rule.Match)] = rules[i].Rule.Match
		dirs[c.Gen()] |= 1 << c.Dir()
	}
	// Half a connection is a fault whoever left it.
	for _, m := range e.inOrder() {
		if g := e.found[m].Rule.Cookie.Gen(); dirs[g] == 1 || dirs[g] == 2 {
			e.dropGhost(m)
		}
	}
	e.queueAll()
}

// audit takes out flows whose rules should be in the listing and are not. When
// not one rule is left, the device was reset.
func (e *Engine) audit(dev hwif.DeviceID, began flow.Time, present map[hwif.Cookie]bool) {
	var missing []flow.ID
	left := 0
	for n := uint32(1); n < e.stays.Bound(); n++ {
		s := e.stays.At(n)
		if s.InAt == 0 || s.InAt >= began || s.Device != dev || s.Cause != flow.CauseNone {
			continue
		}
		orig := present[hwif.NewCookie(s.Gen, 0)] || !s.Wants(0)
		reply := present[hwif.NewCookie(s.Gen, 1)] || !s.Wants(1)
		if present[hwif.NewCookie(s.Gen, 0)] || present[hwif.NewCookie(s.Gen, 1)] {
			left++
		}
		if !orig || !reply {
			missing = append(missing, s.Flow)
		}
	}
	cause := flow.CauseAuditMismatch
	if left == 0 {
		cause = flow.CauseDeviceReset
	}
	for _, id := range missing {
		e.doubt(id, cause, "the device no longer lists its rules")
	}
}

// SetPorts takes in the ports of one device as they are now.
func (e *Engine) SetPorts(dev hwif.DeviceID, ports []hwif.Port) {
	d := &e.devices[dev]
	if samePorts(d.ports, ports) {
		return
	}
	e.portsSeq++
	for _, p := range d.ports {
		delete(e.ports, p.Ifindex)
	}
	d.ports = append(d.ports[:0:0], ports...)
	for i := range d.ports {
		d.ports[i].Device = dev
		e.ports[d.ports[i].Ifindex] = d.ports[i]
	}
	for n := uint32(1); n < e.stays.Bound(); n++ {
		if s := e.stays.At(n); s.Ask != 0 {
			e.queue(s.Flow)
		}
	}
}

func samePorts(a, b []hwif.Port) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Same(&b[i]) {
			return false
		}
	}
	return true
}

// SetFailed notes that a device does not answer; "" takes it back.
func (e *Engine) SetFailed(dev hwif.DeviceID, text string) {
	if d := &e.devices[dev]; d.failed != text {
		d.failed = text
		e.queueAll()
	}
}

// ghost is a rule of ours without a flow, to be removed.
type ghost struct {
	rule  hwif.Rule
	dev   hwif.DeviceID
	found bool // it was found at the start, and counts in the device's used
}

// dropGhost wants a found rule gone.
func (e *Engine) dropGhost(m hwif.Match) {
	e.ghosts = append(e.ghosts, ghost{rule: e.found[m].Rule, dev: e.ports[m.InPort].Device, found: true})
	e.unfind(m)
}

// unfind takes a rule out of those found.
func (e *Engine) unfind(m hwif.Match) {
	delete(e.found, m)
	delete(e.foundBy, tupleOf(&m))
}

// tupleOf is the tuple of the packets that a rule takes.
func tupleOf(m *hwif.Match) flow.Tuple {
	return flow.Tuple{Src: m.Src, Dst: m.Dst, SrcPort: m.SrcPort, DstPort: m.DstPort, Proto: m.Proto, Family: m.Family}
}

// foundFor reports whether an earlier daemon left both rules of a flow.
func (e *Engine) foundFor(f *flow.Flow) bool {
	if len(e.found) == 0 {
		return false
	}
	_, orig := e.foundBy[f.Entry.Orig]
	_, reply := e.foundBy[f.Entry.Reply]
	return orig && reply
}

// disown removes the rules that an earlier daemon left for a flow which is not
// to be in hardware.
func (e *Engine) disown(f *flow.Flow) {
	if len(e.found) == 0 {
		return
	}
	for _, t := range [2]flow.Tuple{f.Entry.Orig, f.Entry.Reply} {
		if m, ok := e.foundBy[t]; ok {
			e.dropGhost(m)
		}
	}
}

// disownUnknown removes found rules whose connection conntrack did not list.
func (e *Engine) disownUnknown() {
	for _, m := range e.inOrder() {
		if _, ok := e.find(tupleOf(&m)); !ok {
			e.dropGhost(m)
		}
	}
}

// takeGhosts appends the removals of ghosts.
func (e *Engine) takeGhosts(ops []hwif.Op) []hwif.Op {
	for _, g := range e.ghosts {
		t := hwif.Token{Flow: ghostToken}
		if g.found {
			t.Gen = 1
		}
		ops = append(ops, hwif.Op{Kind: hwif.OpRemove, Device: g.dev, Rule: g.rule, Token: t})
		e.ghostOps++
	}
	e.ghosts = e.ghosts[:0]
	return ops
}

func (e *Engine) ghostDone(d *Done) {
	e.ghostOps--
	if d.Op.Token.Gen == 1 {
		e.devices[d.Op.Device].used--
	}
	if d.Result.Err != nil && hwif.KindOf(d.Result.Err) != hwif.KindNotExist {
		e.stats.RuleErrors[hwif.KindOf(d.Result.Err)]++
		e.dump = true // it shows again in a listing
		return
	}
	e.stats.Ghosts++
	e.feed()
}

// reap turns found rules into ghosts once their flows have had time to come.
func (e *Engine) reap() {
	if e.reapAt != 0 && e.now >= e.reapAt && len(e.found) > 0 {
		e.reapFound()
	}
}

func (e *Engine) reapFound() {
	for _, m := range e.inOrder() {
		e.dropGhost(m)
	}
}

// inOrder lists the matches of found rules by cookie, so that the same input
// gives the same operations.
func (e *Engine) inOrder() []hwif.Match {
	return slices.SortedFunc(maps.Keys(e.found), func(a, b hwif.Match) int {
		x, y := e.found[a].Rule.Cookie, e.found[b].Rule.Cookie
		return cmp.Or(cmp.Compare(x.Gen(), y.Gen()), cmp.Compare(x.Dir(), y.Dir()))
	})
}
