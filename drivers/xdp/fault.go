package xdp

import (
	"errors"
	"io/fs"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

const driverName = "xdp"

// fault is the driver's error: what was attempted at which port, and what mends it.
func fault(op, port string, kind hwif.Kind, err error, text string) *hwif.Error {
	return &hwif.Error{Op: op, Device: driverName, Port: port, Kind: kind, Err: err, Text: text}
}

// kindOf classifies an error of bpf(2) or netlink.
func kindOf(err error) hwif.Kind {
	switch {
	case errors.Is(err, ebpf.ErrKeyExist):
		return hwif.KindExist
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return hwif.KindNotExist
	case errors.Is(err, unix.E2BIG), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.ENOMEM):
		return hwif.KindFull
	case errors.Is(err, fs.ErrPermission):
		return hwif.KindPermission
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return hwif.KindBusy
	case errors.Is(err, unix.ENODEV):
		return hwif.KindGone
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ERANGE):
		return hwif.KindUnsupported
	}
	return hwif.KindOther
}

// openFault is fault for a failed system call during Open. Rights come first:
// they have their own cure.
func openFault(port string, err error, text string) *hwif.Error {
	kind := kindOf(err)
	if kind == hwif.KindPermission {
		text = "run with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or as root; " + text
	}
	return fault("open", port, kind, err, text)
}
