package flower

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
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
	anew := false
	for _, name := range d.names {
		d.mu.Lock()
		old := d.ports[name]
		d.mu.Unlock()
		now, ok := inv.ByName(name)
		if !ok || now.Ifindex == 0 {
			anew = anew || old != nil
			d.gone(name, old)
			continue
		}
		q, has := acts[now.Ifindex]
		same := old != nil && old.Ifindex == now.Ifindex
		if same && has && old.refused == "" {
			d.mu.Lock()
			old.Port = *now
			d.mu.Unlock()
		} else {
			p := &port{Port: *now}
			switch {
			case same && has: // refused up to now; its rules may be there still
				p.made = old.made
			case same && old.refused == "":
				d.log.Warn("clsact qdisc was taken away; made again", "port", name)
				fallthrough
			default:
				d.gone(name, old)
			}
			p.refused = d.ready(ctx, p, q)
			if starting && p.refused != "" {
				return &hwif.Error{Op: "open", Device: d.caps.Driver, Port: name, Kind: hwif.KindUnsupported, Field: "ports", Text: p.refused}
			}
			anew = anew || !same || !has || old.refused != p.refused
			d.mu.Lock()
			d.ports[name], d.last = p, [2]*port{}
			d.mu.Unlock()
		}
		d.mayCarry(name)
	}
	if anew {
		d.join(ctx)
		d.nudge()
	}
	return nil
}

// mayCarry refuses a port whose card was changed under us.
func (d *Device) mayCarry(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.ports[name]
	if p == nil || p.refused != "" {
		return
	}
	if text := p.OffloadRefused(); text != "" {
		p.refused = text
	} else if dev, ok := d.watch.Inventory().Device(p.Device); ok && dev.Mode != d.mode {
		p.refused = fmt.Sprintf("the eswitch of %s is in mode %s, and was in %s when shuntd started; start it again", p.Device, dev.Mode, d.mode)
	}
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
	if text := p.OffloadRefused(); text != "" {
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
	guards, text := d.adopt(ctx, p)
	if text != "" {
		return text
	}
	return d.guard(ctx, p, guards)
}

// adopt reads back what of ours is on a port, and finds who else uses our prios.
func (d *Device) adopt(ctx context.Context, p *port) (guards map[hwif.Cookie]tc.Filter, text string) {
	guards = map[hwif.Cookie]tc.Filter{}
	foreign := map[uint16]bool{}
	read := func() error {
		clear(guards)
		return d.conn.Dump(ctx, p.Ifindex, &d.shape, func(f *tc.Filter) error {
			switch {
			case d.mine(f):
				if roleOf(f.Rule.Cookie) == roleGuard {
					guards[f.Rule.Cookie] = *f
				}
				d.know(f)
			case f.Chain == 0 && f.Prio >= d.prio && f.Prio <= d.prio+prioLast:
				foreign[f.Prio] = true
			}
			return nil
		})
	}
	err := read()
	for try := 1; errors.Is(err, tc.ErrInterrupted) && try < listTries; try++ {
		err = read()
	}
	switch {
	case err != nil:
		return nil, "its filters cannot be listed: " + err.Error()
	case len(foreign) > 0:
		var prios []string
		for n := range foreign {
			prios = append(prios, fmt.Sprint(n))
		}
		slices.Sort(prios)
		return nil, fmt.Sprintf("somebody else has filters at pref %s; take them away, or give us another nic.settings.prio (now %d to %d)",
			strings.Join(prios, ", "), d.prio, d.prio+prioLast)
	}
	return guards, ""
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
	if d.rules[f.Rule.Cookie] == nil {
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
