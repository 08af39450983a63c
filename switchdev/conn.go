package switchdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/mdlayher/devlink"
	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/switchdev/wire"
)

// Param is a devlink parameter and its values.
type Param = wire.Param

// Conn asks the kernel. It may be used by several goroutines; each question
// waits for the one before. A context is looked at between requests: a request
// under way can't be broken off, and a change of eswitch mode takes a card
// seconds.
type Conn struct {
	mu      sync.Mutex // held for a whole question, such as Read
	route   *netlink.Conn
	genl    *genetlink.Conn
	devlink uint16 // number of the generic netlink family, 0 for none
	ethtool uint16
	// devices lists the names of devlink devices. It is a devlink.Client's, which
	// knows exactly that; nil without devlink.
	devices func() ([]*devlink.Device, error)
	old     ioctls // for kernels without ethtool netlink
	bit     int    // number of hw-tc-offload among the features, once known
	close   []func() error
}

// Open opens the sockets in the calling thread's network namespace. A kernel
// without devlink or without ethtool netlink is no error.
func Open() (c *Conn, err error) {
	c = &Conn{bit: wire.NoBit}
	defer func() {
		if err != nil {
			c.Close()
			c = nil
		}
	}()
	if c.route, err = netlink.Dial(unix.NETLINK_ROUTE, strict); err != nil {
		return c, fmt.Errorf("open rtnetlink socket: %w", err)
	}
	c.close = append(c.close, c.route.Close)
	if c.genl, err = genetlink.Dial(strict); err != nil {
		return c, fmt.Errorf("open generic netlink socket: %w", err)
	}
	c.close = append(c.close, c.genl.Close)
	if err = c.families(); err != nil {
		return c, err
	}
	if c.devlink != 0 {
		client, err := devlink.New()
		if err != nil {
			return c, fmt.Errorf("open devlink: %w", err)
		}
		c.close = append(c.close, client.Close)
		c.devices = client.Devices
	}
	if c.old, err = newIoctls(); err != nil {
		return c, fmt.Errorf("open ethtool: %w", err)
	}
	c.close = append(c.close, c.old.Close)
	return c, nil
}

// strict asks for the kernel's own words in errors.
var strict = &netlink.Config{Strict: true}

// families looks up what this kernel has.
func (c *Conn) families() error {
	for name, id := range map[string]*uint16{unix.DEVLINK_GENL_NAME: &c.devlink, unix.ETHTOOL_GENL_NAME: &c.ethtool} {
		f, err := c.genl.GetFamily(name)
		switch {
		case err == nil:
			*id = f.ID
		case !errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("look up generic netlink family %s: %w", name, err)
		}
	}
	return nil
}

// HasDevlink reports whether this kernel has devlink at all.
func (c *Conn) HasDevlink() bool { return c.devlink != 0 }

// Close closes the sockets.
func (c *Conn) Close() error {
	var errs []error
	for _, f := range slices.Backward(c.close) {
		errs = append(errs, f())
	}
	c.close = nil
	return errors.Join(errs...)
}

// ask sends a devlink command and gives the bodies of the answers.
func (c *Conn) ask(ctx context.Context, cmd uint8, body []byte, flags netlink.HeaderFlags) ([][]byte, error) {
	if c.devlink == 0 {
		return nil, ErrNoDevlink
	}
	return c.generic(ctx, c.devlink, unix.DEVLINK_GENL_VERSION, cmd, body, flags)
}

func (c *Conn) generic(ctx context.Context, family uint16, version, cmd uint8, body []byte, flags netlink.HeaderFlags) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	msgs, err := c.genl.Execute(genetlink.Message{Header: genetlink.Header{Command: cmd, Version: version}, Data: body}, family, netlink.Request|flags)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(msgs))
	for i, m := range msgs {
		out[i] = m.Data
	}
	return out, nil
}

// one is ask for a command that has exactly one answer.
func (c *Conn) one(ctx context.Context, cmd uint8, body []byte) ([]byte, error) {
	out, err := c.ask(ctx, cmd, body, 0)
	if err == nil && len(out) != 1 {
		err = fmt.Errorf("%d answers, want one", len(out))
	}
	if err != nil {
		return nil, err
	}
	return out[0], nil
}
