package kernel

import (
	"context"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// Tracker is the kernel's conntrack as the daemon's loop wants it.
func (k *Kernel) Tracker() offload.Tracker { return tracker{k} }

type tracker struct{ k *Kernel }

// Run lists, says Synced, and follows.
func (t tracker) Run(ctx context.Context, emit func(flow.Event)) error {
	t.Relist()
	return t.k.run(ctx, flow.SourceConntrack, emit)
}

// listBatch is how many entries a listing tells of at a time.
const listBatch = 64

// Relist tells of every entry, and then Synced.
func (t tracker) Relist() {
	k := t.k
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	begin := k.clock.Now()
	var batch flow.Conns
	for _, c := range k.order {
		if batch = append(batch, k.message(flow.ConnListed, c)); len(batch) == listBatch {
			k.post(flow.SourceConntrack, batch)
			batch = nil
		}
	}
	if len(batch) > 0 {
		k.post(flow.SourceConntrack, batch)
	}
	k.post(flow.SourceConntrack, flow.Synced{Source: flow.SourceConntrack, Begin: begin})
}

// Prepare makes an entry liberal and writes its time-out. One that is gone, or is
// another connection's by now, is answered with Gone. The kernel's own message
// about such a write is left out, as a source leaves out what it caused itself.
func (t tracker) Prepare(ps []flow.Prepare) {
	k := t.k
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	for _, p := range ps {
		c := k.conns[p.Orig]
		if c == nil || c.entry.Orig != p.Orig || c.entry.Reply != p.Reply || p.EntryID != 0 && c.entry.ID != p.EntryID {
			k.post(flow.SourceConntrack, flow.Prepared{ID: p.ID, Gen: p.Gen, Gone: true})
			continue
		}
		c.liberal = true
		k.setTimeout(c, p.Timeout)
		k.post(flow.SourceConntrack, flow.Prepared{ID: p.ID, Gen: p.Gen, Entry: k.message(flow.ConnListed, c).Entry})
	}
}

// Touch writes time-outs. An entry that is gone stays gone.
func (t tracker) Touch(ts []flow.Touch) {
	k := t.k
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	for _, x := range ts {
		if c := k.conns[x.Orig]; c != nil && (x.EntryID == 0 || c.entry.ID == x.EntryID) {
			k.setTimeout(c, x.Timeout)
			c.liberal = c.liberal || x.Release
		}
	}
}
