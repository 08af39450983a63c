package lab

import (
	"context"
	"fmt"
	"net"
)

// Link gives the number and MAC address of an interface in the namespace.
func (n *Namespace) Link(name string) (ifindex int, mac net.HardwareAddr, err error) {
	link, err := n.nl.LinkByName(name)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", n.Name, name, err)
	}
	return link.Attrs().Index, link.Attrs().HardwareAddr, nil
}

// SwitchPort is the switch's end of the router's WAN cable.
const SwitchPort = toRouter

// Settle makes the router's neighbours permanent, so that frames keep flowing
// while nobody answers for them.
func (l *Lab) Settle(ctx context.Context) error {
	_, client, err := l.Client.Link(ClientPort)
	if err != nil {
		return err
	}
	_, hop, err := l.Server.Link(HopA.Port())
	if err != nil {
		return err
	}
	for _, n := range []struct{ addr, mac, dev string }{
		{Client4.String(), client.String(), LANPort},
		{HopA.Addr4().String(), hop.String(), WANPort},
	} {
		if _, err := l.Router.Run(ctx, "ip", "neigh", "replace", n.addr, "lladdr", n.mac, "dev", n.dev, "nud", "permanent"); err != nil {
			return err
		}
	}
	return nil
}
