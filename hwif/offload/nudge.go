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

// relistRules is how far apart listings are that devices ask for: one of a full
// table keeps the kernel's lock for long, and a port can flap many times a second.
const relistRules = flow.Time(time.Second)

// nudged looks at a device that has something to show: at its ports at once, and
// then at its rules, unless these were listed just now; then it reports true, and
// the listing is due when relistRules has passed.
func (l *Loop) nudged(w *worker) (later bool) {
	l.askOne(w, readPorts)
	if w.listed != 0 && l.eng.Now()-w.listed < relistRules {
		return true
	}
	l.askOne(w, readRules)
	return false
}
