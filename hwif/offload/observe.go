package offload

import (
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
			e.ghost(in.Rule)
		}
	}
	e.audit(dev, began, present)
}

func (e *Engine) firstListing(dev hwif.DeviceID, rules []hwif.Installed) {
	d := &e.devices[dev]
	d.listed = true
	for i := range rules {
		c := rules[i].Rule.Cookie
		if !c.Ours() {
			d.strangers++
			continue
		}
		e.gen = max(e.gen, c.Gen())
		d.foundGen = max(d.foundGen, c.Gen())
		d.used++
		e.found[rules[i].Rule.Match] = rules[i]
	}
	e.queueAll()
}

// audit takes out flows whose rules should be in the listing and are not. When
// all are missing at once, the device was reset.
func (e *Engine) audit(dev hwif.DeviceID, began flow.Time, present map[hwif.Cookie]bool) {
	var missing []flow.ID
	inHW := 0
	for n := uint32(1); n < e.stays.Bound(); n++ {
		s := e.stays.At(n)
		if s.InAt == 0 || s.InAt >= began || s.Device != dev || s.Cause != flow.CauseNone {
			continue
		}
		inHW++
		if !present[hwif.NewCookie(s.Gen, 0)] || !present[hwif.NewCookie(s.Gen, 1)] {
			missing = append(missing, s.Flow)
		}
	}
	cause := flow.CauseAuditMismatch
	if len(missing) == inHW && inHW > 1 {
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
		x, y := a[i], b[i]
		x.Device = y.Device
		if x != y {
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

// ghost wants a rule of ours without a flow gone.
func (e *Engine) ghost(r hwif.Rule) { e.ghosts = append(e.ghosts, r) }

// takeGhosts appends the removals of ghosts.
func (e *Engine) takeGhosts(ops []hwif.Op) []hwif.Op {
	for _, r := range e.ghosts {
		dev := e.ports[r.Match.InPort].Device
		ops = append(ops, hwif.Op{Kind: hwif.OpRemove, Device: dev, Rule: r, Token: hwif.Token{Flow: ghostToken}})
		e.ghostOps++
	}
	e.ghosts = e.ghosts[:0]
	return ops
}

func (e *Engine) ghostDone(d *Done) {
	e.ghostOps--
	if d.Result.Err != nil && hwif.KindOf(d.Result.Err) != hwif.KindNotExist {
		e.stats.RuleErrors[hwif.KindOf(d.Result.Err)]++
		e.dump = true
		return
	}
	e.stats.Ghosts++
	if dev := &e.devices[d.Op.Device]; dev.used > 0 && d.Op.Rule.Cookie.Gen() <= dev.foundGen {
		dev.used--
	}
	e.feed()
}

// reap turns found rules into ghosts once their flows have had time to come.
func (e *Engine) reap() {
	if e.reapAt != 0 && e.now >= e.reapAt && len(e.found) > 0 {
		e.reapFound()
	}
}

func (e *Engine) reapFound() {
	for m, in := range e.found {
		delete(e.found, m)
		e.ghost(in.Rule)
	}
}
