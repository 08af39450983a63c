package sim

import (
	"context"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Faults are what is wrong with a card for now. The zero value is a healthy card.
type Faults struct {
	Full    bool // every install is KindFull, whatever the table holds
	NotInHW bool // installs are accepted, answered not_in_hw, and forward nothing
	// Slow is how long the clock must advance before an operation is answered.
	Slow time.Duration
	// CounterLag is how old counters are: they stand still for so long at a time.
	CounterLag time.Duration
	Refuse     Refusal
}

// Refusal makes every n-th operation fail.
type Refusal struct {
	Every    int       // 1 is every operation, 0 none
	Kind     hwif.Kind // of the error
	Text     string    // the driver's own words
	Removals bool      // removals as well as installs
}

// SetFaults replaces what is wrong. Counting for Refusal.Every begins anew.
func (n *NIC) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults, n.nth = f, 0
	n.shown.taken = false
	n.beforeCount()
}

// refuse is the refusal that is due, or nil.
func (f *Faults) refuse(n *NIC, op hwif.OpKind, r *hwif.Rule) error {
	if f.Refuse.Every <= 0 || op == hwif.OpRemove && !f.Refuse.Removals {
		return nil
	}
	if n.nth++; n.nth%f.Refuse.Every != 0 {
		return nil
	}
	return n.fail(op.String(), r, f.Refuse.Kind, f.Refuse.Text)
}

// Delay waits as long as Faults.Slow says, or gives ctx's error.
func (n *NIC) Delay(ctx context.Context) error {
	n.mu.Lock()
	slow := n.faults.Slow
	n.mu.Unlock()
	if slow == 0 {
		return ctx.Err()
	}
	return n.clock.Wait(ctx, n.clock.Now()+flow.Time(slow))
}

// Forget removes the rule with the cookie and tells nobody, as a card does whose
// firmware lost it. It reports whether there was one.
func (n *NIC) Forget(c hwif.Cookie) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.removeIf(func(e *entry) bool { return e.rule.Cookie == c }) > 0
}

// Reset removes every rule, strangers included, and tells nobody.
func (n *NIC) Reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.table.removeIf(func(*entry) bool { return true })
}
