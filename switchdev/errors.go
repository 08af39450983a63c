package switchdev

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Error is a question or a wish that the kernel refused.
type Error struct {
	Op     string // the command: "DEVLINK_CMD_ESWITCH_SET"
	Device Handle // zero when it was about an interface
	Port   string // name of the interface, or "ifindex 7"; empty when it was about a device
	Errno  unix.Errno
	Text   string // the kernel's own words (extended acknowledgement), often empty
	Hint   string // what is in the way and what mends it, when the words are known
	err    error  // the cause when it has no errno
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Device != (Handle{}) {
		fmt.Fprintf(&b, "%s: ", e.Device)
	}
	if e.Port != "" {
		fmt.Fprintf(&b, "%s: ", e.Port)
	}
	b.WriteString(e.Op)
	switch {
	case e.Errno != 0:
		fmt.Fprintf(&b, ": %v", e.Errno)
	case e.err != nil:
		fmt.Fprintf(&b, ": %v", e.err)
	}
	if e.Text != "" {
		fmt.Fprintf(&b, ": %q", e.Text)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap makes errors.Is(err, unix.EBUSY) work.
func (e *Error) Unwrap() error {
	if e.Errno != 0 {
		return e.Errno
	}
	return e.err
}

var (
	// ErrNoDevlink says that this kernel has no devlink family.
	ErrNoDevlink = errors.New("this kernel has no devlink")
	// ErrNotApplied says that the kernel took a request and did not do it.
	ErrNotApplied = errors.New("the kernel accepted the request without effect")
	// ErrUnsettled says that devices or links kept changing while they were listed.
	ErrUnsettled = errors.New("devices changed each time that they were listed")
)
