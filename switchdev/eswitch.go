package switchdev

import (
	"context"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/switchdev/wire"
)

// EswitchMode asks for the mode alone.
func (c *Conn) EswitchMode(ctx context.Context, h Handle) (Mode, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eswitchMode(ctx, h)
}

func (c *Conn) eswitchMode(ctx context.Context, h Handle) (Mode, error) {
	const op = "DEVLINK_CMD_ESWITCH_GET"
	b, err := c.one(ctx, unix.DEVLINK_CMD_ESWITCH_GET, wire.PutHandle(nil, h))
	if err != nil {
		return ModeUnknown, failDevice(op, h, err)
	}
	e, err := wire.ParseEswitch(b)
	if err == nil && e.Handle != h {
		err = fmt.Errorf("answer about %s", e.Handle)
	}
	if err != nil {
		return ModeUnknown, failDevice(op, h, err)
	}
	if !e.HasMode {
		return ModeUnknown, nil
	}
	return modeOf(e.Mode), nil
}

// SetEswitchMode changes the mode of a device's eswitch. Representors vanish or
// appear by it, and traffic of VFs stops meanwhile: only ever on explicit
// request of an operator. When something is in the way the *Error has the
// kernel's own words and, where we know them, what mends it.
func (c *Conn) SetEswitchMode(ctx context.Context, h Handle, m Mode) error {
	const op = "DEVLINK_CMD_ESWITCH_SET"
	var v uint16
	switch m {
	case ModeLegacy:
		v = unix.DEVLINK_ESWITCH_MODE_LEGACY
	case ModeSwitchdev:
		v = unix.DEVLINK_ESWITCH_MODE_SWITCHDEV
	default:
		return &Error{Op: op, Device: h, err: fmt.Errorf("mode %q can't be set: want legacy or switchdev", m)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	body := wire.PutU16(wire.PutHandle(nil, h), unix.DEVLINK_ATTR_ESWITCH_MODE, v)
	if _, err := c.ask(ctx, unix.DEVLINK_CMD_ESWITCH_SET, body, netlink.Acknowledge); err != nil {
		return failDevice(op, h, err)
	}
	got, err := c.eswitchMode(ctx, h)
	if err == nil && got != m {
		err = &Error{Op: op, Device: h, err: fmt.Errorf("%w: the mode is %s", ErrNotApplied, got)}
	}
	return err
}

// Param reads a device parameter, such as "fdb_large_groups" or
// "flow_steering_mode". A device without it gives unix.EOPNOTSUPP or EINVAL.
func (c *Conn) Param(ctx context.Context, h Handle, name string) (Param, error) {
	const op = "DEVLINK_CMD_PARAM_GET"
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.one(ctx, unix.DEVLINK_CMD_PARAM_GET, wire.PutString(wire.PutHandle(nil, h), unix.DEVLINK_ATTR_PARAM_NAME, name))
	if err != nil {
		return Param{}, failDevice(op+" "+name, h, err)
	}
	at, p, err := wire.ParseParam(b)
	if err == nil && (at != h || p.Name != name) {
		err = fmt.Errorf("answer about %s of %s", p.Name, at)
	}
	if err != nil {
		return Param{}, failDevice(op+" "+name, h, err)
	}
	return p, nil
}
