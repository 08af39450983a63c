package conntrack

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffers of one inbox. An event is one datagram of some 200 to 500 bytes; a
// longer one than bufLen would be cut, which recv reports as a loss.
const (
	bufCount = 64
	bufLen   = 8 << 10
	// dumpLen holds what the kernel packs into one datagram of a listing: 32 KiB.
	dumpLen = 64 << 10
)

// errLost says that the kernel dropped messages for this socket.
var errLost = errors.New("receive buffer overran")

// errCut says that a message was longer than its buffer.
var errCut = fmt.Errorf("a message was longer than %d bytes", bufLen)

// socket is one NETLINK_NETFILTER socket, owned by one goroutine at a time.
// It never blocks in recv and is not known to Go's poller, which costs five
// times as much per message as a plain call.
type socket struct {
	fd     int
	portid uint32 // nlmsg_pid of what is sent, and of events that it causes
	hdrs   []mmsghdr
	iovs   []unix.Iovec
	names  []unix.RawSockaddrNetlink
	bufs   []byte
	size   int
	out    [][]byte
}

type mmsghdr struct {
	Hdr unix.Msghdr
	Len uint32
}

// newSocket makes a socket with count buffers of size bytes.
func newSocket(count, size int) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("make netfilter socket: %w", err)
	}
	s := &socket{fd: fd, size: size}
	if err := s.bind(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s.bufs = make([]byte, count*size)
	s.hdrs = make([]mmsghdr, count)
	s.iovs = make([]unix.Iovec, count)
	s.names = make([]unix.RawSockaddrNetlink, count)
	s.out = make([][]byte, 0, count)
	for i := range s.hdrs {
		s.iovs[i].Base = &s.bufs[i*size]
		s.iovs[i].SetLen(size)
		s.hdrs[i].Hdr.Iov = &s.iovs[i]
		s.hdrs[i].Hdr.SetIovlen(1)
		s.hdrs[i].Hdr.Name = (*byte)(unsafe.Pointer(&s.names[i]))
	}
	return s, nil
}

func (s *socket) bind() error {
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("bind netfilter socket: %w", err)
	}
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return fmt.Errorf("read port id of netfilter socket: %w", err)
	}
	nl, ok := sa.(*unix.SockaddrNetlink)
	if !ok {
		return fmt.Errorf("netfilter socket has an address of type %T", sa)
	}
	s.portid = nl.Pid
	// An error echoes the whole request unless capped. Kernels before 4.2 lack it.
	_ = unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return nil
}

// close may be called on nil and more than once.
func (s *socket) close() {
	if s != nil && s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// growBuffer asks for n bytes of receive buffer (the kernel doubles it) and
// reports whether it had to make do with less because CAP_NET_ADMIN is missing
// in the initial user namespace.
func (s *socket) growBuffer(n int) (forced bool, err error) {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n) == nil {
		return true, nil
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n); err != nil {
		return false, fmt.Errorf("set receive buffer: %w", err)
	}
	return false, nil
}

// join and leave subscribe to multicast groups, NFNLGRP_*.
func (s *socket) join(groups ...int) error {
	for _, g := range groups {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
			return fmt.Errorf("join conntrack group %d: %w", g, err)
		}
	}
	return nil
}

func (s *socket) leave(groups ...int) {
	for _, g := range groups {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_DROP_MEMBERSHIP, g)
	}
}

// send hands requests to the kernel, which has carried all of them out when
// send returns: its answers lie in the receive queue by then.
func (s *socket) send(b []byte) error {
	for {
		err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err != unix.EINTR {
			return err
		}
	}
}

// recv gives the datagrams that wait, none when there are none. They are valid
// until the next call. errLost and errCut come with nothing; what was queued
// before the loss is still to be read. Datagrams that did not come from the
// kernel are left out.
func (s *socket) recv() ([][]byte, error) {
	for i := range s.hdrs {
		s.hdrs[i].Hdr.Namelen = unix.SizeofSockaddrNetlink
		s.hdrs[i].Hdr.Flags = 0
	}
	n, err := s.recvmmsg()
	s.out = s.out[:0]
	switch err {
	case 0:
	case unix.EAGAIN:
		return nil, nil
	case unix.ENOBUFS:
		return nil, errLost
	default:
		return nil, fmt.Errorf("receive from netfilter: %w", err)
	}
	for i := range n {
		if s.names[i].Pid != 0 {
			continue
		}
		if s.hdrs[i].Hdr.Flags&unix.MSG_TRUNC != 0 {
			// Those of the same call are given up with it: a loss means a listing.
			return nil, errCut
		}
		s.out = append(s.out, s.bufs[i*s.size:i*s.size+int(s.hdrs[i].Len)])
	}
	if n > 0 && len(s.out) == 0 {
		return s.recv()
	}
	return s.out, nil
}

func (s *socket) recvmmsg() (int, unix.Errno) {
	for {
		n, _, err := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.hdrs[0])),
			uintptr(len(s.hdrs)), unix.MSG_DONTWAIT, 0, 0)
		if err != unix.EINTR {
			return int(n), err
		}
	}
}
