package kernel

import (
	"fmt"
	"math"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// conn is one conntrack entry.
type conn struct {
	entry   flow.Entry // Has and Timeout are filled for each message
	created flow.Time
	expires flow.Time
	liberal bool // Prepare has been here
}

// Time-outs in seconds, the kernel's defaults (nf_conntrack_proto_{tcp,udp}.c).
const (
	udpTimeout, udpStreamTimeout = 30, 120
	udpStreamAfter               = flow.Time(2e9) // assured two seconds after creation
)

var tcpTimeouts = [...]uint32{
	flow.TCPSynSent: 120, flow.TCPSynRecv: 60, flow.TCPEstablished: 432000, flow.TCPFinWait: 120,
	flow.TCPCloseWait: 60, flow.TCPLastAck: 30, flow.TCPTimeWait: 120, flow.TCPClose: 10,
}

// dir is which direction a tuple of the entry is.
func (c *conn) dir(t flow.Tuple) flow.Dir {
	if t == c.entry.Orig {
		return flow.Orig
	}
	return flow.Reply
}

// tell posts what conntrack's socket would: counters stand in listings and DESTROY
// only. A start time, which is of the day, stands nowhere, as by the kernel's default
// (nf_conntrack_timestamp=0): this clock knows no day.
func (k *Kernel) tell(kind flow.ConnKind, c *conn) {
	k.post(flow.SourceConntrack, flow.Conns{k.message(kind, c)})
}

func (k *Kernel) message(kind flow.ConnKind, c *conn) flow.Conn {
	now := k.clock.Now()
	e := c.entry
	if kind != flow.ConnDestroy {
		e.Has |= flow.HasTimeout
		e.Timeout = uint32(max(0, c.expires-now) / 1e9)
	}
	if e.Orig.Proto == hwif.ProtoTCP {
		e.Has |= flow.HasTCP
	}
	if e.Mark != 0 {
		e.Has |= flow.HasMark
	}
	if kind == flow.ConnListed || kind == flow.ConnDestroy {
		e.Has |= flow.HasCounters
	} else {
		e.Packets, e.Bytes = [2]uint64{}, [2]uint64{}
	}
	return flow.Conn{Kind: kind, Entry: e, At: now}
}

// create makes an entry for a first packet; reply is already chosen.
func (k *Kernel) create(orig, reply flow.Tuple) *conn {
	now := k.clock.Now()
	k.lastID++
	c := &conn{created: now}
	c.entry = flow.Entry{Orig: orig, Reply: reply, ID: k.lastID, Status: flow.StatusConfirmed}
	if reply.Dst != orig.Src || reply.DstPort != orig.SrcPort {
		c.entry.Status |= flow.StatusSrcNAT | flow.StatusSrcNATDone
	}
	k.conns[orig], k.conns[reply] = c, c
	k.order = append(k.order, c)
	k.stats.Created++
	return c
}

// destroy ends an entry.
func (k *Kernel) destroy(c *conn) {
	delete(k.conns, c.entry.Orig)
	delete(k.conns, c.entry.Reply)
	k.order = slices.DeleteFunc(k.order, func(o *conn) bool { return o == c })
	c.entry.Status |= flow.StatusDying
	k.tell(flow.ConnDestroy, c)
}

// expire ends the entries whose time is up.
func (k *Kernel) expire() {
	now := k.clock.Now()
	if now < k.soonest {
		return
	}
	var dead []*conn
	k.soonest = math.MaxInt64
	for _, c := range k.order {
		if c.expires <= now {
			dead = append(dead, c)
		} else {
			k.soonest = min(k.soonest, c.expires)
		}
	}
	for _, c := range dead {
		k.stats.Expired++
		k.destroy(c)
	}
}

// setTimeout writes an entry's time-out, in seconds from now.
func (k *Kernel) setTimeout(c *conn, seconds uint32) {
	c.expires = k.clock.Now() + flow.Time(seconds)*1e9
	k.soonest = min(k.soonest, c.expires)
}

// DeleteConn ends the entry with this tuple, as conntrack -D does.
func (k *Kernel) DeleteConn(t flow.Tuple) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	c := k.conns[t]
	if c == nil {
		return fmt.Errorf("delete entry: no entry has %s", t)
	}
	k.destroy(c)
	return nil
}

// SetMark changes an entry's mark, as a rule with "ct mark set" does.
func (k *Kernel) SetMark(t flow.Tuple, mark uint32) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	c := k.conns[t]
	if c == nil {
		return fmt.Errorf("set mark: no entry has %s", t)
	}
	if c.entry.Mark != mark {
		c.entry.Mark = mark
		ev := k.message(flow.ConnUpdate, c)
		ev.Entry.Has |= flow.HasMark
		k.post(flow.SourceConntrack, flow.Conns{ev})
	}
	return nil
}

// Conns gives every entry as a listing would, oldest first.
func (k *Kernel) Conns() []flow.Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	var out []flow.Entry
	for _, c := range k.order {
		out = append(out, k.message(flow.ConnListed, c).Entry)
	}
	return out
}

// seen accounts for a packet of the entry, moves its state, and tells what changed.
func (k *Kernel) seen(c *conn, d flow.Dir, p *packet, fresh bool) {
	e := &c.entry
	now := k.clock.Now()
	before, state := e.Status, e.TCPState
	if d == flow.Reply {
		e.Status |= flow.StatusSeenReply
	}
	timeout := uint32(udpTimeout)
	if p.proto == hwif.ProtoTCP {
		e.TCPState = nextState(e.TCPState, d, p.flags())
		timeout = tcpTimeouts[e.TCPState]
		if e.TCPState == flow.TCPEstablished && e.Status&flow.StatusSeenReply != 0 {
			e.Status |= flow.StatusAssured
		}
	} else if e.Status&flow.StatusSeenReply != 0 && now-c.created > udpStreamAfter {
		e.Status |= flow.StatusAssured
		timeout = udpStreamTimeout
	}
	k.setTimeout(c, timeout)
	e.Packets[d]++
	e.Bytes[d] += uint64(len(p.ip))
	switch {
	case fresh:
		k.tell(flow.ConnNew, c)
	case e.Status != before || e.TCPState != state:
		k.tell(flow.ConnUpdate, c)
	}
}

// nextState is the part of conntrack's table (tcp_conntracks) that connections
// which behave walk through.
func nextState(s flow.TCPState, d flow.Dir, flags uint8) flow.TCPState {
	has := func(bit uint8) bool { return flags&bit != 0 }
	switch {
	case has(hwif.TCPRst):
		return flow.TCPClose
	case has(hwif.TCPSyn) && d == flow.Orig:
		return flow.TCPSynSent
	case has(hwif.TCPSyn) && s == flow.TCPSynSent:
		return flow.TCPSynRecv
	case has(hwif.TCPFin) && s == flow.TCPEstablished:
		return flow.TCPFinWait
	case has(hwif.TCPFin) && s == flow.TCPCloseWait:
		return flow.TCPLastAck
	case has(hwif.TCPFin) || has(hwif.TCPSyn):
		return s
	case s == flow.TCPSynRecv && d == flow.Orig:
		return flow.TCPEstablished
	case s == flow.TCPFinWait:
		return flow.TCPCloseWait
	case s == flow.TCPLastAck:
		return flow.TCPTimeWait
	}
	return s
}
