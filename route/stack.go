package route

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// side is one end of a path: the interface with the IP configuration, and the
// port and tag that its frames have on the wire.
type side struct {
	l3     hwif.Ifindex
	port   hwif.Ifindex
	device hwif.DeviceID
	vlan   hwif.VLAN
	mac    hwif.MAC // of l3, not of the port
	mtu    uint16   // of l3, bytes of L3
	shaper string   // a root qdisc on the way that is not a plain one
	xdp    string   // an interface with somebody's XDP program
}

const vlan8021Q = 0x8100 // ETH_P_8021Q

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// stack follows an interface down to a device's port: the port itself, or one
// 802.1Q device on it. Everything else is refused with a sentence.
func (p *picture) stack(dev hwif.Ifindex, f hwif.Family) (side, flow.Reason, string) {
	l, ok := p.links[dev]
	if !ok {
		return side{}, flow.PortNotOffloadable, fmt.Sprintf("interface %d has just appeared or vanished", dev)
	}
	s := side{l3: dev, port: dev, mac: l.MAC, mtu: clampMTU(l.MTU)}
	if f == hwif.IPv6 && l.MTU6 != 0 {
		s.mtu = min(s.mtu, clampMTU(l.MTU6))
	}
	if r, text := p.unfit(&l); r != flow.ReasonNone {
		return s, r, text
	}
	p.passing(&s, &l)
	bottom := l
	if l.Kind == "vlan" {
		switch {
		case l.VLANProto != vlan8021Q:
			return s, flow.RouteUnsupported, fmt.Sprintf("%s uses VLAN protocol 0x%04x; only 802.1Q can be offloaded", l.Name, l.VLANProto)
		case l.EgressQoS:
			return s, flow.RouteUnsupported, l.Name + " maps packet priority to VLAN priority (egress-qos-map), which a rule can't follow"
		case l.Foreign:
			return s, flow.RouteUnsupported, l.Name + " is a VLAN on an interface in another network namespace"
		}
		if bottom, ok = p.links[l.Parent]; !ok {
			return s, flow.PortNotOffloadable, fmt.Sprintf("the interface below %s is not known", l.Name)
		}
		if bottom.Kind == "vlan" {
			return s, flow.RouteUnsupported, l.Name + " is a VLAN inside a VLAN; only one tag can be offloaded"
		}
		if r, text := p.unfit(&bottom); r != flow.ReasonNone {
			return s, r, text
		}
		s.vlan, s.port = l.VLAN, bottom.Index
		p.passing(&s, &bottom)
	}
	port, ok := p.ports[s.port]
	switch {
	case !ok && bottom.Kind != "" && bottom.Kind != "veth":
		return s, flow.RouteUnsupported, fmt.Sprintf("%s is of kind %s, which can't be offloaded", bottom.Name, bottom.Kind)
	case !ok:
		return s, flow.PortNotOffloadable, bottom.Name + " is not a port of any device"
	case port.Refused != "":
		return s, flow.OffloadDisabledOnPort, bottom.Name + ": " + port.Refused
	}
	s.device = port.Device
	return s, flow.ReasonNone, ""
}

// passing notes what hardware would take packets past.
func (p *picture) passing(s *side, l *rtnl.Link) {
	if l.Shaper != "" {
		s.shaper = fmt.Sprintf("%s has the queueing discipline %s", l.Name, l.Shaper)
	}
	if l.XDP && !p.ownXDP {
		s.xdp = l.Name
	}
}

// unfit is what rules an interface out wherever it stands in a stack.
func (p *picture) unfit(l *rtnl.Link) (flow.Reason, string) {
	switch {
	case l.Flags&unix.IFF_LOOPBACK != 0:
		return flow.Local, l.Name + " is the loopback interface"
	case l.Type != unix.ARPHRD_ETHER:
		return flow.RouteUnsupported, fmt.Sprintf("%s is not an Ethernet interface (type %d, kind %q)", l.Name, l.Type, l.Kind)
	case !l.Up():
		return flow.NoRoute, l.Name + " is down or has no carrier"
	case l.Kind == "bridge":
		return flow.Bridged, l.Name + " is a bridge; the port behind it is not followed yet"
	case l.Kind == "bond" || l.Kind == "team":
		return flow.LAGUnsupported, fmt.Sprintf("%s is a %s; link aggregation is not followed yet", l.Name, l.Kind)
	case l.Master == 0:
		return flow.ReasonNone, ""
	}
	master := p.name(l.Master)
	switch l.SlaveKind {
	case "bridge":
		return flow.Bridged, fmt.Sprintf("%s is a port of bridge %s", l.Name, master)
	case "bond", "team":
		return flow.LAGUnsupported, fmt.Sprintf("%s is a member of %s %s", l.Name, l.SlaveKind, master)
	}
	return flow.RouteUnsupported, fmt.Sprintf("%s belongs to %s (%s), which can't be offloaded", l.Name, master, l.SlaveKind)
}

func clampMTU(m uint32) uint16 { return uint16(min(m, 65535)) }
