package flower

import (
	"context"
	"errors"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// Counters reads all ports by terse dumps. Cards count frames with their Ethernet
// header and tag; hwif counts what is behind them. Guards are in the same dump: when
// one is missing, it is put back.
func (d *Device) Counters(ctx context.Context, into []hwif.Counted) ([]hwif.Counted, error) {
	if d.caps.Counters == hwif.CountersNone {
		return into, ctx.Err()
	}
	var errs []error
	for _, p := range d.snapshot() {
		guards := 0
		err := d.conn.Terse(ctx, p.Ifindex, func(t *tc.Tally) {
			if !t.Cookie.Ours() {
				if t.Prio == d.prio+prioGuard && roleOf(t.Cookie) == roleGuard {
					guards++
				}
				return
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			// One that is not known came this moment, and has counted nothing.
			if e := d.rules[t.Cookie]; e != nil && e.handle == t.Handle {
				into = append(into, hwif.Counted{Cookie: t.Cookie, Counter: e.count(t.Counter)})
			}
		})
		// An interrupted list may lack rules, which keep the numbers they had.
		if err != nil && !errors.Is(err, tc.ErrInterrupted) && !tc.Gone(err) {
			errs = append(errs, d.failed("count", p.Name, hwif.Cookie{}, err))
		}
		if err == nil && d.profile.Guards && guards < guardsPerPort {
			d.reguard(ctx, p)
		}
	}
	return into, errors.Join(errs...)
}

// l3 is a rule's counter as hwif has it.
func (d *Device) l3(c hwif.Cookie, n hwif.Counter) hwif.Counter {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.rules[c]; e != nil {
		return e.count(n)
	}
	return n
}

// count takes L2 off, and never falls: a card that was read late, or set up anew,
// has forwarded no less.
func (e *entry) count(n hwif.Counter) hwif.Counter {
	if l2 := n.Packets * uint64(e.l2); n.Bytes > l2 {
		n.Bytes -= l2
	} else {
		n.Bytes = 0
	}
	e.last.Packets, e.last.Bytes = max(e.last.Packets, n.Packets), max(e.last.Bytes, n.Bytes)
	return e.last
}
