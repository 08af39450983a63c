package tc

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of the socket's buffers. A dump comes in datagrams of 32 KiB at most, if
// the reader has that much room (af_netlink.c:netlink_dump); an answer is some
// hundred bytes, an echo some 1500, and its cost of the receive buffer more.
const (
	dumpBuf   = 64 << 10
	answerBuf = 8 << 10
	answers   = 32 // datagrams of one recvmmsg
	rcvBuf    = 8 << 20
	sndBuf    = 2 << 20
)

// patience is how long the kernel may keep an answer. It answers in the call that
// sends, so only a lost answer is ever waited for.
const patience = 2 * time.Second

// socket is one NETLINK_ROUTE socket, used by one goroutine at a time. It is not
// known to Go's poller, which costs several times as much per message.
type socket struct {
	fd   int
	hdrs [answers]mmsghdr
	iovs [answers]unix.Iovec
	bufs []byte
}

type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   uint32
}

func newSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("make route netlink socket: %w", err)
	}
	s := &socket{fd: fd, bufs: make([]byte, answers*answerBuf)}
	opt := func(level, name, v int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, name, v)
		}
	}
	opt(unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	opt(unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set up route netlink socket: %w", err)
	}
	// Without the capability the kernel's own bounds stay.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, rcvBuf) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcvBuf)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sndBuf) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sndBuf)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind route netlink socket: %w", err)
	}
	for i := range s.hdrs {
		s.iovs[i].Base = &s.bufs[i*answerBuf]
		s.iovs[i].SetLen(answerBuf)
		s.hdrs[i].hdr.Iov = &s.iovs[i]
		s.hdrs[i].hdr.SetIovlen(1)
	}
	return s, nil
}

func (s *socket) close() error { return unix.Close(s.fd) }

// send gives the kernel messages, which it carries out before send returns.
func (s *socket) send(b []byte) error {
	for {
		_, err := unix.Write(s.fd, b)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// wait returns nil when there is something to read, ErrLost when patience ends.
func (s *socket) wait(ctx context.Context) error {
	deadline := time.Now().Add(patience)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return ErrLost
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(min(left, 50*time.Millisecond)/time.Millisecond)+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			return nil
		}
	}
}

// answered reads what answers are there, without waiting, and gives each datagram
// to f. It gives how many there were; ErrLost when the kernel dropped some.
func (s *socket) answered(f func([]byte)) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.hdrs[0])), answers, unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	case unix.ENOBUFS:
		return 0, ErrLost
	default:
		return 0, errno
	}
	for i := range int(n) {
		f(s.bufs[i*answerBuf : i*answerBuf+int(s.hdrs[i].len)])
	}
	return int(n), nil
}

// read waits for one datagram of a dump.
func (s *socket) read(buf []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			return 0, ErrLost
		}
		return n, err
	}
}

// drain throws away what came too late.
func (s *socket) drain() {
	for {
		n, err := s.answered(func([]byte) {})
		if n == 0 && err == nil {
			return
		}
		if err != nil && !errors.Is(err, ErrLost) {
			return
		}
	}
}
