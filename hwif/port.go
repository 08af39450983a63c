package hwif

import "slices"

// Ifindex is the kernel's interface number; 0 is no interface.
type Ifindex uint32

// DeviceID numbers the devices of one daemon, from 0. It is not stable across
// restarts.
type DeviceID uint8

// PortKind is what a port is to its eswitch, by devlink's flavours.
type PortKind uint8

const (
	PortOther  PortKind = iota // an ordinary interface (xdp, sim)
	PortUplink                 // DEVLINK_PORT_FLAVOUR_PHYSICAL
	PortPF                     // DEVLINK_PORT_FLAVOUR_PCI_PF
	PortVF                     // DEVLINK_PORT_FLAVOUR_PCI_VF
	PortSF                     // DEVLINK_PORT_FLAVOUR_PCI_SF
)

func (k PortKind) String() string {
	switch k {
	case PortUplink:
		return "uplink"
	case PortPF:
		return "pf"
	case PortVF:
		return "vf"
	case PortSF:
		return "sf"
	}
	return "other"
}

// Port is one place where a device takes frames in or sends them out.
type Port struct {
	Ifindex Ifindex
	Name    string   // IFLA_IFNAME
	Kind    PortKind // by devlink
	MAC     MAC      // IFLA_ADDRESS
	MTU     uint32   // IFLA_MTU, bytes of L3
	Up      bool     // IFF_UP and carrier
	Device  DeviceID // the device that can match frames entering here
	// Joins are the ports to which the device can send a frame that entered here,
	// as a probe found. Nil means every port of the device, this one with another
	// VLAN included; empty means none.
	Joins []Ifindex
	// Refused is empty when the port can carry rules; otherwise it says in one
	// sentence why not, and what mends it.
	Refused string
}

// Reaches reports whether a frame that entered here can be sent to another port
// of the same device.
func (p *Port) Reaches(out Ifindex) bool { return p.Joins == nil || slices.Contains(p.Joins, out) }

// Same reports whether two looks at a port found no difference; the device's
// number in this daemon is none.
func (p *Port) Same(q *Port) bool {
	return p.Ifindex == q.Ifindex && p.Name == q.Name && p.Kind == q.Kind && p.MAC == q.MAC && p.MTU == q.MTU &&
		p.Up == q.Up && p.Refused == q.Refused && (p.Joins == nil) == (q.Joins == nil) && slices.Equal(p.Joins, q.Joins)
}
