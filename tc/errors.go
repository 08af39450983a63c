package tc

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Error is the kernel's no to one request.
type Error struct {
	Verb   Verb
	Place  Place
	Handle uint32
	Errno  unix.Errno
	Text   string // extack, the kernel's or the driver's own words; often empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s filter %s handle %#x: %s", e.Verb, e.Place, e.Handle, e.Errno.Error())
	if e.Text != "" {
		s += " (kernel: " + e.Text + ")"
	}
	return s
}

// Is makes errors.Is(err, unix.EEXIST) work.
func (e *Error) Is(target error) bool { return target == e.Errno }

// Faults of the socket itself.
var (
	// ErrLost means that the kernel's answer did not come: whether the request was
	// carried out has to be read back.
	ErrLost = errors.New("the kernel's answer was lost; read back what is there")
	// ErrInterrupted means that something changed while the kernel was telling: the
	// list may lack filters or have them twice. Ask again.
	ErrInterrupted = errors.New("the list changed while it was read")
)
