package offload

import (
	"context"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// heed passes on what a device says by itself, until ctx ends.
func (w *worker) heed(ctx context.Context, out chan<- *worker) {
	changed := w.nic.Changed() // nil, which is never ready, when it says nothing
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-changed:
			if !ok {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case out <- w:
		}
	}
}

// Listings that devices ask for are at least relistRules apart, and so far that
// they take no more than one part in relistShare of the time: one of a full table
// keeps the kernel's lock for long, and things about a port can change many times a
// second without a rule being lost.
const (
	relistRules = flow.Time(time.Second)
	relistShare = 20
)

// relist is how far apart listings of this device are.
func (w *worker) relist() flow.Time { return max(relistRules, relistShare*w.cost) }

// nudged looks at a device that has something to show: at its ports at once, and
// then at its rules, unless these were listed just now; then it reports when that
// is due.
func (l *Loop) nudged(w *worker) (later flow.Time) {
	l.askOne(w, readPorts)
	if due := w.listed + w.relist(); w.listed != 0 && l.eng.Now() < due {
		return due
	}
	l.askOne(w, readRules)
	return 0
}
