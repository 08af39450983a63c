package kernel

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Link is an interface with addresses: a port of the card, or a VLAN on one.
type Link struct {
	Name  string
	Port  hwif.Ifindex // of the card
	VLAN  hwif.VLAN    // 0 for the port itself
	MAC   hwif.MAC     // the port's when zero
	MTU   uint16       // 1500 when zero
	Addrs []netip.Prefix
	down  bool
}

// AddLink adds an interface and the routes to its own prefixes.
func (k *Kernel) AddLink(l Link) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	ports := k.nic.Ports()
	at := slices.IndexFunc(ports, func(p hwif.Port) bool { return p.Ifindex == l.Port })
	switch {
	case at < 0:
		return fmt.Errorf("add link %s: the card has no port %d", l.Name, l.Port)
	case k.link(l.Name) != nil:
		return fmt.Errorf("add link %s: exists", l.Name)
	case k.linkAt(l.Port, l.VLAN) != nil:
		return fmt.Errorf("add link %s: %s is on port %d with VLAN %d already", l.Name, k.linkAt(l.Port, l.VLAN).Name, l.Port, l.VLAN)
	}
	if l.MAC.IsZero() {
		l.MAC = ports[at].MAC
	}
	if l.MTU == 0 {
		l.MTU = 1500
	}
	l.down = !ports[at].Up
	l.Addrs = slices.Clone(l.Addrs)
	k.links = append(k.links, &l)
	for _, a := range l.Addrs {
		k.routes = append(k.routes, Route{Prefix: a.Masked(), Link: l.Name})
	}
	k.changed(flow.CauseRouteChanged, "link "+l.Name+" added")
	return nil
}

// Masquerade gives new connections that leave by a link this source address.
func (k *Kernel) Masquerade(link string, source netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.link(link) == nil {
		return fmt.Errorf("masquerade: no link %s", link)
	}
	k.masquerade[link] = source
	return nil
}

// LinkDown takes an interface down; LinkUp brings it back. The carrier of a port
// goes with the interface that is the port itself. Routes over a link that is
// down don't count until it is up again.
func (k *Kernel) LinkDown(name string) error { return k.setLink(name, true) }

// LinkUp is the reverse of LinkDown.
func (k *Kernel) LinkUp(name string) error { return k.setLink(name, false) }

func (k *Kernel) setLink(name string, down bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.link(name)
	if l == nil {
		return fmt.Errorf("set link: no link %s", name)
	}
	l.down = down
	if l.VLAN == 0 {
		k.nic.SetLink(l.Port, !down)
		for _, other := range k.links { // VLANs fall and rise with their port
			if other.Port == l.Port {
				other.down = down
			}
		}
	}
	if down {
		k.changed(flow.CauseLinkDown, "link "+name+" is down")
	} else {
		k.changed(flow.CauseRouteChanged, "link "+name+" is up")
	}
	return nil
}

// SetMTU changes an interface's MTU.
func (k *Kernel) SetMTU(name string, mtu uint16) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.link(name)
	if l == nil {
		return fmt.Errorf("set MTU: no link %s", name)
	}
	l.MTU = mtu
	k.changed(flow.CauseMTUChanged, fmt.Sprintf("link %s has MTU %d", name, mtu))
	return nil
}

func (k *Kernel) link(name string) *Link {
	for _, l := range k.links {
		if l.Name == name {
			return l
		}
	}
	return nil
}

func (k *Kernel) linkAt(port hwif.Ifindex, vlan hwif.VLAN) *Link {
	for _, l := range k.links {
		if l.Port == port && l.VLAN == vlan {
			return l
		}
	}
	return nil
}

// local reports whether a is one of the router's own addresses.
func (k *Kernel) local(a netip.Addr) bool {
	for _, l := range k.links {
		for _, p := range l.Addrs {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}
