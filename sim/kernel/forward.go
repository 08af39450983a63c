package kernel

import (
	"bytes"
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/sim"
)

// Delivery is one frame on the wire.
type Delivery struct {
	Port  hwif.Ifindex
	Frame []byte
	ByNIC bool // forwarded by the card; else by the slow path
}

// Receive lets a frame enter by a port: to the card first, and to the slow path
// when the card gives it back. ok is false when nothing left the router.
func (k *Kernel) Receive(in hwif.Ifindex, b []byte) (out Delivery, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	switch o := k.nic.Inject(in, b); o.Verdict {
	case sim.Forwarded:
		k.judge(in, b, o)
		return Delivery{Port: o.Port, Frame: o.Frame, ByNIC: true}, true
	case sim.Dropped:
		k.stats.Lost++
		return Delivery{}, false
	}
	port, frame, why := k.slow(in, b, false)
	if why != nil {
		*why++
		return Delivery{}, false
	}
	k.stats.Forwarded.Packets++
	p, _ := parse(frame)
	k.stats.Forwarded.Bytes += uint64(len(p.ip))
	return Delivery{Port: port, Frame: frame}, true
}

// judge holds what the card sent against what the slow path would have sent.
func (k *Kernel) judge(in hwif.Ifindex, b []byte, o sim.Out) {
	if p, ok := parse(b); ok {
		k.stats.NIC.Packets++
		k.stats.NIC.Bytes += uint64(len(p.ip))
	}
	port, want, why := k.slow(in, b, true)
	switch {
	case why != nil:
		k.stats.WrongText = fmt.Sprintf("the kernel would not have forwarded: in %d %x", in, head(b))
	case port != o.Port:
		k.stats.WrongText = fmt.Sprintf("left by port %d, the kernel would have used %d", o.Port, port)
	case !bytes.Equal(want, o.Frame):
		k.stats.WrongText = fmt.Sprintf("left as %x, the kernel would have sent %x", head(o.Frame), head(want))
	default:
		return
	}
	k.stats.Wrong++
}

// head is as much of a frame as an error needs: every header that NAT touches.
func head(b []byte) []byte { return b[:min(len(b), 80)] }

// slow is the slow path. With dry it changes nothing: it tells what would be. When
// the frame is not forwarded, why is the count that it falls under.
func (k *Kernel) slow(in hwif.Ifindex, b []byte, dry bool) (port hwif.Ifindex, frame []byte, why *uint64) {
	p, ok := parse(b)
	if !ok {
		return 0, nil, &k.stats.Invalid
	}
	link := k.linkAt(in, p.vlan)
	if link == nil || link.down || p.dst != link.MAC {
		return 0, nil, &k.stats.NotOurs
	}
	t := p.tuple()
	c := k.conns[t]
	fresh := c == nil
	var reply flow.Tuple
	if fresh {
		if p.proto == hwif.ProtoTCP && p.flags()&(hwif.TCPSyn|0x10) != hwif.TCPSyn {
			return 0, nil, &k.stats.Invalid // the middle of a connection that nobody knows
		}
		if reply, ok = k.translate(t); !ok {
			return 0, nil, &k.stats.NoRoute
		}
	} else {
		reply = c.entry.Reply
	}
	d := flow.Orig
	var leave flow.Tuple // the packet's tuple on the way out: the other direction's, turned round
	if !fresh && c.dir(t) == flow.Reply {
		d, leave = flow.Reply, c.entry.Orig.Reversed()
	} else {
		leave = reply.Reversed()
	}
	if k.local(leave.DstAddr()) {
		return 0, nil, &k.stats.ForUs
	}
	h, ok := k.lookup(leave.DstAddr())
	switch {
	case !ok:
		return 0, nil, &k.stats.NoRoute
	case *p.ttl() <= 1:
		return 0, nil, &k.stats.TTLExpired
	case len(p.ip) > int(h.mtu):
		return 0, nil, &k.stats.TooBig
	case h.mac.IsZero():
		return 0, nil, &k.stats.NoNeighbour
	}
	if !dry {
		if fresh {
			c = k.create(t, reply)
		}
		k.seen(c, d, p, fresh)
	}
	*p.ttl()--
	p.setTuple(leave)
	p.dst, p.src, p.vlan = h.mac, h.link.MAC, h.link.VLAN
	return h.link.Port, p.frame(), nil
}

// translate chooses the reply tuple of a new connection: the source address of
// the link that it leaves by, where that link masquerades, and the first free
// port at or above its own.
func (k *Kernel) translate(t flow.Tuple) (reply flow.Tuple, ok bool) {
	h, ok := k.lookup(t.DstAddr())
	if !ok {
		return reply, false
	}
	reply = t.Reversed()
	addr, masq := k.masquerade[h.link.Name]
	a, fam := hwif.AddrFrom(addr)
	if !masq || fam != t.Family {
		return reply, true
	}
	reply.Dst = a
	for range 1 << 16 {
		if reply.DstPort >= 1024 && k.conns[reply] == nil {
			return reply, true
		}
		reply.DstPort++
	}
	return reply, false
}
