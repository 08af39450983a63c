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
	vrf    hwif.Ifindex // that l3 belongs to, 0 for none
	l3     hwif.Ifindex
	bundle hwif.Ifindex // bridge or bond between l3 and the port, l3 itself where it is one; 0 for none
	port   hwif.Ifindex // 0 when it is not known, or not yet
	device hwif.DeviceID
	vlan   hwif.VLAN
	mac    hwif.MAC // of l3, not of the port
	mtu    uint16   // of l3, bytes of L3
	shaper string   // a root qdisc on the way that is not a plain one
	xdp    string   // an interface with somebody's XDP program
}

func (s *side) wire() wire { return wire{s.port, s.vlan} }

const vlan8021Q = 0x8100 // ETH_P_8021Q

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// stack follows an interface down to a device's port: out of a VRF into the member
// that is meant, past one 802.1Q tag, into a bridge's or bond's member. Everything
// else is refused with a sentence.
func (p *picture) stack(dev hwif.Ifindex, f hwif.Family, c clue) (side, flow.Reason, string) {
	l, ok := p.links[dev]
	if !ok {
		return side{}, flow.PortNotOffloadable, fmt.Sprintf("interface %d has just appeared or vanished", dev)
	}
	if l.Kind == "vrf" {
		var reason flow.Reason
		var text string
		if l, reason, text = p.inVRF(&l, c); reason != flow.ReasonNone || l.Index == 0 {
			return side{l3: dev}, reason, text
		}
	}
	s := side{l3: l.Index, mac: l.MAC, mtu: clampMTU(l.MTU)}
	if l.SlaveKind == "vrf" {
		s.vrf = l.Master
	}
	if f == hwif.IPv6 && l.MTU6 != 0 {
		s.mtu = min(s.mtu, clampMTU(l.MTU6))
	}
	bottom, reason, text := p.down(&s, l, c)
	if reason != flow.ReasonNone || s.port == 0 {
		return s, reason, text
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

// down goes from l to what its frames leave by, one layer at a time.
func (p *picture) down(s *side, l rtnl.Link, c clue) (rtnl.Link, flow.Reason, string) {
	above := rtnl.Link{}
	for {
		if r, text := p.unfit(&l, &above); r != flow.ReasonNone {
			return l, r, text
		}
		p.passing(s, &l)
		var next rtnl.Link
		var reason flow.Reason
		var text string
		switch l.Kind {
		case "vlan":
			next, reason, text = p.untagged(s, &l)
		case "bridge", "bond":
			if s.bundle != 0 {
				return l, flow.RouteUnsupported, fmt.Sprintf("%s lies below %s; only one of both can be followed", l.Name, p.name(s.bundle))
			}
			s.bundle = l.Index
			if next, reason, text = p.inBundle(&l, s.vlan, c); next.Index == 0 && reason == flow.ReasonNone {
				return l, reason, text
			}
		default:
			s.port = l.Index
			return l, flow.ReasonNone, ""
		}
		if reason != flow.ReasonNone {
			return l, reason, text
		}
		above, l = l, next
	}
}

// untagged is the interface below a VLAN device.
func (p *picture) untagged(s *side, l *rtnl.Link) (rtnl.Link, flow.Reason, string) {
	none := func(r flow.Reason, format string, args ...any) (rtnl.Link, flow.Reason, string) {
		return rtnl.Link{}, r, fmt.Sprintf(format, args...)
	}
	switch {
	case s.vlan != 0:
		return none(flow.RouteUnsupported, "%s is a VLAN inside a VLAN; only one tag can be offloaded", p.name(s.l3))
	case l.VLANProto != vlan8021Q:
		return none(flow.RouteUnsupported, "%s uses VLAN protocol 0x%04x; only 802.1Q can be offloaded", l.Name, l.VLANProto)
	case l.EgressQoS:
		return none(flow.RouteUnsupported, "%s maps packet priority to VLAN priority (egress-qos-map), which a rule can't follow", l.Name)
	case l.Foreign:
		return none(flow.RouteUnsupported, "%s is a VLAN on an interface in another network namespace", l.Name)
	}
	next, ok := p.links[l.Parent]
	if !ok {
		return none(flow.PortNotOffloadable, "the interface below %s is not known", l.Name)
	}
	s.vlan = l.VLAN
	return next, flow.ReasonNone, ""
}

// passing notes what hardware would take packets past.
func (p *picture) passing(s *side, l *rtnl.Link) {
	s.mtu = min(s.mtu, clampMTU(l.MTU))
	if l.Shaper != "" {
		s.shaper = fmt.Sprintf("%s has the queueing discipline %s", l.Name, l.Shaper)
	}
	if l.XDP && !p.ownXDP {
		s.xdp = l.Name
	}
}

// unfit is what rules an interface out wherever it stands in a stack. Above is the
// one that led to it.
func (p *picture) unfit(l, above *rtnl.Link) (flow.Reason, string) {
	switch {
	case l.Flags&unix.IFF_LOOPBACK != 0:
		return flow.Local, l.Name + " is the loopback interface"
	case l.Type != unix.ARPHRD_ETHER:
		return flow.RouteUnsupported, fmt.Sprintf("%s is not an Ethernet interface (type %d, kind %q)", l.Name, l.Type, l.Kind)
	case !l.Up():
		return flow.NoRoute, l.Name + " is down or has no carrier"
	case l.Kind == "team":
		return flow.LAGUnsupported, fmt.Sprintf("%s is a %s; its members are not followed", l.Name, l.Kind)
	case l.Master == 0, l.Master == above.Index, l.SlaveKind == "vrf":
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
