package switchdev

import (
	"github.com/shunt-offload/shunt/hwif"
)

// Flavour is devlink's kind of a port, DEVLINK_PORT_FLAVOUR_*.
type Flavour uint16

const (
	FlavourPhysical Flavour = 0
	FlavourPF       Flavour = 3
	FlavourVF       Flavour = 4
	FlavourVirtual  Flavour = 5 // a function's own port, not a representor
	FlavourUnused   Flavour = 6
	FlavourSF       Flavour = 7
)

func (f Flavour) String() string {
	return name([]string{"physical", "cpu", "dsa", "pcipf", "pcivf", "virtual", "unused", "pcisf"}, uint8(min(f, 255)))
}

// kind is what the rest of the program calls it.
func (f Flavour) kind() hwif.PortKind {
	switch f {
	case FlavourPhysical:
		return hwif.PortUplink
	case FlavourPF:
		return hwif.PortPF
	case FlavourVF:
		return hwif.PortVF
	case FlavourSF:
		return hwif.PortSF
	}
	return hwif.PortOther
}

// TCOffload is the state of the feature hw-tc-offload.
type TCOffload uint8

const (
	TCOffloadUnknown  TCOffload = iota // no answer
	TCOffloadOff                       // off, can be turned on
	TCOffloadOn                        // on, can be turned off
	TCOffloadOffFixed                  // off [fixed]: the driver was built without it, or can't
	TCOffloadOnFixed                   // on [fixed]
)

func (o TCOffload) String() string {
	return name([]string{"unknown", "off", "on", "off [fixed]", "on [fixed]"}, uint8(o))
}

// On reports whether the port takes tc rules.
func (o TCOffload) On() bool { return o == TCOffloadOn || o == TCOffloadOnFixed }

// Fixed reports whether the state can't be changed.
func (o TCOffload) Fixed() bool { return o == TCOffloadOffFixed || o == TCOffloadOnFixed }

// Port is one devlink port, with the interface that stands for it here.
// Ifindex 0 means that no interface of this network namespace does; then all
// that rtnetlink and ethtool say is empty.
type Port struct {
	Device     Handle
	Index      uint32 // devlink's number of the port
	Flavour    Flavour
	Kind       hwif.PortKind // by flavour
	External   bool          // on an external controller: the host's side of a DPU
	Controller uint32        // DEVLINK_ATTR_PORT_CONTROLLER_NUMBER
	PF         uint16        // of PF, VF and SF flavours
	VF         uint16        // of the VF flavour
	SF         uint32        // of the SF flavour
	Number     uint32        // of the physical flavour: 0 in "p0"
	FuncMAC    hwif.MAC      // of the function behind a representor
	FuncState  FuncState     // of an SF's function

	Ifindex      hwif.Ifindex
	Name         string
	PhysPortName string // IFLA_PHYS_PORT_NAME: "p0", "pf0vf3", "c1pf0sf2"
	SwitchID     string // IFLA_PHYS_SWITCH_ID in hex
	MAC          hwif.MAC
	MTU          uint32
	Up           bool         // IFF_UP and carrier
	AdminUp      bool         // IFF_UP
	Master       hwif.Ifindex // bond, bridge or VRF that it belongs to
	TCOffload    TCOffload
}

// FuncState is what an SF's function does, DEVLINK_PORT_FN_ATTR_STATE and
// OPSTATE.
type FuncState uint8

const (
	FuncUnknown  FuncState = iota // not said: not an SF
	FuncInactive                  // inactive
	FuncActive                    // active, no driver attached
	FuncAttached                  // active, a driver attached
)

func (s FuncState) String() string {
	return name([]string{"unknown", "inactive", "active", "attached"}, uint8(s))
}

// Hwif is the port in the words of package hwif. Device, Joins and Refused are
// the driver's to fill.
func (p *Port) Hwif() hwif.Port {
	return hwif.Port{Ifindex: p.Ifindex, Name: p.Name, Kind: p.Kind, MAC: p.MAC, MTU: p.MTU, Up: p.Up}
}

// OffloadRefused is empty when the port's feature hw-tc-offload is on; otherwise
// it says in one sentence what is wrong and what mends it.
func (p *Port) OffloadRefused() string {
	switch p.TCOffload {
	case TCOffloadOff:
		return "hw-tc-offload is off; run: ethtool -K " + p.Name + " hw-tc-offload on"
	case TCOffloadOffFixed:
		return "hw-tc-offload is off [fixed]: this kernel or driver can't offload tc rules here"
	case TCOffloadUnknown:
		if p.Ifindex == 0 {
			return "no interface in this network namespace stands for the port"
		}
		return "the kernel does not say whether hw-tc-offload is on"
	}
	return ""
}
