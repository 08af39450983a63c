package rtnl

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// BatchSize is the most look-ups that go into one send.
const BatchSize = 64

const (
	slotLen    = 4096    // room for one answer; a longer one is a route with very many legs
	replyCost  = 8 << 10 // receive buffer that one queued answer may take
	connRcvBuf = 4 << 20 // for BatchSize answers and for dumps
)

// Answer is what the kernel said to one Ask: a Route when Errno is 0.
type Answer struct {
	Route Route
	Errno unix.Errno
}

// ErrInterrupted says that a table changed while it was listed.
var ErrInterrupted = errors.New("table changed while it was being listed (NLM_F_DUMP_INTR)")

// Conn is a socket for requests. Owned by one goroutine.
type Conn struct {
	fd    int
	peer  unix.SockaddrNetlink // the kernel; x/sys writes into it
	seq   uint32
	batch int
	out   []byte
	slots []byte
	names [BatchSize]unix.RawSockaddrNetlink
	iov   [BatchSize]unix.Iovec
	msgs  [BatchSize]mmsghdr
	dump  []byte
}

type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// NewConn opens a socket of protocol proto (unix.NETLINK_ROUTE,
// unix.NETLINK_XFRM) in the calling thread's network namespace.
func NewConn(proto int) (*Conn, error) {
	fd, err := open(proto, connRcvBuf)
	if err != nil {
		return nil, fmt.Errorf("open netlink request socket: %w", err)
	}
	c := &Conn{fd: fd, peer: unix.SockaddrNetlink{Family: unix.AF_NETLINK},
		batch: BatchSize, slots: make([]byte, BatchSize*slotLen), dump: make([]byte, 64<<10)}
	if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
		c.batch = min(BatchSize, max(1, got/replyCost))
	}
	for i := range c.msgs {
		c.iov[i].Base = &c.slots[i*slotLen]
		c.iov[i].SetLen(slotLen)
		c.msgs[i].hdr.Iov = &c.iov[i]
		c.msgs[i].hdr.SetIovlen(1)
		c.msgs[i].hdr.Name = (*byte)(unsafe.Pointer(&c.names[i]))
	}
	return c, nil
}

// Close closes the socket.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// Lookup asks all and fills out[i] for asks[i]; len(out) must be len(asks). A
// question that got no answer has Errno EIO. The error is that of the socket.
func (c *Conn) Lookup(asks []Ask, out []Answer) error {
	for len(asks) > 0 {
		n := min(len(asks), c.batch)
		if err := c.lookup(asks[:n], out[:n]); err != nil {
			return fmt.Errorf("look up %d routes: %w", n, err)
		}
		asks, out = asks[n:], out[n:]
	}
	return nil
}

func (c *Conn) lookup(asks []Ask, out []Answer) error {
	base := c.seq + 1
	c.seq += uint32(len(asks))
	c.out = c.out[:0]
	for i := range asks {
		c.out = asks[i].append(c.out, base+uint32(i))
		out[i] = Answer{Errno: unix.EIO}
	}
	if err := c.send(); err != nil {
		return err
	}
	for left := len(asks); left > 0; {
		n, err := c.recvmmsg(left)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
			return nil // what is missing stays EIO
		}
		if err != nil {
			return err
		}
		for i := range n {
			left -= c.take(i, base, out)
		}
	}
	return nil
}

// take reads datagram i and reports how many questions it answered.
func (c *Conn) take(i int, base uint32, out []Answer) (answered int) {
	h := &c.msgs[i]
	if h.hdr.Namelen != unix.SizeofSockaddrNetlink || c.names[i].Pid != 0 {
		return 0
	}
	for m := range Messages(c.slots[i*slotLen:][:min(int(h.n), slotLen)]) {
		k := m.Seq - base
		if k >= uint32(len(out)) {
			continue // late answer to an earlier request
		}
		answered++
		switch m.Type {
		case unix.NLMSG_ERROR:
			out[k].Errno = errnoOf(m.Body)
		case unix.RTM_NEWROUTE:
			if r, ok := ParseRoute(m.Body); ok {
				out[k] = Answer{Route: r}
			}
		}
	}
	if answered == 0 && h.hdr.Flags&unix.MSG_TRUNC != 0 {
		// Longer than a slot: only a route with very many legs is.
		if k := ne.Uint32(c.slots[i*slotLen+8:]) - base; k < uint32(len(out)) {
			r, _ := ParseRoute(c.slots[i*slotLen+hdrLen : (i+1)*slotLen])
			r.Legs, r.Hops = max(r.Legs, 2), nil
			out[k], answered = Answer{Route: r}, 1
		}
	}
	return answered
}

