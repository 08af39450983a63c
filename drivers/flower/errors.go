package flower

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// failed is the kernel's no in hwif's words.
func (d *Device) failed(op, port string, c hwif.Cookie, err error) error {
	e := &hwif.Error{Op: op, Device: d.caps.Driver, Port: port, Cookie: c, Err: err}
	var te *tc.Error
	var qe *tc.QdiscError
	var he *hwif.Error
	switch {
	case errors.As(err, &he):
		e.Kind, e.Field, e.Text, e.Err = he.Kind, he.Field, he.Text, he.Err
	case errors.As(err, &te):
		e.Text, e.Err = te.Text, te.Errno
		e.Kind = d.kind(te)
	case errors.As(err, &qe):
		e.Text, e.Err, e.Kind = qe.Text, qe.Errno, general(qe.Errno, qe.Text)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Text = hwif.KindBusy, "not begun"
	case errors.Is(err, tc.ErrLost), errors.Is(err, tc.ErrInterrupted):
		e.Kind = hwif.KindBusy
	default:
		var errno unix.Errno
		if errors.As(err, &errno) {
			e.Kind = general(errno, "")
		}
	}
	return e
}

// kind asks the profile first.
func (d *Device) kind(e *tc.Error) hwif.Kind {
	if e.Verb != tc.New {
		if e.Errno == unix.ENOENT || e.Errno == unix.EINVAL {
			return hwif.KindNotExist // no such filter, prio or qdisc
		}
		return general(e.Errno, e.Text)
	}
	if d.profile.Kind != nil {
		if k, ok := d.profile.Kind(e.Errno, e.Text); ok {
			return k
		}
	}
	return general(e.Errno, e.Text)
}

// general is what an errno means whatever the card: drivers of cards differ in
// texts more than in numbers.
func general(errno unix.Errno, text string) hwif.Kind {
	switch errno {
	case unix.EEXIST:
		return hwif.KindExist
	case unix.ENODEV, unix.ENXIO, unix.ENOENT:
		return hwif.KindGone
	case unix.ENOSPC, unix.E2BIG:
		return hwif.KindFull
	case unix.EBUSY, unix.EAGAIN, unix.ENOMEM, unix.ENOBUFS, unix.EINTR:
		return hwif.KindBusy
	case unix.EPERM, unix.EACCES:
		return hwif.KindPermission
	case unix.EOPNOTSUPP:
		return hwif.KindUnsupported
	case unix.EINVAL:
		// With a text it is a driver's no. Without, it may be anything: asked again,
		// slowly.
		if text != "" {
			return hwif.KindUnsupported
		}
	}
	return hwif.KindOther
}
