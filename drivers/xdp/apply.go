package xdp

import (
	"context"
	"errors"
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// Apply carries out ops in order. Installs are visible at once; removes of one
// batch share one grace period, as long as no install comes between them.
func (d *Device) Apply(ctx context.Context, ops []hwif.Op, results []hwif.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range ops {
		op := &ops[i]
		results[i] = hwif.Result{}
		err := ctx.Err()
		if err != nil {
			err = fault(op.Kind.String(), "", hwif.KindBusy, err, "")
		} else if op.Kind == hwif.OpRemove {
			err = d.table.remove(op.Rule.Cookie, &results[i])
		} else {
			err = d.install(&op.Rule)
			if err == nil {
				results[i].Presence = hwif.InHW
			}
		}
		results[i].Err = named(err, op.Rule.Cookie)
	}
	if err := d.table.settle(); err != nil {
		// Whose removes these are is known by their results.
		for _, l := range d.table.limbo {
			if l.result != nil {
				l.result.Err = named(err, l.cookie)
			}
		}
	}
	for i := range d.table.limbo {
		d.table.limbo[i].result = nil // the slice is the caller's again
	}
}

// named puts the rule's cookie into an error of ours.
func named(err error, c hwif.Cookie) error {
	var e *hwif.Error
	if errors.As(err, &e) {
		with := *e
		with.Cookie = c
		return &with
	}
	return err
}

func (d *Device) install(r *hwif.Rule) error {
	if err := d.caps.Check(r); err != nil {
		return err
	}
	k, v, err := encode(r)
	if err != nil {
		return err
	}
	if err := d.wantPort(r.Match.InPort); err != nil {
		return err
	}
	if r.Actions.Set.Has(hwif.ActRedirect) {
		if err := d.wantPort(r.Actions.OutPort); err != nil {
			return err
		}
		v.OutSlot = d.ports[r.Actions.OutPort].slot
	}
	return d.table.insert(&k, &v)
}

// wantPort refuses a port that is not, or no longer, the device's.
func (d *Device) wantPort(i hwif.Ifindex) error {
	if _, ok := d.ports[i]; !ok {
		return fault("install", "", hwif.KindGone, nil, fmt.Sprintf("ifindex %d is not a port of this device", i))
	}
	return nil
}
