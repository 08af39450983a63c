package flower

import (
	"context"
	"errors"
	"iter"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// listTries is how often a list that changed while it was read is asked for again.
const listTries = 8

// Rules lists what the kernel has at the ingress of the ports: our flows as they
// were written, and strangers without cookie. Guards and probes are no flows.
//
// After a reset the card has lost everything while tc still says in_hw, so ours is
// taken out first, and the list tells that it is gone.
func (d *Device) Rules(ctx context.Context) iter.Seq2[hwif.Installed, error] {
	return func(yield func(hwif.Installed, error) bool) {
		if err := d.afterReset(ctx); err != nil {
			yield(hwif.Installed{}, err)
			return
		}
		all, err := d.listing(ctx)
		if err != nil {
			yield(hwif.Installed{}, err)
			return
		}
		for i := range all {
			if !yield(all[i], nil) {
				return
			}
		}
	}
}

// listing is what all ports have, and forgets what is gone. When somebody deletes
// another pref's last filter between two parts of a dump, the kernel leaves filters
// out and does not say so (cls_api.c:tcf_chain_dump goes on by the classifier's
// number): what a list lacks is asked for by its handle before it is forgotten.
func (d *Device) listing(ctx context.Context) (all []hwif.Installed, err error) {
	d.enter()
	defer d.leave()
	for range listTries {
		round := d.nextRound()
		all = all[:0]
		seen, whole := map[hwif.Cookie]bool{}, true
		for _, p := range d.snapshot() {
			found, complete, err := d.list(ctx, p)
			if err != nil {
				return nil, err
			}
			whole = whole && complete
			for i := range found {
				if found[i].Rule.Cookie.Ours() {
					seen[found[i].Rule.Cookie] = true
				}
			}
			all = append(all, found...)
		}
		if !whole {
			return all, nil
		}
		if d.reallyGone(d.missing(round, seen)) {
			d.forget(round, seen)
			return all, nil
		}
	}
	return nil, d.failed("list", "", hwif.Cookie{}, tc.ErrInterrupted)
}

// enter and leave enclose a listing.
func (d *Device) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lists++
}

func (d *Device) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lists--; d.lists == 0 {
		clear(d.left)
	}
}

// missing are the rules that a listing did not find, as questions.
func (d *Device) missing(round uint64, seen map[hwif.Cookie]bool) (out []tc.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c, e := range d.rules {
		if e.round < round && !e.busy && !seen[c] {
			out = append(out, tc.Request{Verb: tc.Get, Filter: &tc.Filter{Place: e.place, Protocol: e.proto, Handle: e.handle, Rule: hwif.Rule{Cookie: c}}})
		}
	}
	return out
}

// reallyGone asks for each filter by its handle.
func (d *Device) reallyGone(reqs []tc.Request) bool {
	resps := make([]tc.Response, len(reqs))
	d.conn.Apply(context.Background(), &d.shape, reqs, resps)
	for i := range resps {
		err := resps[i].Err
		if err == nil && resps[i].Cookie == reqs[i].Filter.Rule.Cookie || err != nil && !tc.Gone(err) {
			return false
		}
	}
	return true
}

// nextRound numbers a listing: rules that come later are not missed by it.
func (d *Device) nextRound() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.round++
	return d.round
}

// forget drops what a listing did not find, and what is not of a later batch.
func (d *Device) forget(round uint64, seen map[hwif.Cookie]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c, e := range d.rules {
		if e.round < round && !e.busy && !seen[c] {
			d.drop(c, e)
		}
	}
}

// list reads one port's filters; whole is false when it may lack some.
func (d *Device) list(ctx context.Context, p *port) (found []hwif.Installed, whole bool, err error) {
	guards, want := 0, map[hwif.Cookie]*tc.Filter{}
	if d.profile.Guards {
		for _, f := range d.guardsOf(p) {
			want[f.Rule.Cookie] = f
		}
	}
	read := func() error {
		found, guards = found[:0], 0
		return d.conn.Dump(ctx, p.Ifindex, &d.shape, func(f *tc.Filter) error {
			in := hwif.Installed{Rule: f.Rule, Presence: f.Presence()}
			switch {
			case d.mine(f) && !f.Rule.Cookie.Ours(): // a guard or a probe
				if g := want[f.Rule.Cookie]; g != nil && sameGuard(f, g) {
					guards++
				}
				return nil
			case d.mine(f) && len(f.Strange) == 0:
				d.know(f)
				in.Counter = d.l3(f.Rule.Cookie, f.Counter)
			default:
				in.Rule.Cookie = hwif.Cookie{} // whatever it carries, we have not written it
			}
			found = append(found, in)
			return nil
		})
	}
	err = again(read)
	switch {
	case err == nil:
		if guards < len(want) {
			d.reguard(ctx, p)
		}
		return found, true, nil
	case errors.Is(err, tc.ErrInterrupted):
		// Somebody changes filters all the time. What was found is there; what was
		// not is missed by the next listing as well, if it is gone.
		return found, false, nil
	case tc.Gone(err):
		return nil, true, nil // the port vanished, or its qdisc: Ports tells
	}
	return nil, false, d.failed("list", p.Name, hwif.Cookie{}, err)
}

// afterReset takes out filters that say in_hw of a card that was set up anew.
func (d *Device) afterReset(ctx context.Context) error {
	d.apply.Lock()
	defer d.apply.Unlock()
	d.mu.Lock()
	resets, mended := d.resets, d.mended
	d.mu.Unlock()
	if resets == mended {
		return nil
	}
	var errs []error
	for _, p := range d.snapshot() {
		if err := d.clear(ctx, p); err != nil {
			errs = append(errs, err)
			continue
		}
		if text := d.secure(ctx, p, false); text != "" {
			d.mu.Lock()
			p.refused = text
			d.mu.Unlock()
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.rules)
	d.mended = resets // one that came meanwhile is mended next
	return nil
}
