package flower

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// pending is an operation that is in the batch under way.
type pending struct {
	at    int // in the caller's results
	entry *entry
}

// Apply carries out ops in order, in batches of netlink messages. Each has its own
// answer; what fails stops nothing else.
func (d *Device) Apply(ctx context.Context, ops []hwif.Op, results []hwif.Result) {
	d.apply.Lock()
	defer d.apply.Unlock()
	for i := range ops {
		results[i] = hwif.Result{}
		if !d.take(&ops[i], i, results) {
			d.flush(ctx, ops, results) // its rule is in the batch: its fate has to be known first
			d.take(&ops[i], i, results)
		}
		if len(d.reqs) >= tc.Batch {
			d.flush(ctx, ops, results)
		}
	}
	d.flush(ctx, ops, results)
}

// take checks an operation and puts it into the batch; false when the batch has
// one of the same rule.
func (d *Device) take(op *hwif.Op, at int, results []hwif.Result) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.rules[op.Rule.Cookie]
	if e != nil && e.busy {
		return false
	}
	if op.Kind == hwif.OpRemove {
		results[at].Err = d.remove(op, at, e)
	} else {
		results[at].Err = d.install(op, at, e)
	}
	return true
}

// install puts a rule into the batch; old is what has its cookie already. The
// caller holds mu.
func (d *Device) install(op *hwif.Op, at int, old *entry) error {
	r := &op.Rule
	f := d.filter()
	f.Rule = *r
	if err := d.fits(r, f); err != nil {
		return err
	}
	switch {
	case old != nil:
		return &hwif.Error{Op: "install", Device: d.caps.Driver, Cookie: r.Cookie, Kind: hwif.KindExist, Text: "this very rule is there"}
	case d.max > 0 && len(d.rules) >= d.max:
		return &hwif.Error{Op: "install", Device: d.caps.Driver, Cookie: r.Cookie, Kind: hwif.KindFull,
			Text: fmt.Sprintf("%d of %d rules are in use", len(d.rules), d.max)}
	}
	f.Handle = d.nextHandle()
	e := d.entry(f)
	e.busy = true
	d.rules[r.Cookie] = e
	d.push(tc.New, f, at, e)
	return nil
}

// fits holds a rule against what the card and its ports can do, and gives the
// filter its place. The caller holds mu.
func (d *Device) fits(r *hwif.Rule, f *tc.Filter) error {
	if err := d.caps.Check(r); err != nil {
		return err
	}
	if d.blind != "" || d.resets != d.mended {
		text := d.blind
		if text == "" {
			text = "the card was reset, and its guards come first"
		}
		return &hwif.Error{Op: "install", Device: d.caps.Driver, Cookie: r.Cookie, Kind: hwif.KindBusy, Text: text}
	}
	f.Place = tc.Place{Ifindex: r.Match.InPort, Prio: d.prio + prioFlow + family(&d.shape, r)}
	if d.profile.Check != nil {
		if field, text := d.profile.Check(r); field != "" {
			return &hwif.Error{Op: "install", Device: d.caps.Driver, Cookie: r.Cookie, Kind: hwif.KindUnsupported, Field: field, Text: text}
		}
	}
	in, err := d.portOf(r, r.Match.InPort)
	if err != nil {
		return err
	}
	if !r.Actions.Set.Has(hwif.ActRedirect) {
		return nil
	}
	out, err := d.portOf(r, r.Actions.OutPort)
	if err != nil {
		return err
	}
	if !slices.Contains(in.joins, out.Ifindex) {
		return &hwif.Error{Op: "install", Device: d.caps.Driver, Port: in.Name, Cookie: r.Cookie, Kind: hwif.KindUnsupported,
			Field: hwif.ActRedirect.String(), Text: "the card cannot send from here to " + out.Name}
	}
	if r.Match.VLAN == 0 && d.caps.Loose.Has(hwif.FieldVLAN) && d.tagged(in.Ifindex) {
		return &hwif.Error{Op: "install", Device: d.caps.Driver, Port: in.Name, Cookie: r.Cookie, Kind: hwif.KindUnsupported,
			Field: hwif.FieldVLAN.String(), Text: "the card's rules for untagged frames match tagged ones too, and the port has VLANs"}
	}
	return nil
}

// portOf finds a port of ours by its number. The caller holds mu.
func (d *Device) portOf(r *hwif.Rule, i hwif.Ifindex) (*port, error) {
	if p := d.byIndex(i); p != nil {
		if p.refused != "" {
			return nil, &hwif.Error{Op: "install", Device: d.caps.Driver, Port: p.Name, Cookie: r.Cookie, Kind: hwif.KindGone, Text: p.refused}
		}
		return p, nil
	}
	return nil, &hwif.Error{Op: "install", Device: d.caps.Driver, Port: fmt.Sprintf("port %d", i), Cookie: r.Cookie, Kind: hwif.KindGone, Text: "not a port of this device"}
}

