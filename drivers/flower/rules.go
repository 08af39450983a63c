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
		round := d.nextRound()
		seen, whole := map[hwif.Cookie]bool{}, true
		for _, p := range d.snapshot() {
			found, all, err := d.list(ctx, p)
			whole = whole && all
			if err != nil {
				yield(hwif.Installed{}, err)
				return
			}
			for i := range found {
				if found[i].Rule.Cookie.Ours() {
					seen[found[i].Rule.Cookie] = true
				}
				if !yield(found[i], nil) {
					return
				}
			}
		}
		if whole {
			d.forget(round, seen)
		}
	}
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
	read := func() error {
		found = found[:0]
		return d.conn.Dump(ctx, p.Ifindex, &d.shape, func(f *tc.Filter) error {
			in := hwif.Installed{Rule: f.Rule, Presence: f.Presence()}
			switch {
			case d.mine(f) && !f.Rule.Cookie.Ours():
				return nil // a guard or a probe
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
	err = read()
	for try := 1; errors.Is(err, tc.ErrInterrupted) && try < listTries; try++ {
		err = read()
	}
	switch {
	case err == nil:
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
	d.mu.Lock()
	reset := d.reset
	d.mu.Unlock()
	if !reset {
		return nil
	}
	d.apply.Lock()
	defer d.apply.Unlock()
	var errs []error
	for _, p := range d.snapshot() {
		if err := d.clear(ctx, p); err != nil {
			errs = append(errs, err)
			continue
		}
		if text := d.guard(ctx, p, nil); text != "" {
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
	d.reset = false
	return nil
}
