package lab

import (
	"context"
	"net/netip"
)

// lanPorts are the interfaces that hold the LAN's addresses.
func (l *Lab) lanPorts() (client, router string) {
	if l.opts.VLAN != 0 {
		return tagged(ClientPort, l.opts.VLAN), tagged(LANPort, l.opts.VLAN)
	}
	return ClientPort, LANPort
}

// address sets addresses and routes. The server answers by next hop A whatever
// way a packet came: only the router's route is ever changed.
func (l *Lab) address(ctx context.Context) error {
	clientLAN, routerLAN := l.lanPorts()
	for _, a := range []struct {
		ns   *Namespace
		link string
		addr netip.Addr
		bits int
	}{
		{l.Client, clientLAN, Client4, 24}, {l.Client, clientLAN, Client6, 64},
		{l.Router, routerLAN, RouterLAN4, 24}, {l.Router, routerLAN, RouterLAN6, 64},
		{l.Router, WANPort, RouterWAN4, 24}, {l.Router, WANPort, RouterWAN6, 64},
		{l.Server, serverA, HopA.Addr4(), 24}, {l.Server, serverA, HopA.Addr6(), 64},
		{l.Server, serverB, HopB.Addr4(), 24}, {l.Server, serverB, HopB.Addr6(), 64},
		{l.Server, "lo", Server4, 32}, {l.Server, "lo", Server6, 128},
	} {
		if err := a.ns.addAddr(a.link, netip.PrefixFrom(a.addr, a.bits)); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		ns       *Namespace
		to       string
		via, dev string
	}{
		{l.Client, "0.0.0.0/0", RouterLAN4.String(), clientLAN},
		{l.Client, "::/0", RouterLAN6.String(), clientLAN},
		{l.Server, "0.0.0.0/0", RouterWAN4.String(), serverA},
		{l.Server, "::/0", RouterWAN6.String(), serverA},
	} {
		if _, err := r.ns.Run(ctx, "ip", "route", "add", r.to, "via", r.via, "dev", r.dev); err != nil {
			return err
		}
	}
	return l.UseHop(ctx, HopA)
}

// UseHop replaces the router's routes to the server: `ip route replace`.
func (l *Lab) UseHop(ctx context.Context, h Hop) error {
	if err := l.UseHop4(ctx, h); err != nil {
		return err
	}
	return l.UseHop6(ctx, h)
}

// UseHop4 replaces the router's IPv4 route to the server.
func (l *Lab) UseHop4(ctx context.Context, h Hop) error {
	_, err := l.Router.Run(ctx, "ip", "route", "replace", "198.51.100.0/24", "via", h.Addr4().String(), "dev", WANPort)
	return err
}

// UseHop6 replaces the router's IPv6 route to the server.
func (l *Lab) UseHop6(ctx context.Context, h Hop) error {
	_, err := l.Router.Run(ctx, "ip", "-6", "route", "replace", "2001:db8:9::/64", "via", h.Addr6().String(), "dev", WANPort)
	return err
}

// ChangeMAC gives a next hop another MAC address, as a replaced machine has.
// The hop announces it (arp_notify, ndisc_notify), as machines do.
func (l *Lab) ChangeMAC(ctx context.Context, h Hop, mac string) error {
	_, err := l.Server.Run(ctx, "ip", "link", "set", "dev", h.Port(), "address", mac)
	return err
}
