package xdp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Ports gives the ports as they are now. It takes out the rules of a port that
// has vanished, and unblocks one that can send again.
func (d *Device) Ports(ctx context.Context) ([]hwif.Port, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.takeBack()
	var out []hwif.Port
	for _, i := range slices.Sorted(maps.Keys(d.ports)) {
		p := d.ports[i]
		if err := ctx.Err(); err != nil {
			return nil, fault("list", p.name, hwif.KindBusy, err, "")
		}
		l, err := d.nl.LinkByIndex(int(i))
		var absent netlink.LinkNotFoundError
		if errors.As(err, &absent) || errors.Is(err, unix.ENODEV) {
			if err := d.vanished(i, p); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fault("list", p.name, kindOf(err), err, "asking for the interface")
		}
		a := l.Attrs()
		same, err := d.same(p, a)
		if err != nil {
			return nil, fault("list", p.name, kindOf(err), err, "reading the devmap")
		}
		if !same {
			if err := d.vanished(i, p); err != nil {
				return nil, err
			}
			continue
		}
		p.attr = a
		if len(a.HardwareAddr) == 6 {
			p.mac = hwif.MAC(a.HardwareAddr)
		}
		up := a.Flags&net.FlagUp != 0 && a.RawFlags&unix.IFF_LOWER_UP != 0
		refused, err := d.refused(p, up)
		if err != nil {
			return nil, err
		}
		out = append(out, hwif.Port{Ifindex: i, Name: a.Name, MAC: p.mac, MTU: uint32(a.MTU), Up: up, Refused: refused})
	}
	return out, nil
}

// same reports whether what has a port's number now is the port: by its name, and
// because the kernel takes what it removes out of the devmap, also when another one
// got the number at once.
func (d *Device) same(p *port, a *netlink.LinkAttrs) (bool, error) {
	if a.Name != p.name && !slices.Contains(a.AltNames, p.name) {
		return false, nil
	}
	var out uint32
	err := d.coll.Maps[bpfMapOuts].Lookup(p.slot, &out)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return true, err
}

// vanished removes the rules that enter or leave by a port that is no more. The
// kernel took it out of the devmap already, so that its frames went to the kernel.
func (d *Device) vanished(i hwif.Ifindex, p *port) error {
	delete(d.ports, i)
	d.away = append(d.away, p)
	d.log.Warn("port vanished, its rules are removed; it is taken back when it returns", "device", driverName, "port", p.name, "ifindex", i)
	errs := []error{d.forget(uint32(i))}
	if p.link != nil {
		if d.pins != nil {
			errs = append(errs, p.link.Unpin())
		}
		errs = append(errs, p.link.Close())
		p.link = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fault("list", p.name, kindOf(err), err, "forgetting a port that vanished")
	}
	return nil
}

// forget takes a port's rules out of the table and the port out of the maps.
func (d *Device) forget(ifindex uint32) error {
	for _, c := range d.table.about(ifindex) {
		if err := d.table.remove(c, nil); err != nil {
			return err
		}
	}
	if err := d.table.settle(); err != nil {
		return err
	}
	if err := d.coll.Maps[bpfMapPorts].Delete(ifindex); err != nil && kindOf(err) != hwif.KindNotExist {
		return fmt.Errorf("delete port: %w", err)
	}
	return nil
}

// refused says why a port can't carry rules now, and what mends it.
func (d *Device) refused(p *port, up bool) (string, error) {
	if x := p.attr.Xdp; x == nil || !x.Attached || x.ProgId != d.progID() {
		return fmt.Sprintf("the XDP program of %s was taken off; restart to attach it again", p.name), nil
	}
	var e bpfEgress
	if err := d.coll.Maps[bpfMapEgresses].Lookup(p.slot, &e); err != nil {
		return "", fault("list", p.name, kindOf(err), err, "reading egress state")
	}
	if e.Blocked != 0 && up {
		if d.mode == ModeGeneric {
			// Only a port that was down is blocked here.
			if err := d.setBlocked(p, 0); err != nil {
				return "", fault("list", p.name, kindOf(err), err, "")
			}
		} else if text, err := d.probe(p); err != nil || text != "" {
			if err != nil {
				return "", fault("list", p.name, kindOf(err), err, "sending a probe frame")
			}
			return text, nil
		}
	}
	return d.look(p)
}

func (d *Device) progID() uint32 {
	info, err := d.coll.Programs[bpfProgShuntPipeline].Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return uint32(id)
}
