package offload

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// listStep is how many places one List call looks at: some milliseconds.
const listStep = 8192

// Get finds a flow by either direction's tuple.
func (e *Engine) Get(t flow.Tuple) (View, bool) {
	id, ok := e.find(t)
	if !ok {
		return View{}, false
	}
	return e.view(id), true
}

// List appends up to max views that keep says yes to (nil keeps all), starting
// at the cursor, 0 for the first. It looks at a bounded number of flows; next
// is where to go on, and done says that the end was reached. A flow that lives
// through the whole listing is in it exactly once.
func (e *Engine) List(cursor uint64, max int, keep func(*View) bool, out []View) (views []View, next uint64, done bool) {
	bound := uint64(e.table.Bound())
	stop := min(cursor+listStep, bound)
	for got := 0; cursor < stop && got < max; cursor++ {
		if e.table.At(flow.ID(cursor)).UID == 0 {
			continue
		}
		v := e.view(flow.ID(cursor))
		if keep == nil || keep(&v) {
			out = append(out, v)
			got++
		}
	}
	return out, cursor, cursor >= bound
}

// Seq is the number of the latest change.
func (e *Engine) Seq() uint64 { return e.log.seq }

// Since appends up to max changes after seq. ok is false when the log no longer
// reaches back to seq: list again.
func (e *Engine) Since(seq uint64, max int, out []Delta) (deltas []Delta, next uint64, ok bool) {
	if !e.log.reaches(seq) {
		return out, seq, false
	}
	for got := 0; seq < e.log.seq && got < max; {
		seq++
		if v, gone := e.log.last(seq); gone {
			out = append(out, Delta{Seq: seq, View: *v})
			got++
			continue
		}
		id := e.log.ids[seq%logLen]
		if f := e.table.At(id); f.UID != 0 && f.Seq == seq { // else it changed again later
			out = append(out, Delta{Seq: seq, View: e.view(id)})
			got++
		}
	}
	return out, seq, true
}

// view copies what readers may see of a flow.
func (e *Engine) view(id flow.ID) View {
	f := e.table.At(id)
	v := View{
		UID: f.UID, Seq: f.Seq, Entry: f.Entry,
		State: f.State, Since: f.Since, Reasons: f.Reasons, Text: e.texts[id],
		Pinned: f.Has(flow.FlagPinned), Untracked: f.Has(flow.FlagUntracked), Intent: e.intents[f.Entry.Orig],
		Created: f.Created,
	}
	for d := range v.Kernel {
		v.Kernel[d].Packets, v.Kernel[d].Bytes = f.Entry.Packets[d], f.Entry.Bytes[d]
	}
	if f.Entry.Has&flow.HasCounters != 0 {
		v.KernelAt = f.Counted
	}
	if f.Until > e.now {
		v.Again = f.Until
		if f.Has(flow.FlagHeld) && v.Intent.Kind == IntentNone {
			v.Intent = Intent{Kind: IntentHold, Tuple: f.Entry.Orig, Expires: f.Until}
		}
	}
	s := e.stay(f)
	if s == nil {
		return v
	}
	v.HasRoutes, v.Routes, v.Nexthop, v.Evidence, v.RoutedAt = s.RoutedAt != 0, s.Routes, s.Nexthop, s.Evidence, s.RoutedAt
	v.Verdict, v.Device, v.Rules = s.Verdict, s.Device, s.Rules
	if anyRule(s) {
		v.Cookies = cookies(s.Gen)
	}
	v.Installed, v.Installs = s.InAt, s.Installs
	v.NIC, v.NICAt = s.NIC, s.NICAt
	v.History = make([]Change, s.Steps)
	for i := range v.History {
		v.History[i] = Change{At: s.History[i].At, Took: s.History[i].Took, State: s.History[i].State, Cause: s.History[i].Cause}
	}
	return v
}

// Stats are the counters as they are now.
func (e *Engine) Stats() Stats {
	st := e.stats
	st.Now = e.now
	st.Paused = e.paused != ""
	for _, in := range e.intents {
		if in.Kind == IntentPin {
			st.Pins++
		} else {
			st.Denials++
		}
	}
	return st
}

// Devices lists the devices as the engine sees them.
func (e *Engine) Devices() []DeviceView {
	out := make([]DeviceView, len(e.devices))
	for i := range e.devices {
		d := &e.devices[i]
		out[i] = DeviceView{Caps: d.caps, Used: d.used, Strangers: d.strangers, Failed: d.failed}
		out[i].ID = hwif.DeviceID(i)
		out[i].Ports = append(out[i].Ports, d.ports...)
	}
	return out
}
