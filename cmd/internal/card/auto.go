package card

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/drivers"
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

// Auto is the word that leaves the choice to this package.
const Auto = "auto"

// Names are the words that nic.driver takes.
func Names() []string {
	out := []string{Auto}
	for _, d := range drivers.All() {
		if f, ok := d.(*flower.Driver); !ok || f.Profile.Refuse == "" {
			out = append(out, d.Name())
		}
	}
	return out
}

// ByName finds a driver; Auto is none. The error names the words that there are.
func ByName(name string) (hwif.Driver, error) {
	d, err := drivers.ByName(name)
	if err != nil {
		return nil, fmt.Errorf("there is no driver %q; there are: %s", name, strings.Join(Names(), ", "))
	}
	return d, nil
}

// IsFlower reports whether a driver's word means a card behind tc flower.
func IsFlower(name string) bool {
	_, ok := Flower(name)
	return ok || name == Auto
}

// Flower finds a driver of a card behind tc flower by its name.
func Flower(name string) (*flower.Driver, bool) {
	d, err := drivers.ByName(name)
	if err != nil {
		return nil, false
	}
	f, ok := d.(*flower.Driver)
	return f, ok
}

// Of finds the driver that accepts a card, nil when none does.
func Of(d *switchdev.Device) *flower.Driver {
	drv, _ := drivers.For(d)
	f, _ := drv.(*flower.Driver)
	return f
}

// xdpInstead is what works on any interface.
const xdpInstead = "--nic xdp, the emulated NIC, works on any interface"

// Choose finds the one driver that all ports want. Its error names what was found
// of each port that stands in the way.
func Choose(ports []Port) (string, error) {
	if len(ports) == 0 {
		return "", errors.New("auto goes by the ports, and none is named")
	}
	name, first := "", ""
	var errs []string
	for i := range ports {
		p := &ports[i]
		f, text := choice(p)
		switch {
		case text != "":
			errs = append(errs, text)
		case name == "":
			name, first = f.Name(), p.Name
		case name != f.Name():
			errs = append(errs, fmt.Sprintf("%s wants driver %s, and %s wants %s: one daemon serves one card", first, name, p.Name, f.Name()))
		}
	}
	if len(errs) > 0 {
		return "", errors.New(strings.Join(errs, "; "))
	}
	return name, nil
}

// choice finds one port's driver, or says why there is none.
func choice(p *Port) (*flower.Driver, string) {
	switch {
	case p.Link.Index == 0:
		return nil, p.Name + " is not there; ip -br link lists the interfaces that are"
	case p.Port == nil && len(p.Below()) > 0:
		return nil, fmt.Sprintf("%s is a %s and no port itself; name what lies below it: %s", p.Name, p.Link.Kind, strings.Join(p.Below(), ", "))
	case p.Port == nil:
		return nil, fmt.Sprintf("%s is no port of a card with an eswitch (%s); %s", p.Name, p.Stack.Why(), xdpInstead)
	}
	f := Of(p.Dev)
	switch {
	case f == nil:
		return nil, fmt.Sprintf("%s is a port of %s, whose kernel driver %q no driver of ours knows; %s", p.Name, p.Dev.Handle, p.Dev.Driver, xdpInstead)
	case f.Profile.Refuse != "":
		return nil, fmt.Sprintf("%s is a port of %s, a %s card, which cannot be used: %s; %s", p.Name, p.Dev.Handle, f.Name(), f.Profile.Refuse, xdpInstead)
	}
	return f, ""
}

// Unfit says why a driver cannot take rules to a port, and what mends it, or "". It
// goes by what anybody may see: a mode that only root is told counts for nothing.
func Unfit(f *flower.Driver, p *Port) string {
	own, text := choice(p)
	switch {
	case text != "":
		return text
	case own.Name() != f.Name():
		return fmt.Sprintf("%s is a port of %s, whose driver is %s, and not %s", p.Name, p.Dev.Handle, own.Name(), f.Name())
	case p.Dev.Mode != switchdev.ModeUnknown:
		text = f.Profile.Mode(p.Dev)
	}
	if text == "" && p.Port.TCOffload != switchdev.TCOffloadUnknown {
		text = p.Port.OffloadRefused()
	}
	if text != "" {
		text = p.Name + ": " + text
	}
	return text
}
