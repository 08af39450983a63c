package switchdev

import (
	"context"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// Param is a devlink parameter and its values.
type Param = wire.Param

// Conn asks the kernel. It may be used by several goroutines; each question
// waits for the one before. A context is looked at between requests: a request
// under way can't be broken off, and a change of eswitch mode takes a card
// seconds.
type Conn struct{}

// Open opens the sockets in the calling thread's network namespace. A kernel
// without devlink or without ethtool netlink is no error.
func Open() (*Conn, error) { return nil, ErrNoDevlink }

// Close closes the sockets.
func (c *Conn) Close() error { return nil }

// Read takes one consistent look at devices, ports and interfaces. What a single
// device refuses to say is in Inventory.Problems; the error is for what leaves
// nothing to go by: no socket, a listing that is refused, ErrUnsettled.
func (c *Conn) Read(ctx context.Context) (*Inventory, error) { return nil, ErrUnsettled }

// Read opens a Conn for one look.
func Read(ctx context.Context) (*Inventory, error) { return nil, ErrUnsettled }

// SetEswitchMode changes the mode of a device's eswitch. Representors vanish or
// appear by it, and traffic of VFs stops meanwhile: only ever on explicit
// request of an operator. When something is in the way the *Error has the
// kernel's own words and, where we know them, what mends it.
func (c *Conn) SetEswitchMode(ctx context.Context, h Handle, m Mode) error { return nil }

// EswitchMode asks for the mode alone.
func (c *Conn) EswitchMode(ctx context.Context, h Handle) (Mode, error) { return ModeUnknown, nil }

// SetTCOffload turns the feature hw-tc-offload of an interface on or off, and
// reads it back: the kernel accepts the request even when nothing comes of it,
// which is then an *Error around ErrNotApplied.
func (c *Conn) SetTCOffload(ctx context.Context, i hwif.Ifindex, on bool) error { return nil }

// TCOffload asks for the state of hw-tc-offload alone.
func (c *Conn) TCOffload(ctx context.Context, i hwif.Ifindex) (TCOffload, error) {
	return TCOffloadUnknown, nil
}

// Param reads a device parameter, such as "fdb_large_groups" or
// "flow_steering_mode". A device without it gives unix.EOPNOTSUPP or EINVAL.
func (c *Conn) Param(ctx context.Context, h Handle, name string) (Param, error) {
	return Param{}, nil
}
