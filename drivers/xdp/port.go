package xdp

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// port is one interface with the program on it.
type port struct {
	name string // that Open was given
	slot uint32 // in outs, egresses and seen
	veth bool
	mac  hwif.MAC
	link link.Link   // nil before attach and after the port vanished
	last bpfPortSeen // sums at the last look
	bad  string      // what the last look with traffic found
	attr *netlink.LinkAttrs
}

// uppers are link kinds whose frames come in by an interface below: the program
// belongs there.
var uppers = []string{"vlan", "macvlan", "macvtap", "ipvlan", "bridge", "bond", "team", "vrf"}

// findPorts looks up the named interfaces.
func (d *Device) findPorts(names []string) error {
	nl, err := netlink.NewHandleWithOptions(netlink.HandleOptions{DisableVFInfoCollection: true, RetryInterrupted: true}, unix.NETLINK_ROUTE)
	if err != nil {
		return openFault("", err, "opening a netlink socket")
	}
	d.nl, d.names = nl, names
	for _, name := range names {
		i, p, err := d.findPort(name)
		if err != nil {
			return err
		}
		d.ports[i] = p
	}
	return nil
}

// findPort looks up one interface that can be a port.
func (d *Device) findPort(name string) (hwif.Ifindex, *port, error) {
	l, err := d.nl.LinkByName(name)
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		return 0, nil, fault("open", name, hwif.KindGone, err, "no such interface in this network namespace; see `ip link`")
	}
	if err != nil {
		return 0, nil, openFault(name, err, "asking for the interface")
	}
	a := l.Attrs()
	switch {
	case a.EncapType != "ether" || len(a.HardwareAddr) != 6:
		return 0, nil, fault("open", name, hwif.KindUnsupported, nil, fmt.Sprintf("not an Ethernet interface (link/%s)", a.EncapType))
	case slices.Contains(uppers, l.Type()):
		return 0, nil, fault("open", name, hwif.KindUnsupported, nil, fmt.Sprintf("a %s has no frames of its own; name the interfaces below it", l.Type()))
	case a.Flags&net.FlagUp == 0:
		return 0, nil, fault("open", name, hwif.KindBusy, nil, fmt.Sprintf("the interface is down: ip link set dev %s up", name))
	}
	return hwif.Ifindex(a.Index), &port{name: name, veth: l.Type() == "veth", mac: hwif.MAC(a.HardwareAddr), attr: a}, nil
}

// checkPorts refuses what the chosen mode can't do safely.
func (d *Device) checkPorts() error {
	for _, i := range slices.Sorted(maps.Keys(d.ports)) {
		if err := d.checkPort(i, d.ports[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *Device) checkPort(i hwif.Ifindex, p *port) error {
	if x := p.attr.Xdp; x != nil && x.Attached && !d.pins.owns(i, x.ProgId) {
		if programName(x.ProgId) == bpfProgShuntPipeline {
			return fault("open", p.name, hwif.KindBusy, nil, "another shuntd has its program on the port; end that one first")
		}
		return fault("open", p.name, hwif.KindBusy, nil, fmt.Sprintf(
			"already carries XDP program %d (%s); end what attached it, or run: ip link set dev %s xdp off", x.ProgId, programName(x.ProgId), p.name))
	}
	if d.mode != ModeNative {
		return nil
	}
	if p.veth && d.kernel.vethSkbOff == 0 {
		return fault("open", p.name, hwif.KindUnsupported, nil,
			"in native mode this kernel hides VLAN tags of a veth from XDP (6.3 shows them); use mode generic")
	}
	if !p.veth {
		return taglessRx(p.name)
	}
	return nil
}

// programName is what the kernel has as a program's name, at most 15 bytes.
func programName(id uint32) string {
	prog, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return "its name cannot be read"
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return "its name cannot be read"
	}
	return info.Name
}

// taglessRx refuses a card that takes VLAN tags out of the frame, where XDP can't
// see them.
func taglessRx(name string) error {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return openFault(name, err, "opening an ethtool socket")
	}
	defer e.Close()
	features, err := e.Features(name)
	if err != nil {
		return openFault(name, err, "reading the features of the interface")
	}
	if features["rx-vlan-hw-parse"] {
		return fault("open", name, hwif.KindUnsupported, nil, fmt.Sprintf(
			"the card takes VLAN tags out of frames: ethtool -K %s rxvlan off, or use mode generic", name))
	}
	return nil
}

// peerName names the interface at the other end of a veth, for a command.
func (d *Device) peerName(p *port) string {
	if !p.veth {
		return "<sender to " + p.name + ">"
	}
	if p.attr.ParentIndex > 0 && p.attr.NetNsID < 0 {
		if l, err := d.nl.LinkByIndex(p.attr.ParentIndex); err == nil {
			return l.Attrs().Name
		}
	}
	return "<peer of " + p.name + ">"
}
