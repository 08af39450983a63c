package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
)

// bridgePorts are the switch's ends of the links to wan0, s0 and s1.
const (
	toRouter = "p-wan"
	toHopA   = "p-s0"
	toHopB   = "p-s1"
	bridge   = "br0"
)

// wire makes the links and brings them up.
func (l *Lab) wire(context.Context) error {
	ports := l.cables
	if l.opts.NIC != nil {
		ports = l.plug
	}
	if err := ports(); err != nil {
		return err
	}
	for _, w := range []struct {
		a     *Namespace
		aName string
		b     *Namespace
		bName string
	}{
		{l.Server, serverA, l.Switch, toHopA},
		{l.Server, serverB, l.Switch, toHopB},
	} {
		if err := cable(w.a, w.aName, w.b, w.bName); err != nil {
			return err
		}
	}
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}
	if err := l.Switch.nl.LinkAdd(br); err != nil {
		return fmt.Errorf("add %s: %w", bridge, err)
	}
	for _, port := range []string{toRouter, toHopA, toHopB} {
		if err := l.Switch.nl.LinkSetMaster(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: port}}, br); err != nil {
			return fmt.Errorf("plug %s into %s: %w", port, bridge, err)
		}
	}
	if l.opts.VLAN != 0 {
		for ns, parent := range map[*Namespace]string{l.Client: ClientPort, l.Router: LANPort} {
			if err := tag(ns, parent, l.opts.VLAN); err != nil {
				return err
			}
		}
	}
	return errors.Join(l.Client.up("lo", ClientPort), l.Router.up("lo", LANPort, WANPort),
		l.Switch.up(bridge, toRouter, toHopA, toHopB), l.Server.up("lo", serverA, serverB))
}

// cables join the router's ports to the client and to the switch.
func (l *Lab) cables() error {
	return errors.Join(cable(l.Client, ClientPort, l.Router, LANPort), cable(l.Router, WANPort, l.Switch, toRouter))
}

// cable makes a veth pair with one end in each namespace. Both ends are made
// where they belong, so their names need to be unique nowhere else.
func cable(a *Namespace, aName string, b *Namespace, bName string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = aName
	err := a.nl.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: bName, PeerNamespace: netlink.NsFd(int(b.handle))})
	if err != nil {
		return fmt.Errorf("link %s %s to %s %s: %w", a.Name, aName, b.Name, bName, err)
	}
	return nil
}

// tag puts an 802.1Q interface called PARENT.ID over parent.
func tag(ns *Namespace, parent string, id uint16) error {
	p, err := ns.nl.LinkByName(parent)
	if err != nil {
		return fmt.Errorf("%s: %w", parent, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = tagged(parent, id), p.Attrs().Index
	err = ns.nl.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: int(id)})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return fmt.Errorf("VLAN %d over %s: %w (this kernel has no 8021q: modprobe 8021q)", id, parent, err)
	}
	if err != nil {
		return fmt.Errorf("VLAN %d over %s: %w", id, parent, err)
	}
	return ns.up(parent, attrs.Name)
}

func tagged(parent string, id uint16) string { return fmt.Sprintf("%s.%d", parent, id) }

// up sets links up.
func (n *Namespace) up(names ...string) error {
	for _, name := range names {
		link, err := n.nl.LinkByName(name)
		if err == nil {
			err = n.nl.LinkSetUp(link)
		}
		if err != nil {
			return fmt.Errorf("set %s %s up: %w", n.Name, name, err)
		}
	}
	return nil
}

// addAddr puts an address on a link, without duplicate address detection: the
// lab knows its own addresses, and a tentative one can't be used for a second.
func (n *Namespace) addAddr(link string, p netip.Prefix) error {
	dev, err := n.nl.LinkByName(link)
	if err != nil {
		return fmt.Errorf("%s %s: %w", n.Name, link, err)
	}
	addr, err := netlink.ParseAddr(p.String())
	if err != nil {
		return err
	}
	if p.Addr().Is6() {
		addr.Flags = syscall.IFA_F_NODAD
	}
	if err := n.nl.AddrAdd(dev, addr); err != nil {
		return fmt.Errorf("add %s to %s %s: %w", p, n.Name, link, err)
	}
	return nil
}
