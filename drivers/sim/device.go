package simdrv

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim"
)

// Device is a simulated card in the daemon's hands.
type Device struct {
	card       *sim.NIC
	caps       hwif.Caps // immutable
	ports      []hwif.Ifindex
	persistent bool
	release    func()
	once       sync.Once
}

func newDevice(card *sim.NIC, ports []hwif.Ifindex, persistent bool, release func()) *Device {
	caps := card.Caps()
	caps.Persistent = persistent
	return &Device{card: card, caps: caps, ports: ports, persistent: persistent, release: release}
}

// NIC is the card itself, for tests that send frames or make faults.
func (d *Device) NIC() *sim.NIC { return d.card }

// Caps is the card's; persistent when the card was named.
func (d *Device) Caps() hwif.Caps { return d.caps }

// Ports gives the opened ports that the card still has.
func (d *Device) Ports(ctx context.Context) ([]hwif.Port, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.interrupted("list ports", err)
	}
	var out []hwif.Port
	for _, p := range d.card.Ports() {
		if slices.Contains(d.ports, p.Ifindex) {
			out = append(out, p)
		}
	}
	return out, nil
}

// Apply carries out ops one by one. Once ctx has ended, the rest is KindBusy and
// untouched.
func (d *Device) Apply(ctx context.Context, ops []hwif.Op, results []hwif.Result) {
	for i := range ops {
		results[i] = d.one(ctx, &ops[i])
	}
}

func (d *Device) one(ctx context.Context, op *hwif.Op) (res hwif.Result) {
	if err := d.card.Delay(ctx); err != nil {
		res.Err = d.interrupted(op.Kind.String(), err)
		return res
	}
	if op.Kind == hwif.OpRemove {
		res.Final, res.Err = d.card.Remove(op.Rule)
		return res
	}
	if res.Err = d.foreign(&op.Rule); res.Err == nil {
		res.Presence, res.Err = d.card.Install(op.Rule)
	}
	return res
}

// foreign refuses a port of the card that this device was not opened on.
func (d *Device) foreign(r *hwif.Rule) error {
	for _, p := range []hwif.Ifindex{r.Match.InPort, r.Actions.OutPort} {
		if p != 0 && !slices.Contains(d.ports, p) {
			return &hwif.Error{Op: "install", Device: "sim", Port: fmt.Sprintf("port %d", p), Cookie: r.Cookie,
				Kind: hwif.KindGone, Text: "not a port of this device"}
		}
	}
	return nil
}

// Rules lists the card's table, strangers included.
func (d *Device) Rules(ctx context.Context) iter.Seq2[hwif.Installed, error] {
	return func(yield func(hwif.Installed, error) bool) {
		for _, in := range d.card.Rules() {
			if err := ctx.Err(); err != nil {
				yield(hwif.Installed{}, d.interrupted("list", err))
				return
			}
			if !yield(in, nil) {
				return
			}
		}
	}
}

// Counters appends one Counted for each rule of ours.
func (d *Device) Counters(ctx context.Context, into []hwif.Counted) ([]hwif.Counted, error) {
	if err := ctx.Err(); err != nil {
		return into, d.interrupted("count", err)
	}
	return d.card.Counters(into), nil
}

// Close lets go of the card. A card without a name ends here, with its rules.
func (d *Device) Close(flush bool) error {
	d.once.Do(func() {
		if flush || !d.persistent {
			d.card.Flush()
		}
		d.release()
	})
	return nil
}

func (d *Device) interrupted(op string, err error) error {
	return &hwif.Error{Op: op, Device: "sim", Kind: hwif.KindBusy, Text: "not begun", Err: err}
}
