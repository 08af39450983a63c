package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// FlowSpec is a connection as its client sees it.
type FlowSpec struct {
	Proto  uint8
	Client netip.AddrPort
	Server netip.AddrPort
}

// Flow is one connection with its two hosts, who see only what arrives at them:
// the server answers the address that it was spoken to from.
type Flow struct {
	k            *Kernel
	spec         FlowSpec
	peer         netip.AddrPort // the client, as the server sees it
	seq          [2]uint32      // TCP, by flow.Dir
	orig, answer flow.Tuple     // what client and server send
}

// Sent is what became of frames.
type Sent struct {
	NIC, Kernel, Lost int
}

func (s *Sent) add(o Sent) { s.NIC, s.Kernel, s.Lost = s.NIC+o.NIC, s.Kernel+o.Kernel, s.Lost+o.Lost }

// Total is how many frames were sent.
func (s Sent) Total() int { return s.NIC + s.Kernel + s.Lost }

// OpenFlow lets the client reach the server: TCP's three-way handshake, or one UDP
// datagram each way. A UDP connection is not assured before it has sent again
// after two seconds, as with the kernel.
func (k *Kernel) OpenFlow(spec FlowSpec) (*Flow, error) {
	f := &Flow{k: k, spec: spec}
	f.orig = tuple(spec.Proto, spec.Client, spec.Server)
	if err := f.orig.Check(); err != nil {
		return nil, fmt.Errorf("open flow: %w", err)
	}
	first, err := f.deliver(flow.Orig, hwif.TCPSyn, nil)
	if err != nil {
		return nil, fmt.Errorf("open flow %s: %w", f.orig, err)
	}
	p, ok := parse(first.Frame)
	if !ok {
		return nil, fmt.Errorf("open flow %s: the server got a broken frame", f.orig)
	}
	f.answer = p.tuple().Reversed()
	f.peer = netip.AddrPortFrom(f.answer.DstAddr(), f.answer.DstPort)
	f.seq[flow.Orig]++
	if _, err := f.deliver(flow.Reply, hwif.TCPSyn|ack, nil); err != nil {
		return nil, fmt.Errorf("open flow %s: answer: %w", f.orig, err)
	}
	f.seq[flow.Reply]++
	if spec.Proto == hwif.ProtoTCP {
		if _, err := f.deliver(flow.Orig, ack, nil); err != nil {
			return nil, fmt.Errorf("open flow %s: %w", f.orig, err)
		}
	}
	return f, nil
}

// Tuple is the original direction's, by which the daemon knows the flow.
func (f *Flow) Tuple() flow.Tuple { return f.orig }

// Reply is the reply direction's tuple, with what NAT made of the client.
func (f *Flow) Reply() flow.Tuple { return f.answer }

// Send sends packets each way, with so many bytes of payload in all of one way's
// packets together.
func (f *Flow) Send(packets, bytes int) Sent {
	var s Sent
	for i := range packets {
		n := bytes / packets
		if i < bytes%packets {
			n++
		}
		payload := make([]byte, n)
		for j := range payload {
			payload[j] = byte(i + j)
		}
		for _, d := range []flow.Dir{flow.Orig, flow.Reply} {
			s.add(f.SendOne(d, payload))
		}
	}
	return s
}

// SendOne sends one packet one way.
func (f *Flow) SendOne(d flow.Dir, payload []byte) Sent {
	out, err := f.deliver(d, ack|psh, payload)
	f.seq[d] += uint32(len(payload))
	switch {
	case err != nil:
		return Sent{Lost: 1}
	case out.ByNIC:
		return Sent{NIC: 1}
	}
	return Sent{Kernel: 1}
}

