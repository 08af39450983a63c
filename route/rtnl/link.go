package rtnl

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Link is one interface, as RTM_NEWLINK tells it.
type Link struct {
	Name       string // IFLA_IFNAME
	Kind       string // IFLA_INFO_KIND: "vlan", "bridge"; empty for most hardware
	SlaveKind  string // IFLA_INFO_SLAVE_KIND: what the master is
	Index      hwif.Ifindex
	Parent     hwif.Ifindex // IFLA_LINK
	Master     hwif.Ifindex // IFLA_MASTER
	Group      uint32       // IFLA_GROUP, which rules may ask for (suppress_ifgroup)
	Flags      uint32       // IFF_*
	MTU        uint32       // IFLA_MTU
	MTU6       uint32       // IFLA_INET6_CONF mtu6, 0 when IPv6 is off there
	Type       uint16       // ARPHRD_*
	VLAN       hwif.VLAN    // IFLA_VLAN_ID
	VLANProto  uint16       // IFLA_VLAN_PROTOCOL
	MAC        hwif.MAC     // IFLA_ADDRESS
	Foreign    bool         // IFLA_LINK_NETNSID: Parent is in another namespace
	EgressQoS  bool         // IFLA_VLAN_EGRESS_QOS is not empty: PCP follows the packet's priority
	XDP        bool         // IFLA_XDP_ATTACHED: an XDP program sees what comes in
	VLANFilter bool         // of a bridge, IFLA_BR_VLAN_FILTERING
	BondMode   uint8        // of a bond, IFLA_BOND_MODE
	Active     hwif.Ifindex // of a bond, IFLA_BOND_ACTIVE_SLAVE
	Passive    bool         // of a bridge's port, IFLA_BRPORT_STATE is not forwarding
	Qdisc      string       // IFLA_QDISC: the root qdisc's kind
	Shaper     string       // the kind of a qdisc that may hold back, reorder by class or drop; else empty
}

const (
	iflaXDP         = 43 // IFLA_XDP
	iflaXDPAttached = 2  // IFLA_XDP_ATTACHED
)

// Up reports whether the interface is up and has carrier.
func (l *Link) Up() bool {
	const up = unix.IFF_UP | unix.IFF_LOWER_UP
	return l.Flags&up == up
}

const devconfMTU6 = 2 // DEVCONF_MTU6

// PortOf is the interface that a bridge's own message (AF_BRIDGE) is about: one whose
// state as a port may have changed. 0 for every other message.
func PortOf(b []byte) hwif.Ifindex {
	if len(b) < unix.SizeofIfInfomsg || b[0] != unix.AF_BRIDGE {
		return 0
	}
	return hwif.Ifindex(ne.Uint32(b[4:]))
}

// ParseLink reads a struct ifinfomsg and its attributes. ok is false for
// messages that are not about the interface itself: a bridge port's
// (AF_BRIDGE, whose DELLINK means "left the bridge"), and partial ones, such as
// wireless events, which lack IFLA_MTU. gone needs only the index.
func ParseLink(b []byte, gone bool) (l Link, ok bool) {
	if len(b) < unix.SizeofIfInfomsg || b[0] != unix.AF_UNSPEC {
		return l, false
	}
	l.Type = ne.Uint16(b[2:])
	l.Index = hwif.Ifindex(ne.Uint32(b[4:]))
	l.Flags = ne.Uint32(b[8:])
	hasMTU := false
	for typ, v := range attrs(b[unix.SizeofIfInfomsg:]) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = cstring(v)
		case unix.IFLA_LINK:
			l.Parent = hwif.Ifindex(u32(v))
		case unix.IFLA_LINK_NETNSID:
			l.Foreign = true
		case unix.IFLA_MASTER:
			l.Master = hwif.Ifindex(u32(v))
		case unix.IFLA_GROUP:
			l.Group = u32(v)
		case unix.IFLA_MTU:
			l.MTU, hasMTU = u32(v), true
		case unix.IFLA_ADDRESS:
			if len(v) == len(l.MAC) {
				copy(l.MAC[:], v)
			}
		case unix.IFLA_QDISC:
			if l.Qdisc = cstring(v); !plainQdiscs[l.Qdisc] {
				l.Shaper = l.Qdisc
			}
		case iflaXDP:
			for typ, v := range attrs(v) {
				if typ == iflaXDPAttached && len(v) > 0 {
					l.XDP = v[0] != 0
				}
			}
		case unix.IFLA_LINKINFO:
			l.info(v)
		case unix.IFLA_AF_SPEC:
			l.afSpec(v)
		}
	}
	return l, l.Index != 0 && (gone || hasMTU)
}

func (l *Link) info(b []byte) {
	var data, slave []byte
	for typ, v := range attrs(b) {
		switch typ {
		case unix.IFLA_INFO_KIND:
			l.Kind = cstring(v)
		case unix.IFLA_INFO_SLAVE_KIND:
			l.SlaveKind = cstring(v)
		case unix.IFLA_INFO_DATA:
			data = v
		case unix.IFLA_INFO_SLAVE_DATA:
			slave = v
		}
	}
	switch l.Kind {
	case "vlan":
		l.vlan(data)
	case "bridge":
		for typ, v := range attrs(data) {
			if typ == unix.IFLA_BR_VLAN_FILTERING && len(v) > 0 {
				l.VLANFilter = v[0] != 0
			}
		}
	case "bond":
		for typ, v := range attrs(data) {
			switch {
			case typ == unix.IFLA_BOND_MODE && len(v) > 0:
				l.BondMode = v[0]
			case typ == unix.IFLA_BOND_ACTIVE_SLAVE:
				l.Active = hwif.Ifindex(u32(v))
			}
		}
	}
	if l.SlaveKind != "bridge" {
		return
	}
	const forwarding = 3 // BR_STATE_FORWARDING (include/uapi/linux/if_bridge.h)
	for typ, v := range attrs(slave) {
		if typ == unix.IFLA_BRPORT_STATE && len(v) > 0 {
			l.Passive = v[0] != forwarding
		}
	}
}

func (l *Link) vlan(data []byte) {
	for typ, v := range attrs(data) {
		switch typ {
		case unix.IFLA_VLAN_ID:
			l.VLAN = hwif.VLAN(u16(v))
		case unix.IFLA_VLAN_PROTOCOL:
			l.VLANProto = be16(v)
		case unix.IFLA_VLAN_EGRESS_QOS:
			l.EgressQoS = len(v) > 0
		}
	}
}

func (l *Link) afSpec(b []byte) {
	for af, v := range attrs(b) {
		if af != unix.AF_INET6 {
			continue
		}
		for typ, conf := range attrs(v) {
			if typ == unix.IFLA_INET6_CONF {
				l.MTU6 = u32(tail(conf, 4*devconfMTU6))
			}
		}
	}
}
