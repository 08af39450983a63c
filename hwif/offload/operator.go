package offload

import (
	"fmt"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/policy"
)

// Pin wants the tuple's flow in hardware before all others, now or when it
// comes. in.Kind is set here. Errors are *Refusal.
func (e *Engine) Pin(in Intent) error {
	in.Kind = IntentPin
	return e.intend(in)
}

// Deny wants the tuple's flow never in hardware. Errors are *Refusal.
func (e *Engine) Deny(in Intent) error {
	in.Kind = IntentDeny
	return e.intend(in)
}

// Unpin takes a pin back. Errors are *Refusal.
func (e *Engine) Unpin(t flow.Tuple, owner string) error { return e.retract(t, owner, IntentPin) }

// Undeny takes a denial back. Errors are *Refusal.
func (e *Engine) Undeny(t flow.Tuple, owner string) error { return e.retract(t, owner, IntentDeny) }

func (e *Engine) intend(in Intent) error {
	if err := in.Tuple.Check(); err != nil {
		return refuse(RefusedInvalid, "%s %s: %v", in.Kind, in.Tuple, err)
	}
	if in.Owner == "" {
		return refuse(RefusedInvalid, "%s %s: no owner given", in.Kind, in.Tuple)
	}
	if in.Expires != 0 && in.Expires <= e.now {
		return refuse(RefusedInvalid, "%s %s: the lease has already expired", in.Kind, in.Tuple)
	}
	in.Tuple = e.origOf(in.Tuple)
	in.Set = e.now
	if old, ok := e.intents[in.Tuple]; ok && old.Owner == in.Owner && old.Kind != in.Kind {
		return refuse(RefusedConflict, "%s %s: you hold a %s on it%s; take that back first", in.Kind, in.Tuple, old.Kind, note(old.Note))
	}
	if old, ok := e.intents[in.Tuple]; ok && old.Owner != in.Owner {
		return refuse(RefusedConflict, "%s %s: %s holds a %s on it%s; only %s can change it",
			in.Kind, in.Tuple, old.Owner, old.Kind, note(old.Note), old.Owner)
	}
	e.intents[in.Tuple] = in
	e.reapply(in.Tuple)
	if _, known := e.table.Find(in.Tuple); !known && in.Kind == IntentPin && e.opts.Untracked.Pinned {
		e.recounts = append(e.recounts, in.Tuple) // what was told of it before went by
	}
	return nil
}

func note(n string) string {
	if n == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", n)
}

func (e *Engine) retract(t flow.Tuple, owner string, kind IntentKind) error {
	t = e.origOf(t)
	in, ok := e.intents[t]
	switch {
	case !ok || in.Kind != kind:
		return refuse(RefusedNotFound, "there is no %s on %s", kind, t)
	case in.Owner != owner:
		return refuse(RefusedConflict, "the %s on %s is held by %s%s; only %s can take it back", kind, t, in.Owner, note(in.Note), in.Owner)
	}
	delete(e.intents, t)
	e.reapply(t)
	return nil
}

// Evict takes the flow out of hardware and keeps it out for hold. Errors are
// *Refusal.
func (e *Engine) Evict(t flow.Tuple, owner, note string, hold time.Duration) error {
	id, ok := e.find(t)
	if !ok {
		return refuse(RefusedNotFound, "no flow %s is known; nothing to evict", t)
	}
	f := e.table.At(id)
	if hold <= 0 {
		return refuse(RefusedInvalid, "evict %s: hold %s must be positive", t, hold)
	}
	if f.Has(flow.FlagPinned) {
		in := e.intents[f.Entry.Orig]
		return refuse(RefusedConflict, "evict %s: it is pinned by %s; unpin it first", t, in.Owner)
	}
	s := e.stay(f)
	if s == nil || !anyRule(s) {
		return refuse(RefusedState, "evict %s: it is not in hardware (%s)", t, f.State)
	}
	e.because(f, flow.CauseOperator)
	f.Until, f.Hold = e.now+flow.Time(hold), flow.Of(flow.Backoff)
	f.Set(flow.FlagHeld)
	text := "evicted by " + owner
	if note != "" {
		text += ": " + note
	}
	e.setText(id, text)
	e.timers.add(f.Until, id, f.UID)
	e.queue(id)
	return nil
}

