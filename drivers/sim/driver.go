package simdrv

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim"
)

// SettingName is the key in OpenOptions.Settings that names a card of the
// Driver's.
const SettingName = "name"

// Driver opens simulated cards. The zero value has no named ones.
type Driver struct {
	mu    sync.Mutex
	cards map[string]*sim.NIC
	open  map[*sim.NIC]bool
}

// New makes a driver that finds these cards by their names.
func New(cards ...*sim.NIC) *Driver {
	d := &Driver{cards: map[string]*sim.NIC{}}
	for _, c := range cards {
		d.cards[c.Name()] = c
	}
	return d
}

// Name is "sim".
func (d *Driver) Name() string { return "sim" }

// Open takes hold of a named card, or makes one with the named ports. Errors are
// *hwif.Error. A card is open once at a time.
func (d *Driver) Open(ctx context.Context, opts hwif.OpenOptions) (hwif.Device, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.fail(hwif.KindBusy, "", "", err.Error())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	card, ports, err := d.find(opts)
	switch {
	case err != nil:
		return nil, err
	case card == nil:
		return newDevice(sim.New(sim.Options{Ports: ports, MaxRules: opts.MaxRules}), indexes(ports), false, func() {}), nil
	case d.open[card]:
		return nil, d.fail(hwif.KindBusy, SettingName, "", fmt.Sprintf("card %q is open; close it first", card.Name()))
	}
	if d.open == nil {
		d.open = map[*sim.NIC]bool{}
	}
	d.open[card] = true
	return newDevice(card, indexes(ports), true, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, card)
	}), nil
}

// Check says what Open would refuse about opts itself, without opening anything.
func (d *Driver) Check(opts hwif.OpenOptions) error {
	_, _, err := d.find(opts)
	return err
}

// Persistent reports whether rules of a device opened with opts outlive it:
// those of a named card do.
func (d *Driver) Persistent(opts hwif.OpenOptions) bool {
	_, named := opts.Settings[SettingName]
	return named
}

// find checks opts and gives what to open: the named card, or nil for one to be
// made, and its ports. The cards are those of New, so it takes no lock.
func (d *Driver) find(opts hwif.OpenOptions) (*sim.NIC, []hwif.Port, error) {
	for _, k := range slices.Sorted(maps.Keys(opts.Settings)) {
		if k != SettingName {
			return nil, nil, d.fail(hwif.KindInvalid, k, "", `unknown setting; the driver knows "name"`)
		}
	}
	if opts.MaxRules < 0 {
		return nil, nil, d.fail(hwif.KindInvalid, "max rules", "", fmt.Sprintf("%d is negative; 0 is the default", opts.MaxRules))
	}
	name, named := opts.Settings[SettingName]
	if !named {
		ports, err := d.fresh(opts)
		return nil, ports, err
	}
	card := d.cards[name]
	switch {
	case card == nil:
		return nil, nil, d.fail(hwif.KindGone, SettingName, "", fmt.Sprintf("no card is named %q; there are: %s", name,
			list(slices.Sorted(maps.Keys(d.cards)))))
	case opts.MaxRules != 0 && opts.MaxRules != card.Caps().MaxRules:
		return nil, nil, d.fail(hwif.KindInvalid, "max rules", "", fmt.Sprintf("card %q has %d and cannot have %d; leave it out", name,
			card.Caps().MaxRules, opts.MaxRules))
	}
	ports, err := d.pick(card, opts.Ports)
	return card, ports, err
}

// fresh gives the ports of a card of its own for one device, numbered from 1.
func (d *Driver) fresh(opts hwif.OpenOptions) ([]hwif.Port, error) {
	var ports []hwif.Port
	for i, name := range opts.Ports {
		if slices.Contains(opts.Ports[:i], name) {
			return nil, d.fail(hwif.KindInvalid, "ports", name, "named twice")
		}
		n := i + 1
		ports = append(ports, hwif.Port{Ifindex: hwif.Ifindex(n), Name: name, MTU: 1500, Up: true,
			MAC: hwif.MAC{0x02, 0, 0, 0, byte(n >> 8), byte(n)}})
	}
	if len(ports) == 0 {
		return nil, d.fail(hwif.KindInvalid, "ports", "", "a card needs ports; name two, or a card by its name")
	}
	return ports, nil
}

// pick finds ports by name; none means all.
func (d *Driver) pick(card *sim.NIC, names []string) ([]hwif.Port, error) {
	ports := card.Ports()
	if len(names) == 0 {
		return ports, nil
	}
	var have []string
	for _, p := range ports {
		have = append(have, p.Name)
	}
	var out []hwif.Port
	for i, name := range names {
		at := slices.Index(have, name)
		if at < 0 {
			return nil, d.fail(hwif.KindGone, "ports", name, "no such port; there are: "+list(have))
		}
		if slices.Contains(names[:i], name) {
			return nil, d.fail(hwif.KindInvalid, "ports", name, "named twice")
		}
		out = append(out, ports[at])
	}
	return out, nil
}

func indexes(ports []hwif.Port) []hwif.Ifindex {
	out := make([]hwif.Ifindex, len(ports))
	for i, p := range ports {
		out[i] = p.Ifindex
	}
	return out
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (d *Driver) fail(k hwif.Kind, field, port, text string) error {
	return &hwif.Error{Op: "open", Device: d.Name(), Port: port, Kind: k, Field: field, Text: text}
}