// byIndex finds a port by its number, nil without one. The caller holds mu.
func (d *Device) byIndex(i hwif.Ifindex) *port {
	if d.last[0] != nil && d.last[0].Ifindex == i {
		return d.last[0]
	}
	if d.last[1] != nil && d.last[1].Ifindex == i {
		return d.last[1]
	}
	for _, p := range d.ports {
		if p.Ifindex == i {
			d.last[1], d.last[0] = d.last[0], p
			return p
		}
	}
	return nil
}

// nameOf is a port's name for people. The caller holds mu.
func (d *Device) nameOf(i hwif.Ifindex) string {
	if p := d.byIndex(i); p != nil {
		return p.Name
	}
	return fmt.Sprintf("port %d", i)
}

// tagged reports whether VLAN devices lie on the interface.
func (d *Device) tagged(i hwif.Ifindex) bool {
	for _, l := range d.watch.Inventory().Links() {
		if l.Kind == "vlan" && l.Lower == i {
			return true
		}
	}
	return false
}

// remove puts a rule's deletion into the batch: what it was is in e alone. The
// caller holds mu.
func (d *Device) remove(op *hwif.Op, at int, e *entry) error {
	if e == nil {
		return &hwif.Error{Op: "remove", Device: d.caps.Driver, Cookie: op.Rule.Cookie, Kind: hwif.KindNotExist, Text: "no such rule"}
	}
	e.busy = true
	f := d.filter()
	f.Place, f.Protocol, f.Handle, f.Rule = e.place, e.proto, e.handle, hwif.Rule{Cookie: op.Rule.Cookie}
	d.push(tc.Delete, f, at, e)
	return nil
}

// filter is one to fill, from those that earlier batches have used.
func (d *Device) filter() *tc.Filter {
	if len(d.reqs) == len(d.spare) {
		d.spare = append(d.spare, &tc.Filter{})
	}
	f := d.spare[len(d.reqs)]
	*f = tc.Filter{}
	return f
}

func (d *Device) push(v tc.Verb, f *tc.Filter, at int, e *entry) {
	d.reqs = append(d.reqs, tc.Request{Verb: v, Filter: f, NoCounter: d.caps.Counters == hwif.CountersNone})
	d.ops = append(d.ops, pending{at: at, entry: e})
}

// flush sends the batch and takes the answers in.
func (d *Device) flush(ctx context.Context, ops []hwif.Op, results []hwif.Result) {
	if len(d.reqs) == 0 {
		return
	}
	d.resps = slices.Grow(d.resps[:0], len(d.reqs))[:len(d.reqs)]
	d.conn.Apply(ctx, &d.shape, d.reqs, d.resps)
	for k := range d.resps {
		if errors.Is(d.resps[k].Err, tc.ErrLost) {
			d.readBack(k)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for k := range d.reqs {
		p, res := d.ops[k], &d.resps[k]
		d.answer(&ops[p.at], p.entry, d.reqs[k].Filter, res, &results[p.at])
	}
	d.reqs, d.ops = d.reqs[:0], d.ops[:0]
}

// readBack asks what became of a request whose answer was lost.
func (d *Device) readBack(k int) {
	req := d.reqs[k]
	var res [1]tc.Response
	d.conn.Apply(context.Background(), &d.shape, []tc.Request{{Verb: tc.Get, Filter: req.Filter}}, res[:])
	there := res[0].Err == nil
	switch {
	case req.Verb == tc.New && there:
		d.resps[k] = tc.Response{Flags: res[0].Flags}
	case req.Verb == tc.Delete && !there && tc.Gone(res[0].Err):
		d.resps[k] = tc.Response{}
	}
}

// answer turns the kernel's into ours. The caller holds mu.
func (d *Device) answer(op *hwif.Op, e *entry, f *tc.Filter, res *tc.Response, out *hwif.Result) {
	e.busy = false
	if op.Kind == hwif.OpRemove {
		if res.Err != nil {
			out.Err = d.failed("remove", d.nameOf(f.Ifindex), op.Rule.Cookie, res.Err)
			if k := hwif.KindOf(out.Err); k != hwif.KindNotExist && k != hwif.KindGone {
				return // it is still there
			}
			out.Err = &hwif.Error{Op: "remove", Device: d.caps.Driver, Port: d.nameOf(f.Ifindex), Cookie: op.Rule.Cookie, Kind: hwif.KindNotExist, Err: res.Err}
		} else if d.caps.Counters != hwif.CountersNone {
			out.Final = e.count(res.Counter)
		}
		if d.lists > 0 {
			d.left[e.handle] = struct{}{}
		}
		d.drop(op.Rule.Cookie, e)
		return
	}
	e.proto = f.Protocol
	if res.Err != nil {
		out.Err = d.failed("install", d.nameOf(f.Ifindex), op.Rule.Cookie, res.Err)
		if !errors.Is(res.Err, tc.ErrLost) { // then it may be there: a removal or the next listing tells
			d.drop(op.Rule.Cookie, e)
		}
		return
	}
	out.Presence = hwif.NotInHW
	if res.Flags&tc.InHW != 0 {
		out.Presence = hwif.InHW
	}
}
