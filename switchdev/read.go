package switchdev

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// looks is how often Read tries to see the same twice.
const looks = 5

// Read opens a Conn for one look.
func Read(ctx context.Context) (*Inventory, error) {
	c, err := Open()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Read(ctx)
}

// Read takes one consistent look at devices, ports and interfaces. What a single
// device refuses to say is in Inventory.Problems; the error is for what leaves
// nothing to go by: no socket, a listing that is refused, ErrUnsettled.
func (c *Conn) Read(ctx context.Context) (*Inventory, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.look(ctx)
	if err != nil {
		return nil, err
	}
	return s.build(), nil
}

func (c *Conn) lookLocked(ctx context.Context) (*sight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.look(ctx)
}

// look reads everything. The ports are listed before and after, and must be the
// same: a look during a change of mode is no look.
func (c *Conn) look(ctx context.Context) (*sight, error) {
	for last := looks - 1; last >= 0; last-- {
		s := newSight()
		settled, err := c.readDevices(ctx, s)
		if err != nil {
			return nil, err
		}
		if s.links, err = c.readLinks(ctx, s); err != nil {
			return nil, err
		}
		if settled {
			settled, err = c.same(ctx, s)
		}
		if err != nil {
			return nil, err
		}
		// In the last round a port whose interface is not listed is left without one.
		if settled && (last == 0 || s.complete()) {
			return s, c.readOffload(ctx, s)
		}
	}
	return nil, ErrUnsettled
}

// readDevices fills in what devlink says. false means that something vanished
// on the way.
func (c *Conn) readDevices(ctx context.Context, s *sight) (settled bool, err error) {
	if c.devlink == 0 {
		return true, nil
	}
	handles, err := c.handles(ctx)
	if err != nil {
		return false, err
	}
	if s.ports, err = c.readPorts(ctx, s); err != nil {
		return false, err
	}
	for _, h := range handles {
		d, err := c.readDevice(ctx, h, s)
		if errors.Is(err, unix.ENODEV) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s.devs[h] = d
	}
	for k := range s.ports {
		if _, ok := s.devs[k.dev]; !ok {
			return false, nil
		}
	}
	return true, c.readHealth(ctx, s)
}

func (c *Conn) handles(ctx context.Context) ([]Handle, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	list, err := c.devices()
	if err != nil {
		return nil, fail("DEVLINK_CMD_GET", err)
	}
	out := make([]Handle, 0, len(list))
	for _, d := range list {
		if h := (Handle{Bus: d.Bus, Name: d.Device}); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out, nil
}

// readPorts lists the ports of all devices. One that can't be read is a problem.
func (c *Conn) readPorts(ctx context.Context, s *sight) (map[portKey]wire.Port, error) {
	msgs, err := c.ask(ctx, unix.DEVLINK_CMD_PORT_GET, nil, netlink.Dump)
	if err != nil {
		return nil, fail("DEVLINK_CMD_PORT_GET", err)
	}
	out := make(map[portKey]wire.Port, len(msgs))
	for _, m := range msgs {
		p, err := wire.ParsePort(m)
		if err != nil {
			s.problem("list ports: %w", err)
			continue
		}
		k := portKey{p.Handle, p.Index}
		if _, twice := out[k]; twice {
			s.problem("%s: port %d is listed twice", p.Handle, p.Index)
		}
		out[k] = p
	}
	return out, nil
}

// readDevice asks one device for its modes and its description. ENODEV means
// that it is gone; other refusals are problems.
func (c *Conn) readDevice(ctx context.Context, h Handle, s *sight) (dev, error) {
	d := dev{}
	old, known := s.before[h]
	for _, q := range []struct {
		name  string
		cmd   uint8
		parse func([]byte) error
	}{
		{"DEVLINK_CMD_GET", unix.DEVLINK_CMD_GET, func(b []byte) (err error) { d.state, err = wire.ParseDev(b); return err }},
		{"DEVLINK_CMD_ESWITCH_GET", unix.DEVLINK_CMD_ESWITCH_GET, func(b []byte) (err error) { d.eswitch, err = wire.ParseEswitch(b); return err }},
		{"DEVLINK_CMD_INFO_GET", unix.DEVLINK_CMD_INFO_GET, func(b []byte) (err error) { d.info, err = wire.ParseInfo(b); return err }},
	} {
		// A description costs a card several questions to its firmware; it does not
		// change unless the driver starts anew.
		if q.cmd == unix.DEVLINK_CMD_INFO_GET && known && old.info.Handle == h && old.state == d.state {
			d.info = old.info
			continue
		}
		b, err := c.one(ctx, q.cmd, wire.PutHandle(nil, h))
		if err == nil {
			err = q.parse(b)
		}
		switch {
		case ctx.Err() != nil:
			return d, ctx.Err()
		case err == nil:
		case errors.Is(err, unix.ENODEV):
			return d, err
		case errors.Is(err, unix.EOPNOTSUPP):
			d.noEswitch = d.noEswitch || q.cmd == unix.DEVLINK_CMD_ESWITCH_GET
		default:
			s.problems = append(s.problems, failDevice(q.name, h, err))
		}
	}
	return d, nil
}

// readHealth lists the reporters. Drivers without any, and kernels that refuse,
// cost nothing but the reporters.
func (c *Conn) readHealth(ctx context.Context, s *sight) error {
	msgs, err := c.ask(ctx, unix.DEVLINK_CMD_HEALTH_REPORTER_GET, nil, netlink.Dump)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		s.problems = append(s.problems, fail("DEVLINK_CMD_HEALTH_REPORTER_GET", err))
	}
	for _, m := range msgs {
		h, r, err := wire.ParseReporter(m)
		if err != nil {
			s.problem("list health reporters: %w", err)
			continue
		}
		s.report(h, r)
	}
	return nil
}

// readLinks lists the interfaces. A listing during which the table changed has
// holes, and is done again.
func (c *Conn) readLinks(ctx context.Context, s *sight) (map[hwif.Ifindex]Link, error) {
	for range looks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		msgs, err := c.route.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request | netlink.Dump},
			Data:   wire.AppendGetLink(nil, 0),
		})
		if err != nil {
			return nil, fail("RTM_GETLINK", err)
		}
		out, torn := make(map[hwif.Ifindex]Link, len(msgs)), false
		for _, m := range msgs {
			torn = torn || m.Header.Flags&netlink.DumpInterrupted != 0
			l, ok, err := wire.ParseLink(m.Data, false)
			if err != nil {
				s.problem("list interfaces: %w", err)
			}
			if ok {
				out[l.Index] = l
			}
		}
		if !torn {
			return out, nil
		}
	}
	return nil, fmt.Errorf("list interfaces: %w", ErrUnsettled)
}

// same lists the devices and their ports once more.
func (c *Conn) same(ctx context.Context, s *sight) (bool, error) {
	if c.devlink == 0 {
		return true, nil
	}
	handles, err := c.handles(ctx)
	if err != nil {
		return false, err
	}
	again := newSight() // its problems were noted the first time
	ports, err := c.readPorts(ctx, again)
	if err != nil {
		return false, err
	}
	if len(handles) != len(s.devs) || len(ports) != len(s.ports) {
		return false, nil
	}
	for _, h := range handles {
		if _, ok := s.devs[h]; !ok {
			return false, nil
		}
	}
	for k, p := range ports {
		if s.ports[k] != p {
			return false, nil
		}
	}
	return true, nil
}