// Pause takes everything out of hardware and lets nothing in until Resume.
func (e *Engine) Pause(owner, why string) {
	e.paused = "paused by " + owner
	if why != "" {
		e.paused += ": " + why
	}
	e.queueAll()
}

// Resume ends a Pause; without one it does nothing.
func (e *Engine) Resume(string) {
	for id, text := range e.texts {
		if text == e.paused {
			delete(e.texts, id)
		}
	}
	e.paused = ""
	e.queueAll()
}

// Paused says who paused and why; empty when not paused.
func (e *Engine) Paused() string { return e.paused }

// Intents lists pins and denials in no order.
func (e *Engine) Intents() []Intent {
	out := make([]Intent, 0, len(e.intents))
	for _, in := range e.intents {
		out = append(out, in)
	}
	return out
}

// origOf gives the original direction's tuple when t is a known flow's other one.
func (e *Engine) origOf(t flow.Tuple) flow.Tuple {
	if id, ok := e.find(t); ok {
		return e.table.At(id).Entry.Orig
	}
	return t
}

// find looks a tuple up: of either direction, before or after NAT. The reply tuple of a flow without
// NAT is the reverse of its other one; those of flows with NAT are indexed.
func (e *Engine) find(t flow.Tuple) (flow.ID, bool) {
	if id, ok := e.table.Find(t); ok {
		return id, true
	}
	id, ok := e.table.Find(t.Reversed())
	if !ok || e.table.At(id).Has(flow.FlagUntracked) { // which has no other direction
		return 0, false
	}
	// t is the reply of a flow without NAT, or what a translated flow's packets
	// look like when they have left: what tcpdump on the far side shows.
	reply := e.table.At(id).Entry.Reply
	return id, reply == t || reply == t.Reversed()
}

// reapply brings a flow's flags in line with the intents.
func (e *Engine) reapply(t flow.Tuple) {
	if id, ok := e.table.Find(t); ok {
		f := e.table.At(id)
		e.applyIntent(f)
		f.Seq = e.log.changed(id)
		e.queue(id)
	}
}

func (e *Engine) applyIntent(f *flow.Flow) {
	if len(e.intents) == 0 && f.Flags&(flow.FlagPinned|flow.FlagDenied) == 0 {
		return
	}
	kind := e.intents[f.Entry.Orig].Kind
	f.Clear(flow.FlagPinned | flow.FlagDenied)
	switch kind {
	case IntentPin:
		f.Set(flow.FlagPinned)
		if f.Has(flow.FlagHeld) { // a pin overrules an eviction
			f.Clear(flow.FlagHeld)
			f.Until = 0
		}
	case IntentDeny:
		f.Set(flow.FlagDenied)
	}
}

// expireIntents drops leases that have run out. A pinned flow whose lease ends
// is judged like any other: in hardware it leaves with lease_expired, unless
// the policy would let it in by itself.
func (e *Engine) expireIntents() {
	for t, in := range e.intents {
		if in.Expires == 0 || in.Expires > e.now {
			continue
		}
		delete(e.intents, t)
		if id, ok := e.table.Find(t); ok {
			f := e.table.At(id)
			if s := e.stay(f); in.Kind == IntentPin && s != nil && anyRule(s) && e.verdict(f).Decision != policy.Offload {
				e.because(f, flow.CauseLeaseExpired)
				f.Until, f.Hold = e.now+flow.Time(e.opts.BackoffMin), flow.Of(flow.Backoff)
				e.timers.add(f.Until, id, f.UID)
			}
		}
		e.reapply(t)
	}
}
