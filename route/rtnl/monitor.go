package rtnl

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Notice is a run of notifications in the order in which the kernel sent them.
type Notice struct {
	Data []byte // netlink messages, for Messages
	Of   Family // whose messages these are; each numbers its types on its own
	Lost bool   // the receive buffer overflowed after these: list everything again
}

// Family is a netlink family that is listened to.
type Family uint8

const (
	OfRoute   Family = iota // NETLINK_ROUTE
	OfXFRM                  // NETLINK_XFRM
	OfRuleset               // NETLINK_NETFILTER, nf_tables
)

// noticeLen is how many bytes of notifications are handed over at once; it also
// bounds one message.
const noticeLen = 128 << 10

// Groups are those of NETLINK_ROUTE that an answer may depend on: links,
// neighbours, addresses, routes, rules, forwarding configuration and nexthops.
//
// With tc qdiscs as well. Wherever filters are written, as into a card, a listener to
// them costs the writer an announcement of each.
func Groups(tc bool) []int {
	out := []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF, unix.RTNLGRP_NEXTHOP,
	}
	if tc {
		out = append(out, unix.RTNLGRP_TC)
	}
	return out
}

// Monitor is a socket for notifications. Read is for one goroutine; Close may
// be called by another and ends it.
type Monitor struct {
	f   *os.File
	raw syscall.RawConn
	of  Family
	// closed tells Close from a fault: a RawConn's own error for it is not os.ErrClosed.
	closed atomic.Bool
}

// NewMonitor subscribes to groups of NETLINK_ROUTE in the calling thread's namespace.
// Groups above 32 can't be joined at bind, so none is.
func NewMonitor(rcvBuf int, groups []int) (*Monitor, error) {
	fd, err := open(unix.NETLINK_ROUTE, rcvBuf)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink notification socket: %w", err)
	}
	for _, g := range groups {
		err := join(fd, g)
		if g == unix.RTNLGRP_NEXTHOP && errors.Is(err, unix.EINVAL) {
			continue // before Linux 5.3 there are no nexthop objects, and no such group
		}
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return monitor(fd, "rtnetlink", OfRoute)
}

// NewPolicyMonitor subscribes to XFRM policies. Its error is EPROTONOSUPPORT on
// a kernel without XFRM.
func NewPolicyMonitor(rcvBuf int) (*Monitor, error) {
	fd, err := open(netlinkXFRM, rcvBuf)
	if err != nil {
		return nil, fmt.Errorf("open XFRM notification socket: %w", err)
	}
	if err := join(fd, xfrmGroupPolicy); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return monitor(fd, "xfrm", OfXFRM)
}

func monitor(fd int, name string, of Family) (*Monitor, error) {
	f := os.NewFile(uintptr(fd), name)
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("poll %s socket: %w", name, err)
	}
	return &Monitor{f: f, raw: raw, of: of}, nil
}

// Close ends a Read under way.
func (m *Monitor) Close() error {
	m.closed.Store(true)
	return m.f.Close()
}

// Read waits for notifications and takes what is there, into buf when it has
// the room. io.EOF after Close.
func (m *Monitor) Read(buf []byte) (Notice, error) {
	if cap(buf) < noticeLen {
		buf = make([]byte, noticeLen)
	}
	n := Notice{Data: buf[:0], Of: m.of}
	var fail error
	err := m.raw.Read(func(fd uintptr) bool {
		fail = m.drain(int(fd), &n)
		return fail != nil || n.Lost || len(n.Data) > 0
	})
	if err == nil {
		err = fail
	}
	if err != nil && m.closed.Load() {
		return n, io.EOF
	}
	return n, err
}

// drain reads datagrams until none is left or half the buffer is full. A loss
// is reported alone: what was read before it stands before it.
func (m *Monitor) drain(fd int, n *Notice) error {
	for len(n.Data) <= noticeLen/2 {
		room := n.Data[len(n.Data):cap(n.Data)]
		got, _, flags, sa, err := unix.Recvmsg(fd, room, nil, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return nil
		case err == unix.ENOBUFS, err == nil && flags&unix.MSG_TRUNC != 0:
			n.Lost = true
			return nil
		case err != nil:
			return fmt.Errorf("read notifications: %w", err)
		}
		if fromKernel(sa) {
			n.Data = n.Data[:len(n.Data)+align4(got)]
		}
	}
	return nil
}
