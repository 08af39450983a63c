package rpctest

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/shunt-offload/shunt/hwif"
)

// Device keeps rules in a map. Its methods may be called by any goroutine.
type Device struct {
	caps  hwif.Caps
	mu    sync.Mutex
	rules map[hwif.Match]hwif.Installed
}

func newDevice(max int) *Device {
	return &Device{rules: map[hwif.Match]hwif.Installed{}, caps: hwif.Caps{Driver: "memory",
		Fields: hwif.FieldsOf(hwif.Fields()...), Actions: hwif.ActionsOf(hwif.ActionKinds()...),
		MaxRules: max, Batch: 64, Counters: hwif.CountersFull, CounterLag: 20 * time.Millisecond, Guarded: true,
		Notes: []string{"forwards nothing"}}}
}

// Count moves every rule's counter by some packets of 1000 bytes.
func (d *Device) Count(packets uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for m, in := range d.rules {
		in.Counter.Packets += packets
		in.Counter.Bytes += packets * 1000
		d.rules[m] = in
	}
}

// Len is how many rules it has.
func (d *Device) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.rules)
}

// Caps is everything.
func (d *Device) Caps() hwif.Caps { return d.caps }

// Ports are lan and wan, and one that carries no rules.
func (d *Device) Ports(context.Context) ([]hwif.Port, error) {
	return []hwif.Port{
		{Ifindex: LAN, Name: "lan", MAC: lanMAC, MTU: 1500, Up: true, Kind: hwif.PortUplink, Joins: []hwif.Ifindex{WAN, 13}},
		{Ifindex: WAN, Name: "wan", MAC: wanMAC, MTU: 1500, Up: true, Kind: hwif.PortUplink},
		{Ifindex: 13, Name: "dmz", MAC: hwif.MAC{2, 0, 0, 0, 1, 3}, MTU: 1500, Joins: []hwif.Ifindex{}, Refused: "hw-tc-offload is off; ethtool -K dmz hw-tc-offload on"},
	}, nil
}

// Apply changes the map.
func (d *Device) Apply(_ context.Context, ops []hwif.Op, results []hwif.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range ops {
		results[i] = d.apply(&ops[i])
	}
}

func (d *Device) apply(op *hwif.Op) hwif.Result {
	held, there := d.rules[op.Rule.Match]
	fail := func(k hwif.Kind) hwif.Result {
		return hwif.Result{Err: &hwif.Error{Op: op.Kind.String(), Device: "memory", Kind: k, Cookie: op.Rule.Cookie}}
	}
	switch {
	case op.Kind == hwif.OpRemove && (!there || held.Rule.Cookie != op.Rule.Cookie):
		return fail(hwif.KindNotExist)
	case op.Kind == hwif.OpRemove:
		delete(d.rules, op.Rule.Match)
		return hwif.Result{Final: held.Counter}
	case there:
		return fail(hwif.KindExist)
	case len(d.rules) >= d.caps.MaxRules:
		return fail(hwif.KindFull)
	}
	d.rules[op.Rule.Match] = hwif.Installed{Rule: op.Rule, Presence: hwif.InHW}
	return hwif.Result{Presence: hwif.InHW}
}

// Rules lists the map.
func (d *Device) Rules(context.Context) iter.Seq2[hwif.Installed, error] {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]hwif.Installed, 0, len(d.rules))
	for _, in := range d.rules {
		all = append(all, in)
	}
	return func(yield func(hwif.Installed, error) bool) {
		for _, in := range all {
			if !yield(in, nil) {
				return
			}
		}
	}
}

// Counters lists the counters.
func (d *Device) Counters(_ context.Context, into []hwif.Counted) ([]hwif.Counted, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, in := range d.rules {
		into = append(into, hwif.Counted{Cookie: in.Rule.Cookie, Counter: in.Counter})
	}
	return into, nil
}

// Close has nothing to release.
func (d *Device) Close(bool) error { return nil }
