package flower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// Driver opens cards of one profile.
type Driver struct{ Profile *Profile }

// New is the driver of a profile.
func New(p *Profile) *Driver { return &Driver{Profile: p} }

// Name is the profile's.
func (d *Driver) Name() string { return d.Profile.Name }

// Accepts reports whether the device is of the driver's make.
func (d *Driver) Accepts(dev *switchdev.Device) bool { return d.Profile.Accepts(dev) }

// Check says what Open would refuse about opts itself, without opening anything.
func (d *Driver) Check(opts hwif.OpenOptions) error {
	if d.Profile.Refuse != "" {
		return &hwif.Error{Op: "open", Device: d.Name(), Kind: hwif.KindUnsupported, Text: d.Profile.Refuse}
	}
	_, err := d.parse(opts)
	return err
}

// Persistent is true: filters outlive the daemon.
func (d *Driver) Persistent(hwif.OpenOptions) bool { return true }

// card is what Open found: ports of one switch, by the names in the options.
type card struct {
	mode  switchdev.Mode
	ports []switchdev.Port
}

// find resolves the ports and holds them against the profile.
func (d *Driver) find(inv *switchdev.Inventory, names []string) (*card, error) {
	c := &card{}
	var first *switchdev.Device
	for _, name := range names {
		no := func(k hwif.Kind, format string, args ...any) error {
			return &hwif.Error{Op: "open", Device: d.Name(), Port: name, Kind: k, Field: "ports", Text: fmt.Sprintf(format, args...)}
		}
		p, ok := inv.ByName(name)
		if !ok {
			return nil, d.noPort(inv, name)
		}
		dev, ok := inv.Device(p.Device)
		switch {
		case !ok:
			return nil, no(hwif.KindGone, "its device %s vanished", p.Device)
		case !d.Profile.Accepts(dev):
			return nil, no(hwif.KindInvalid, "is a port of %s, which is driven by %s and not by %s; see nic.driver", dev.Handle, dev.Driver, d.Profile.Kernel)
		}
		if text := d.Profile.Mode(dev); text != "" {
			return nil, no(hwif.KindUnsupported, "%s", text)
		}
		if text := p.OffloadRefused(); text != "" {
			return nil, no(hwif.KindUnsupported, "%s", text)
		}
		switch {
		case first == nil:
			first = dev
		case dev.Handle != first.Handle && d.Profile.OneDevice:
			return nil, no(hwif.KindInvalid, "is a port of %s, and %s of %s: one daemon serves one of them", dev.Handle, names[0], first.Handle)
		case dev.SwitchID == "" || dev.SwitchID != first.SwitchID:
			return nil, no(hwif.KindInvalid, "is a port of switch %q, and %s of %q: no card joins them", dev.SwitchID, names[0], first.SwitchID)
		case dev.Mode != first.Mode:
			return nil, no(hwif.KindInvalid, "is in mode %s, and %s in %s", dev.Mode, names[0], first.Mode)
		}
		c.mode = dev.Mode
		c.ports = append(c.ports, *p)
	}
	return c, nil
}

// noPort says what a name that is no port stands for.
func (d *Driver) noPort(inv *switchdev.Inventory, name string) error {
	e := &hwif.Error{Op: "open", Device: d.Name(), Port: name, Kind: hwif.KindGone, Field: "ports"}
	link, ok := inv.LinkByName(name)
	if !ok {
		e.Text = "no such interface; devlink port lists those of the cards"
		return e
	}
	e.Kind = hwif.KindInvalid
	stack := inv.Resolve(link.Index)
	var below []string
	for _, p := range stack.Ports() {
		below = append(below, p.Name)
	}
	if len(below) > 0 {
		e.Text = "is no port itself and carries no skip_sw rules; name what lies below it: " + strings.Join(below, ", ")
	} else {
		e.Text = "is no port of a card that devlink knows; " + stack.Why()
	}
	return e
}

// Open takes hold of the named ports. Errors are *hwif.Error and name what mends
// them; nothing is left behind then.
func (d *Driver) Open(ctx context.Context, opts hwif.OpenOptions) (hwif.Device, error) {
	if err := d.Check(opts); err != nil {
		return nil, err
	}
	set, err := d.parse(opts)
	if err != nil {
		return nil, err
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w, err := switchdev.NewWatcher(ctx, switchdev.WatchOptions{})
	if err != nil {
		return nil, d.wrap("look for cards", err)
	}
	c, err := d.find(w.Inventory(), opts.Ports)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	conn, err := tc.Open()
	if err != nil {
		return nil, errors.Join(d.wrap("open", err), w.Close())
	}
	dev := newDevice(d, conn, w, c, set, opts, log)
	if err := dev.start(ctx); err != nil {
		return nil, errors.Join(err, conn.Close(), w.Close())
	}
	return dev, nil
}

func (d *Driver) wrap(op string, err error) error {
	var he *hwif.Error
	if errors.As(err, &he) {
		return err
	}
	return &hwif.Error{Op: op, Device: d.Name(), Kind: hwif.KindOf(err), Err: err}
}
