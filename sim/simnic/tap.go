package simnic

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Fate is what became of a frame.
type Fate uint8

// The fates.
const (
	ToKernel Fate = iota
	Forwarded
	Dropped
)

// Out is what came out for one frame.
type Out struct {
	Fate  Fate
	Port  string // by which it left, when Forwarded
	Frame []byte // as on the wire; nil when Dropped
}

// Tap injects frames behind ports and looks where they come out. It needs all
// interfaces up and in its own namespace, with nobody else talking on them.
type Tap struct {
	cards     map[string]*Card   // by port
	far, near map[string]*packet // by port
}

// NewTap opens sockets at both sides of ports. The ports have no addresses, so
// that the kernel answers nothing.
func (c *Card) NewTap(ports ...string) (*Tap, error) {
	cards := map[string]*Card{}
	for _, p := range ports {
		cards[p] = c
	}
	return NewTap(cards)
}

// NewTap is for ports of several cards.
func NewTap(cards map[string]*Card) (*Tap, error) {
	t := &Tap{cards: cards, far: map[string]*packet{}, near: map[string]*packet{}}
	for p, c := range cards {
		far, err := openPacket(c.Far(p))
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.far[p] = far
		near, err := openPacket(p)
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.near[p] = near
	}
	return t, nil
}

// Close closes the sockets.
func (t *Tap) Close() error {
	var errs []error
	for _, m := range []map[string]*packet{t.far, t.near} {
		for _, p := range m {
			errs = append(errs, unix.Close(p.fd))
		}
	}
	return errors.Join(errs...)
}

// patience is how long a frame may be on its way that the card says it sent.
const patience = 3 * time.Second

// Inject lets a frame enter by a port and says what became of it. The card decides
// within the send, and its counters tell what to wait for.
func (t *Tap) Inject(port string, frame []byte) (Out, error) {
	for _, m := range []map[string]*packet{t.far, t.near} {
		for _, p := range m {
			p.drain()
		}
	}
	src, card := t.far[port], t.cards[port]
	if src == nil {
		return Out{}, fmt.Errorf("no tap at %s", port)
	}
	before, err := card.Stats()
	if err != nil {
		return Out{}, err
	}
	if err := unix.Send(src.fd, frame, 0); err != nil {
		return Out{}, fmt.Errorf("send behind %s: %w", port, err)
	}
	after, err := card.Stats()
	if err != nil {
		return Out{}, err
	}
	a, b := after.Ports[port], before.Ports[port]
	switch {
	case a.Rx != b.Rx+1:
		return Out{}, fmt.Errorf("%d frames entered by %s, one was sent", a.Rx-b.Rx, port)
	case a.Hit > b.Hit:
		return t.wait(t.far, Forwarded)
	case a.Drop > b.Drop:
		return Out{Fate: Dropped}, nil
	}
	near := t.near[port]
	return t.wait(map[string]*packet{port: near}, ToKernel)
}

// wait takes the one frame that has to come at one of the sockets.
func (t *Tap) wait(at map[string]*packet, fate Fate) (Out, error) {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		for name, p := range at {
			f, err := p.recv()
			if err != nil {
				return Out{}, err
			}
			if f != nil {
				return Out{Fate: fate, Port: name, Frame: f}, nil
			}
		}
		fds := make([]unix.PollFd, 0, len(at))
		for _, p := range at {
			fds = append(fds, unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(fds, 50); err != nil && !errors.Is(err, unix.EINTR) {
			return Out{}, err
		}
	}
	return Out{}, errors.New("the card says that it sent the frame, and it came nowhere")
}

// packet is an AF_PACKET socket on one interface.
type packet struct {
	fd  int
	buf []byte
	oob []byte
}

func openPacket(name string) (*packet, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("tap %s: %w", name, err)
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("tap %s: %w", name, err)
	}
	p := &packet{fd: fd, buf: make([]byte, 1<<16), oob: make([]byte, 256)}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tap %s: %w", name, err), unix.Close(fd))
	}
	return p, nil
}

func (p *packet) drain() {
	for {
		if f, err := p.recv(); f == nil || err != nil {
			return
		}
	}
}

// recv gives a frame as it was on the wire, or nil when there is none.
func (p *packet) recv() ([]byte, error) {
	n, oobn, _, _, err := unix.Recvmsg(p.fd, p.buf, p.oob, unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	frame := append([]byte(nil), p.buf[:n]...)
	tag, ok := vlanOf(p.oob[:oobn])
	if !ok || n < 12 {
		return frame, nil
	}
	// The kernel has taken the tag off (skb_vlan_untag) before anybody looks.
	out := append([]byte(nil), frame[:12]...)
	out = append(out, tag[:]...)
	return append(out, frame[12:]...), nil
}

// vlanOf reads struct tpacket_auxdata: status at 0, vlan_tci at 16, vlan_tpid at 18.
func vlanOf(oob []byte) (tag [4]byte, ok bool) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return tag, false
	}
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		status := uint32(m.Data[0]) | uint32(m.Data[1])<<8
		if status&unix.TP_STATUS_VLAN_VALID == 0 {
			return tag, false
		}
		tpid := uint16(m.Data[18]) | uint16(m.Data[19])<<8
		if status&unix.TP_STATUS_VLAN_TPID_VALID == 0 {
			tpid = 0x8100
		}
		tci := uint16(m.Data[16]) | uint16(m.Data[17])<<8
		return [4]byte{byte(tpid >> 8), byte(tpid), byte(tci >> 8), byte(tci)}, true
	}
	return tag, false
}
