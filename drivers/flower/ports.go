package flower

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// Ports gives the ports as they are now. What came back, and a qdisc that
// somebody took away, is made ready again first.
func (d *Device) Ports(ctx context.Context) ([]hwif.Port, error) {
	if err := d.settle(ctx, false); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]hwif.Port, 0, len(d.ports))
	for _, name := range d.names {
		if p := d.ports[name]; p != nil {
			h := p.Hwif()
			h.Joins, h.Refused = p.joins, p.refused
			out = append(out, h)
		}
	}
	return out, nil
}

// settle holds what we think of the ports against what there is. At the start a
// port that carries no rules is an error; later it says why.
func (d *Device) settle(ctx context.Context, starting bool) error {
	d.apply.Lock()
	defer d.apply.Unlock()
	inv := d.watch.Inventory()
	acts, err := d.conn.Clsacts(ctx)
	if err != nil && !errors.Is(err, tc.ErrInterrupted) {
		return d.failed("list ports", "", hwif.Cookie{}, err)
	}
	if text := d.blinded(); text != "" {
		return &hwif.Error{Op: "list ports", Device: d.caps.Driver, Kind: hwif.KindOther, Text: text}
	}
	anew := false
	for _, name := range d.names {
		d.mu.Lock()
		old := d.ports[name]
		d.mu.Unlock()
		now := d.locate(inv, name, old)
		if now == nil {
			anew = anew || old != nil
			d.gone(name, old)
			continue
		}
		q, has := acts[now.Ifindex]
		same := old != nil && old.Ifindex == now.Ifindex
		if same && has && old.refused == "" && d.unfit(now) == "" {
			d.mu.Lock()
			old.Port = *now
			d.mu.Unlock()
			continue
		}
		p := &port{Port: *now}
		switch {
		case same && has: // refused, before or now; its rules may be there still
			p.made = old.made
		case same && old.refused == "":
			d.log.Warn("clsact qdisc was taken away; made again", "port", name)
			fallthrough
		default:
			d.gone(name, old)
		}
		d.mu.Lock()
		d.ports[name], d.last = p, [2]*port{}
		d.mu.Unlock()
		text := d.ready(ctx, p, q)
		d.mu.Lock()
		p.refused = text
		d.mu.Unlock()
		if starting && text != "" {
			return &hwif.Error{Op: "open", Device: d.caps.Driver, Port: name, Kind: hwif.KindUnsupported, Field: "ports", Text: text}
		}
		anew = anew || !same || !has || old.refused != text
	}
	if anew {
		d.join(ctx)
		d.nudge()
	}
	return nil
}

// locate finds the port that a name stands for: also under another name, when the
// interface was renamed since. Nil when it is not there.
func (d *Device) locate(inv *switchdev.Inventory, name string, old *port) *switchdev.Port {
	now, ok := inv.ByName(name)
	if !ok && old != nil {
		if now, ok = inv.ByIfindex(old.Ifindex); ok && (now.Device != old.Device || now.Index != old.Index) {
			return nil // its number was given to another
		}
	}
	if !ok || now.Ifindex == 0 {
		return nil
	}
	return now
}

// unfit says why a port takes no rules, by what switchdev sees, or "".
func (d *Device) unfit(p *switchdev.Port) string {
	if text := p.OffloadRefused(); text != "" {
		return text
	}
	if dev, ok := d.watch.Inventory().Device(p.Device); ok && dev.Mode != d.mode {
		return fmt.Sprintf("the eswitch of %s is in mode %s, and was in %s when shuntd started; start it again", p.Device, dev.Mode, d.mode)
	}
	return ""
}

func (d *Device) blinded() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.blind
}

// gone forgets a port and the rules that were on it: they left with its qdisc.
func (d *Device) gone(name string, old *port) {
	if old == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ports, name)
	d.last = [2]*port{}
	for c, e := range d.rules {
		if e.place.Ifindex == old.Ifindex {
			d.drop(c, e)
		}
	}
}

// ready prepares a port: its qdisc, what is on it already, its guards. It gives
// why the port carries no rules, or "". The caller holds apply.
func (d *Device) ready(ctx context.Context, p *port, q tc.Clsact) string {
	if text := d.unfit(&p.Port); text != "" {
		return text
	}
	if q.Block != 0 {
		return fmt.Sprintf("its ingress is shared block %d of somebody else (Open vSwitch does that); take the port out of it", q.Block)
	}
	if q.Kind == "" {
		made, err := d.conn.AddClsact(p.Ifindex, 0)
		if err != nil {
			return "no clsact qdisc: " + err.Error()
		}
		p.made = made
	}
	return d.secure(ctx, p, true)
}

