package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/shunt-offload/shunt/sim/simnic"
)

// plug makes the router's card, in its namespace, and takes what hangs behind the
// ports to where it belongs.
func (l *Lab) plug() error {
	err := l.Router.Do(func() (err error) {
		l.card, err = simnic.New(*l.opts.NIC)
		return err
	})
	if err != nil {
		return err
	}
	vf, uplink := l.card.VF(0), l.card.Uplink(0)
	for _, m := range []struct {
		from string
		to   *Namespace
		name string
	}{
		{l.card.Far(vf), l.Client, ClientPort},
		{l.card.Far(uplink), l.Switch, toRouter},
		{vf, l.Router, LANPort},
		{uplink, l.Router, WANPort},
	} {
		if err := l.move(m.from, m.to, m.name); err != nil {
			return fmt.Errorf("plug %s into %s as %s: %w", m.from, m.to.Name, m.name, err)
		}
	}
	return nil
}

// move takes an interface of the router's to a namespace and gives it a name.
func (l *Lab) move(from string, to *Namespace, name string) error {
	link, err := l.Router.nl.LinkByName(from)
	if err != nil {
		return err
	}
	if to != l.Router {
		if err := l.Router.nl.LinkSetNsFd(link, int(to.handle)); err != nil {
			return err
		}
		if link, err = to.nl.LinkByName(from); err != nil {
			return err
		}
	}
	return to.nl.LinkSetName(&netlink.Device{LinkAttrs: *link.Attrs()}, name)
}
