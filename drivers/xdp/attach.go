package xdp

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Bits of port.flags, as bpf/table.h has them.
const (
	portVeth uint32 = 1 << iota
	portGeneric
)

// attach makes the ports known to the program, then puts it on them. The watches
// come first: no frame is forwarded unwatched.
func (d *Device) attach() error {
	hooks := []string{bpfProgWatchXmit, bpfProgWatchRedirect}
	if d.mode == ModeGeneric {
		hooks = append(hooks, bpfProgLeaveWord)
	}
	for _, name := range hooks {
		l, err := link.AttachTracing(link.TracingOptions{Program: d.coll.Programs[name]})
		if err != nil {
			return openFault("", err, "attaching "+name)
		}
		d.watch = append(d.watch, l)
		if d.pins != nil {
			if err := d.pins.hold(l, name); err != nil {
				return openFault("", err, "pinning "+name)
			}
		}
	}
	order := slices.Sorted(maps.Keys(d.ports))
	for _, i := range order {
		p := d.ports[i]
		if d.pins == nil {
			break
		}
		var err error
		if p.link, err = d.pins.takeOver(portPin(i), i, p, d.mode); err != nil {
			return openFault(p.name, err, "taking over the pinned program")
		}
	}
	for _, i := range order {
		if err := d.announce(i, d.ports[i]); err != nil {
			return err
		}
	}
	for _, i := range order {
		if err := d.attachTo(i, d.ports[i]); err != nil {
			return err
		}
	}
	return nil
}

// announce fills the maps that know about ports.
func (d *Device) announce(i hwif.Ifindex, p *port) error {
	flags := uint32(0)
	if d.mode == ModeGeneric {
		flags |= portGeneric
	} else if p.veth {
		flags |= portVeth
	}
	if err := d.coll.Maps[bpfMapOuts].Put(p.slot, uint32(i)); err != nil {
		return openFault(p.name, err, "entering the port into the devmap")
	}
	e := bpfEgress{Ifindex: uint32(i)}
	if err := d.coll.Maps[bpfMapEgresses].Put(p.slot, e); err != nil {
		return openFault(p.name, err, "entering the port")
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return openFault(p.name, err, "counting CPUs")
	}
	if err := d.coll.Maps[bpfMapSeen].Put(p.slot, make([]bpfPortSeen, cpus)); err != nil {
		return openFault(p.name, err, "clearing the port's counters")
	}
	if err := d.coll.Maps[bpfMapPorts].Put(uint32(i), bpfPort{Slot: p.slot, Flags: flags}); err != nil {
		return openFault(p.name, err, "entering the port")
	}
	return nil
}

// portPin names the pinned link of a port.
func portPin(i hwif.Ifindex) string { return fmt.Sprintf("port_%d", i) }

func (d *Device) attachTo(i hwif.Ifindex, p *port) error {
	prog := d.coll.Programs[bpfProgShuntPipeline]
	if p.link != nil { // pinned by the daemon before us: no frame goes without a program
		if err := p.link.Update(prog); err != nil {
			return openFault(p.name, err, "replacing the pinned program")
		}
		return nil
	}
	flags := link.XDPDriverMode
	if d.mode == ModeGeneric {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: int(i), Flags: flags})
	if err != nil {
		return attachFault(p, d.mode, err)
	}
	p.link = l
	if d.pins != nil {
		if err := d.pins.hold(l, portPin(i)); err != nil {
			return openFault(p.name, err, "pinning the program")
		}
	}
	return nil
}

// attachFault says what the errno of an attach means.
func attachFault(p *port, mode Mode, err error) error {
	switch {
	case errors.Is(err, unix.ERANGE), mode == ModeNative && errors.Is(err, unix.EINVAL) && p.attr.MTU > 1500:
		return fault("open", p.name, hwif.KindUnsupported, err, fmt.Sprintf(
			"its MTU %d, or that of its peer, is too large for native XDP (about 3.5 kB): lower it, or use mode generic", p.attr.MTU))
	case errors.Is(err, unix.EOPNOTSUPP):
		return fault("open", p.name, hwif.KindUnsupported, err, "its driver has no native XDP: use mode generic")
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fault("open", p.name, hwif.KindBusy, err, "another XDP program is attached: ip link set dev "+p.name+" xdp off")
	}
	return openFault(p.name, err, fmt.Sprintf("attaching the program in mode %s", mode))
}
