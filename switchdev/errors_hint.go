package switchdev

import (
	"errors"
	"strings"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// fail makes an *Error of what a netlink library returned.
func fail(op string, err error) error {
	if errors.Is(err, ErrNoDevlink) {
		return err
	}
	e := &Error{Op: op, err: err}
	var no syscall.Errno
	if errors.As(err, &no) {
		e.Errno = no
	}
	var ne *netlink.OpError
	if errors.As(err, &ne) {
		e.Text = ne.Message
	}
	e.Hint = hint(e.Errno, e.Text)
	return e
}

// failDevice is fail for a question about a device.
func failDevice(op string, h Handle, err error) error {
	err = fail(op, err)
	var e *Error
	if errors.As(err, &e) {
		e.Device = h
	}
	return err
}

// failPort is fail for a question about an interface.
func failPort(op string, i hwif.Ifindex, name string, err error) error {
	err = fail(op, err)
	var e *Error
	if errors.As(err, &e) {
		e.Port = name
		if name == "" {
			e.Port = "ifindex " + itoa(uint32(i))
		}
	}
	return err
}

// hints are the kernel's words for what is in the way, and what mends it.
var hints = []struct{ text, hint string }{
	{"E-Switch is busy", "tc rules on the card's ports, or another change of mode, are in the way: remove the rules first"},
	{"when flows are configured", "tc rules on the card's ports are in the way: remove them first"},
	{"only if there is no VFs created", "VFs are in the way: write 0 to the uplink's device/sriov_numvfs, change the mode, then create them"},
	{"Lag mode", "the ports are in one bond: take them out first"},
	{"eswitch offloads enabled", "the eswitch is in switchdev mode: set this in legacy mode"},
}

func hint(no unix.Errno, text string) string {
	for _, h := range hints {
		if strings.Contains(text, h.text) {
			return h.hint
		}
	}
	switch no {
	case unix.EPERM:
		return "needs CAP_NET_ADMIN in the network namespace's own user namespace"
	case unix.EBUSY:
		return "rules, VFs in use, a reset or another change are in the way"
	case unix.EOPNOTSUPP:
		return "this device or its driver can't"
	}
	return ""
}