// send writes c.out. The kernel works on it before sendto returns.
func (c *Conn) send() error {
	for {
		err := unix.Sendto(c.fd, c.out, 0, &c.peer)
		if err != unix.EINTR {
			return err
		}
	}
}

func (c *Conn) recvmmsg(n int) (int, error) {
	for i := range n {
		c.msgs[i].hdr.Namelen = unix.SizeofSockaddrNetlink
		c.msgs[i].hdr.Flags = 0
	}
	for {
		r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&c.msgs[0])),
			uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			return int(r), nil
		case unix.EINTR:
			continue
		}
		return 0, e
	}
}

// Link reads one interface as it is now. ENODEV when there is none.
func (c *Conn) Link(i hwif.Ifindex) (Link, error) {
	c.seq++
	c.out = appendGetLink(c.out[:0], c.seq, i)
	var l Link
	err := c.exchange(func(m Msg) error {
		var ok bool
		if l, ok = ParseLink(m.Body, false); !ok {
			return unix.EBADMSG
		}
		return nil
	}, false)
	if err == nil && l.Deep() {
		var held map[hwif.Ifindex]string
		held, err = c.shapers()
		l.Shaper = held[i]
	}
	if err != nil {
		return l, fmt.Errorf("get link %d: %w", i, err)
	}
	return l, nil
}

// UseNeigh asks the kernel to resolve or confirm a neighbour. What comes of it
// is told by notifications.
func (c *Conn) UseNeigh(n *Neigh, create bool) error {
	c.seq++
	c.out = appendNeighUse(c.out[:0], c.seq, n, create)
	if err := c.send(); err != nil {
		return fmt.Errorf("use neighbour %s on interface %d: %w", n.Dst.Netip(n.Family), n.Ifindex, err)
	}
	return nil
}

// Dump lists everything of a type; hdr is the type's own header. each is given
// every message. ErrInterrupted means that the listing has holes.
func (c *Conn) Dump(typ uint16, hdr []byte, each func(Msg)) error {
	c.seq++
	c.out = appendDump(c.out[:0], typ, c.seq, hdr)
	return c.exchange(func(m Msg) error { each(m); return nil }, true)
}

// exchange sends c.out and reads the answer, to its end when it is a dump.
func (c *Conn) exchange(each func(Msg) error, dump bool) error {
	if err := c.send(); err != nil {
		return err
	}
	interrupted := false
	for {
		n, sa, err := c.read()
		if err != nil {
			return err
		}
		if !fromKernel(sa) {
			continue
		}
		for m := range Messages(c.dump[:n]) {
			if m.Seq != c.seq {
				continue
			}
			interrupted = interrupted || m.Flags&unix.NLM_F_DUMP_INTR != 0
			switch m.Type {
			case unix.NLMSG_DONE:
				if e := errnoOf(m.Body); len(m.Body) >= 4 && e != 0 {
					return e
				}
				if interrupted {
					return ErrInterrupted
				}
				return nil
			case unix.NLMSG_ERROR:
				if e := errnoOf(m.Body); e != 0 {
					return e
				}
				return nil
			}
			if err := each(m); err != nil || !dump {
				return err
			}
		}
	}
}

// read takes one datagram; one that is longer than the buffer grows it and is
// an error, since its tail is lost.
func (c *Conn) read() (int, unix.Sockaddr, error) {
	for {
		n, _, flags, sa, err := unix.Recvmsg(c.fd, c.dump, nil, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, nil, errors.New("the kernel gave no answer")
		case err != nil:
			return 0, nil, err
		case flags&unix.MSG_TRUNC != 0:
			c.dump = make([]byte, 4*len(c.dump))
			return 0, nil, ErrInterrupted
		}
		return n, sa, nil
	}
}
