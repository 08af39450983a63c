package xdp

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// takeBack puts the program on ports that vanished and have returned by the name
// that Open was given, under whatever ifindex. One that is not fit yet is tried
// again at the next look; the reason is logged once.
func (d *Device) takeBack() { d.away = slices.DeleteFunc(d.away, d.isBack) }

// isBack takes one port back, if it can.
func (d *Device) isBack(gone *port) bool {
	i, p, err := d.findPort(gone.name)
	if hwif.KindOf(err) == hwif.KindGone {
		return false
	}
	if _, taken := d.ports[i]; taken {
		return false // renamed: it was another port of ours until now
	}
	if err == nil {
		p.slot = gone.slot
		err = d.attachBack(i, p)
	}
	if err != nil {
		if text := err.Error(); text != gone.bad {
			gone.bad = text
			d.log.Warn("port returned, but cannot be taken back yet", "device", driverName, "port", gone.name, "err", err)
		}
		return false
	}
	d.ports[i] = p
	d.log.Info("port is back", "device", driverName, "port", p.name, "ifindex", i)
	return true
}

// attachBack takes one port in, or leaves it as it was.
func (d *Device) attachBack(i hwif.Ifindex, p *port) error {
	// A program is attached by ifindex, in the thread's namespace.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var here unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return openFault(p.name, err, "reading this thread's network namespace")
	}
	if uint32(here.Ino) != d.kernel.netns {
		return fault("open", p.name, hwif.KindInvalid, nil, "asked from another network namespace than the device's")
	}
	if err := d.checkPort(i, p); err != nil {
		return err
	}
	err := d.announce(i, p)
	if err == nil {
		err = d.attachTo(i, p)
	}
	if err == nil {
		return nil
	}
	if p.link != nil {
		if d.pins != nil {
			err = errors.Join(err, p.link.Unpin())
		}
		err = errors.Join(err, p.link.Close())
	}
	if undo := d.forget(uint32(i)); undo != nil {
		err = errors.Join(err, fmt.Errorf("undo: %w", undo))
	}
	return err
}