// secure reads what of ours is on a port, takes out what no start of ours wants any
// more, and sees to the guards. It gives why the port carries no rules, or "".
//
// Anew writes guards again that are there already: tc says in_hw also of those that
// the card has lost in a reset before we came.
func (d *Device) secure(ctx context.Context, p *port, anew bool) string {
	for try := 0; ; try++ {
		have, stale, text := d.adopt(ctx, p)
		if text != "" {
			return text
		}
		if len(stale) > 0 {
			d.log.Info("filters of an earlier start are taken out: probes, or at other prefs", "port", p.Name, "filters", len(stale))
			if failed := d.delete(ctx, p, stale); len(failed) > 0 {
				return "what an earlier start left cannot be taken out: " + failed[0].Error()
			}
		}
		err := d.guard(ctx, p, have, anew)
		if err == nil {
			return ""
		}
		if !errors.Is(err, unix.EEXIST) || try > 0 { // the list may have lacked one
			return "no guard for packets with TTL 1, without which nothing may be forwarded: " + err.Error()
		}
	}
}

// adopt reads back what of ours is on a port, and finds who else uses our prios.
// Stale are probes, filters of ours at other prefs (nic.settings.prio was another
// once), and what another version wrote that this one cannot read. It reads until two lists have equally many filters (see listing).
func (d *Device) adopt(ctx context.Context, p *port) (guards map[hwif.Cookie]tc.Filter, stale []*tc.Filter, text string) {
	guards = map[hwif.Cookie]tc.Filter{}
	foreign := map[uint16]bool{}
	n, before := 0, -1
	read := func() error {
		clear(guards)
		clear(foreign)
		stale, n = stale[:0], 0
		return d.conn.Dump(ctx, p.Ifindex, &d.shape, func(f *tc.Filter) error {
			n++
			switch {
			case d.mine(f) && roleOf(f.Rule.Cookie) != roleProbe && len(f.Strange) == 0:
				if roleOf(f.Rule.Cookie) == roleGuard {
					guards[f.Rule.Cookie] = *f
				}
				d.know(f)
			case f.Chain == 0 && owned(f.Rule.Cookie):
				stale = append(stale, &tc.Filter{Place: f.Place, Protocol: f.Protocol, Handle: f.Handle})
			case f.Chain == 0 && f.Prio >= d.prio && f.Prio <= d.prio+prioLast:
				foreign[f.Prio] = true
			}
			return nil
		})
	}
	err := again(read)
	for try := 1; err == nil && n != before && try < listTries; try++ {
		before = n
		err = again(read)
	}
	switch {
	case err != nil:
		return nil, nil, "its filters cannot be listed: " + err.Error()
	case len(foreign) > 0:
		var prios []string
		for n := range foreign {
			prios = append(prios, fmt.Sprint(n))
		}
		slices.Sort(prios)
		return nil, nil, fmt.Sprintf("somebody else has filters at pref %s; take them away, or give us another nic.settings.prio (now %d to %d)",
			strings.Join(prios, ", "), d.prio, d.prio+prioLast)
	}
	return guards, stale, ""
}

// know notes a filter of ours that was found, so that it can be removed and
// counted, and keeps new handles above it.
func (d *Device) know(f *tc.Filter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Handle > d.handles && f.Handle < 1<<30 {
		d.handles = f.Handle
	}
	if !f.Rule.Cookie.Ours() {
		return
	}
	if _, gone := d.left[f.Handle]; !gone && d.rules[f.Rule.Cookie] == nil {
		d.rules[f.Rule.Cookie] = d.entry(f)
	}
}

// entry is a new one. The caller holds mu.
func (d *Device) entry(f *tc.Filter) *entry {
	if len(d.free) == 0 {
		chunk := new([entryChunk]entry)
		for i := range chunk {
			d.free = append(d.free, &chunk[i])
		}
	}
	e := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	*e = entry{place: f.Place, proto: f.Protocol, handle: f.Handle, round: d.round, l2: 14}
	if f.Rule.Match.VLAN != 0 {
		e.l2 = 18
	}
	return e
}

// drop forgets a rule that is in no batch under way. The caller holds mu.
func (d *Device) drop(c hwif.Cookie, e *entry) {
	delete(d.rules, c)
	d.free = append(d.free, e)
}

// nextHandle gives a number that was not given for as long as there are others: a
// late delete by number must not hit another rule. The caller holds mu.
func (d *Device) nextHandle() uint32 {
	d.handles++
	if d.handles >= 0x7fffffff {
		d.handles = 1
	}
	return d.handles
}
