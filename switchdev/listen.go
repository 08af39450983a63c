package switchdev

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// listener is one socket for notifications.
type listener struct {
	name     string
	recv     func() ([]netlink.Message, error)
	drain    func() error // throws away what is queued
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
	l, err := listen("rtnetlink", c, buffer)
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
	var l *listener
	if err == nil {
		l, err = listen("devlink", raw, buffer)
	}
	if err == nil {
		err = joinGroup(c, &f, unix.DEVLINK_GENL_MCGRP_CONFIG_NAME)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("subscribe to devlink: %w", err)
	}
	return l, nil
}

// listen makes a listener of a socket.
func listen(name string, c *netlink.Conn, buffer int) (*listener, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &listener{name, c.Receive, func() error { return drain(raw) }, c.SetReadDeadline, c.Close}, c.SetReadBuffer(buffer)
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
			// What was queued before the loss is older than what was lost, and so than
			// the listing that follows, which it must not overwrite.
			b.lost = true
			if err := l.drain(); err != nil {
				b.err = fmt.Errorf("read %s notifications: %w", l.name, err)
			}
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

// drainMost is more messages than a receive buffer holds.
const drainMost = 1 << 16

// drain throws away what is queued, without waiting for more.
func drain(c syscall.RawConn) error {
	var fail error
	b := make([]byte, 1)
	err := c.Read(func(fd uintptr) bool {
		for range drainMost {
			_, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT) // what does not fit is cut off
			switch {
			case err == nil, errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return true
			default:
				fail = err
				return true
			}
		}
		return true
	})
	return errors.Join(err, fail)
}
