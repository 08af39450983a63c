package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/tc"
)

// replay is the ceiling: messages that were built before, sent as they are, in
// batches of package tc's size, the last of each acknowledged.
func (c *course) replay() (*racer, error) {
	return c.player(racer{name: nameReplay, note: "messages built before; a removal brings no counters"}, prioReplay, 0)
}

// countedReplay asks for the last counters, as the driver does: the ceiling of its
// removals. Its insertions are the ceiling's once more: what they differ by is how
// well this machine measures.
func (c *course) countedReplay() (*racer, error) {
	return c.player(racer{name: nameCounted, note: "the same once more; a removal brings the last counters, which are received and not read"}, prioCounted, unix.NLM_F_ECHO)
}

func (c *course) player(r racer, prio, flags uint16) (*racer, error) {
	filters := c.filters(prio)
	adds, err := newScript(filters, tc.Append, 0)
	if err != nil {
		return nil, err
	}
	dels, err := newScript(filters, tc.AppendDelete, flags)
	if err != nil {
		return nil, err
	}
	p, err := newPlayer()
	if err != nil {
		return nil, err
	}
	r.insert = func(_ context.Context, from, to int) error { return p.play(adds, from, to) }
	r.remove = func(_ context.Context, from, to int) error { return p.play(dels, from, to) }
	r.end = p.close
	return &r, nil
}

// script is messages one behind the other; message i is bytes[at[i]:at[i+1]], and
// i+1 its sequence number.
type script struct {
	bytes  []byte
	at     []int
	echoes bool
}

func newScript(filters []tc.Filter, write func([]byte, uint32, *tc.Filter, *tc.Shape) ([]byte, error), extra uint16) (*script, error) {
	s := &script{at: make([]int, len(filters)+1), echoes: extra&unix.NLM_F_ECHO != 0}
	for i := range filters {
		var err error
		if s.bytes, err = write(s.bytes, uint32(i+1), &filters[i], &shape); err != nil {
			return nil, err
		}
		s.at[i+1] = len(s.bytes)
		s.flags(i, unix.NLM_F_ACK, extra)
	}
	return s, nil
}

// flags takes flags of a message off and puts others on.
func (s *script) flags(i int, off, on uint16) {
	b := s.bytes[s.at[i]+6:]
	binary.NativeEndian.PutUint16(b, binary.NativeEndian.Uint16(b)&^off|on)
}

// player sends scripts.
type player struct {
	fd   int
	hdrs [tc.Batch]mmsghdr
	iovs [tc.Batch]unix.Iovec
	bufs []byte
}

type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   uint32
}

const playerBuf = 8 << 10

func newPlayer() (*player, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	err = errors.Join(unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 2<<20))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	p := &player{fd: fd, bufs: make([]byte, tc.Batch*playerBuf)}
	for i := range p.hdrs {
		p.iovs[i].Base = &p.bufs[i*playerBuf]
		p.iovs[i].SetLen(playerBuf)
		p.hdrs[i].hdr.Iov = &p.iovs[i]
		p.hdrs[i].hdr.SetIovlen(1)
	}
	return p, nil
}

func (p *player) close() error { return unix.Close(p.fd) }

// play sends messages from..to in batches, and takes in the answers of each.
func (p *player) play(s *script, from, to int) error {
	for from < to {
		end := min(from+tc.Batch, to)
		s.flags(end-1, 0, unix.NLM_F_ACK)
		_, err := unix.Write(p.fd, s.bytes[s.at[from]:s.at[end]])
		s.flags(end-1, unix.NLM_F_ACK, 0)
		if err != nil {
			return err
		}
		want := 0
		if s.echoes {
			want = end - from
		}
		if err := p.answers(uint32(end), want); err != nil {
			return err
		}
		from = end
		runtime.Gosched() // as package tc does
	}
	return nil
}

// answers waits for the acknowledgement of message seq, and for so many echoes
// before it.
func (p *player) answers(seq uint32, echoes int) error {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&p.hdrs[0])), uintptr(len(p.hdrs)), unix.MSG_WAITFORONE, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return errno
		}
		for i := range int(n) {
			b := p.bufs[i*playerBuf:][:p.hdrs[i].len]
			switch {
			case len(b) < 20:
				return fmt.Errorf("an answer of %d bytes", len(b))
			case binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR:
				echoes--
			case binary.NativeEndian.Uint32(b[16:]) != 0:
				return fmt.Errorf("message %d: %w", binary.NativeEndian.Uint32(b[8:]), unix.Errno(-int32(binary.NativeEndian.Uint32(b[16:]))))
			case binary.NativeEndian.Uint32(b[8:]) == seq:
				if echoes != 0 {
					return fmt.Errorf("%d echoes are missing", echoes)
				}
				return nil
			}
		}
	}
}
