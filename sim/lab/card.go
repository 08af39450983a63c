package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/shunt-offload/shunt/sim/simnic"
)

// Seat says what a card's interface is called, and where it is.
type Seat struct {
	Interface string // as the card made it
	In        *Namespace
	Name      string
}

// plug makes the router's card between client and switch.
func (l *Lab) plug() error {
	return l.Plug(*l.opts.NIC, func(c *simnic.Card) []Seat {
		vf, uplink := c.VF(0), c.Uplink(0)
		return []Seat{
			{c.Far(vf), l.Client, ClientPort},
			{c.Far(uplink), l.Switch, toRouter},
			{vf, l.Router, LANPort},
			{uplink, l.Router, WANPort},
		}
	})
}

// Plug makes a card in the router's namespace and takes its interfaces to their
// seats. Close removes it.
func (l *Lab) Plug(o simnic.Options, seats func(*simnic.Card) []Seat) error {
	err := l.Router.Do(func() (err error) {
		l.card, err = simnic.New(o)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range seats(l.card) {
		if err := l.move(s.Interface, s.In, s.Name); err != nil {
			return fmt.Errorf("plug %s into %s as %s: %w", s.Interface, s.In.Name, s.Name, err)
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