// Close ends a TCP connection by FIN and its acknowledgement from both sides. UDP
// has no end: the entry expires.
func (f *Flow) Close() Sent {
	var s Sent
	if f.spec.Proto != hwif.ProtoTCP {
		return s
	}
	for _, step := range []struct {
		d     flow.Dir
		flags uint8
	}{{flow.Orig, hwif.TCPFin | ack}, {flow.Reply, ack}, {flow.Reply, hwif.TCPFin | ack}, {flow.Orig, ack}} {
		out, err := f.deliver(step.d, step.flags, nil)
		if step.flags&hwif.TCPFin != 0 {
			f.seq[step.d]++
		}
		switch {
		case err != nil:
			s.Lost++
		case out.ByNIC:
			s.NIC++
		default:
			s.Kernel++
		}
	}
	return s
}

// Reset ends a TCP connection by RST from the client.
func (f *Flow) Reset() {
	if f.spec.Proto == hwif.ProtoTCP {
		_, _ = f.deliver(flow.Orig, hwif.TCPRst|ack, nil) // the other side need not hear it
	}
}

const ack, psh = 0x10, 0x08

// deliver sends a frame from one host towards the other. The error says that it
// did not leave the router.
func (f *Flow) deliver(d flow.Dir, flags uint8, payload []byte) (Delivery, error) {
	t := f.orig
	if d == flow.Reply {
		t = f.answer
	}
	raw, in, err := f.k.hostFrame(t, flags, f.seq[d], f.seq[d^1], payload)
	if err != nil {
		return Delivery{}, err
	}
	out, ok := f.k.Receive(in, raw)
	if !ok {
		return out, fmt.Errorf("%s: lost in the router", t)
	}
	return out, nil
}

// hostFrame is a frame as the host that has t.Src puts it on the router's link.
func (k *Kernel) hostFrame(t flow.Tuple, flags uint8, seq, ackNo uint32, payload []byte) ([]byte, hwif.Ifindex, error) {
	k.mu.Lock()
	h, ok := k.lookup(t.SrcAddr())
	k.mu.Unlock()
	if !ok {
		return nil, 0, fmt.Errorf("%s is on no link that is up", t.SrcAddr())
	}
	p := &packet{dst: h.link.MAC, src: h.mac, vlan: h.link.VLAN, family: t.Family, proto: t.Proto}
	if p.src.IsZero() {
		p.src = hwif.MAC{0x02, 0xff, 0, 0, 0, 1}
	}
	head := map[uint8]int{hwif.ProtoTCP: 20, hwif.ProtoUDP: 8}[t.Proto]
	if t.Family == hwif.IPv4 {
		p.ip = make([]byte, ipv4Header, ipv4Header+head+len(payload))
		p.ip[0], p.ip[6], p.ip[8], p.ip[9] = 0x45, 0x40, 64, t.Proto // DF
		binary.BigEndian.PutUint16(p.ip[2:], uint16(ipv4Header+head+len(payload)))
	} else {
		p.ip = make([]byte, ipv6Header, ipv6Header+head+len(payload))
		p.ip[0], p.ip[6], p.ip[7] = 0x60, t.Proto, 64
		binary.BigEndian.PutUint16(p.ip[4:], uint16(head+len(payload)))
	}
	l3 := len(p.ip)
	p.ip = append(append(p.ip, make([]byte, head)...), payload...)
	p.l4 = p.ip[l3:]
	if t.Proto == hwif.ProtoTCP {
		binary.BigEndian.PutUint32(p.l4[4:], seq)
		if flags&ack != 0 {
			binary.BigEndian.PutUint32(p.l4[8:], ackNo)
		}
		p.l4[12], p.l4[13] = 5<<4, flags
		binary.BigEndian.PutUint16(p.l4[14:], 0xffff) // window
	} else {
		binary.BigEndian.PutUint16(p.l4[4:], uint16(head+len(payload)))
		p.l4[6] = 1 // any value but zero: a checksum is wanted
	}
	p.setTuple(t)
	return p.frame(), h.link.Port, nil
}

func tuple(proto uint8, src, dst netip.AddrPort) flow.Tuple {
	t := flow.Tuple{Proto: proto, SrcPort: src.Port(), DstPort: dst.Port()}
	t.Src, t.Family = hwif.AddrFrom(src.Addr())
	t.Dst, _ = hwif.AddrFrom(dst.Addr())
	return t
}
