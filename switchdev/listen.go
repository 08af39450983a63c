package switchdev

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// listener is one socket for notifications.
type listener struct {
	name     string
	recv     func() ([]netlink.Message, error)
	deadline func(time.Time) error
	close    func() error
}

// batch is what a listener heard: messages, or that some were lost, or that it
// can hear no more.
type batch struct {
	msgs    []netlink.Message
	devlink bool
	lost    bool
	err     error
}

// listenLinks subscribes to RTNLGRP_LINK.
func listenLinks(buffer int) (*listener, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink notification socket: %w", err)
	}
	l := &listener{"rtnetlink", c.Receive, c.SetReadDeadline, c.Close}
	err = c.SetReadBuffer(buffer)
	if err == nil {
		err = c.JoinGroup(unix.RTNLGRP_LINK)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("subscribe to interfaces: %w", err)
	}
	return l, nil
}

// listenDevlink subscribes to devlink's group "config". Nil without devlink.
func listenDevlink(buffer int) (*listener, error) {
	raw, err := netlink.Dial(genetlink.Protocol, nil)
	if err != nil {
		return nil, fmt.Errorf("open devlink notification socket: %w", err)
	}
	c := genetlink.NewConn(raw)
	f, err := c.GetFamily(unix.DEVLINK_GENL_NAME)
	if errors.Is(err, os.ErrNotExist) {
		return nil, c.Close()
	}
	if err == nil {
		err = c.SetReadBuffer(buffer)
	}
	if err == nil {
		err = joinGroup(c, &f, unix.DEVLINK_GENL_MCGRP_CONFIG_NAME)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("subscribe to devlink: %w", err)
	}
	return &listener{"devlink", raw.Receive, raw.SetReadDeadline, raw.Close}, nil
}

func joinGroup(c *genetlink.Conn, f *genetlink.Family, name string) error {
	for _, g := range f.Groups {
		if g.Name == name {
			return c.JoinGroup(g.ID)
		}
	}
	return fmt.Errorf("family %s has no group %s", f.Name, name)
}

// run hands over what is heard until stop is closed and the deadline set.
func (l *listener) run(out chan<- batch, stop <-chan struct{}, devlink bool) {
	for {
		msgs, err := l.recv()
		b := batch{msgs: msgs, devlink: devlink}
		switch {
		case errors.Is(err, unix.ENOBUFS):
			b.lost = true
			l.drain(stop)
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			b.err = fmt.Errorf("read %s notifications: %w", l.name, err)
		}
		select {
		case <-stop:
			return
		case out <- b:
		}
		if b.err != nil {
			return
		}
	}
}

const (
	drained   = 5 * time.Millisecond // of silence
	drainMost = 1 << 14              // messages: more than any receive buffer holds
)

// drain throws away what was queued before a loss: it is older than what was
// lost, and so than the listing that follows, which it must not overwrite.
func (l *listener) drain(stop <-chan struct{}) {
	defer func() {
		select {
		case <-stop: // the deadline is there to end us
		default:
			_ = l.deadline(time.Time{}) // fails on a closed socket, as the next recv does
		}
	}()
	for n := 0; n < drainMost; {
		select {
		case <-stop:
			return
		default:
		}
		if l.deadline(time.Now().Add(drained)) != nil {
			return
		}
		msgs, err := l.recv()
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		n += max(1, len(msgs))
	}
}
