package rpctest

import (
	"fmt"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Tuple reads "tcp", "10.0.0.1:4000", "192.0.2.1:80".
func Tuple(proto, src, dst string) (flow.Tuple, error) {
	s, err := netip.ParseAddrPort(src)
	if err != nil {
		return flow.Tuple{}, err
	}
	d, err := netip.ParseAddrPort(dst)
	if err != nil {
		return flow.Tuple{}, err
	}
	t := flow.Tuple{SrcPort: s.Port(), DstPort: d.Port(), Proto: hwif.ProtoTCP}
	switch proto {
	case "udp":
		t.Proto = hwif.ProtoUDP
	case "tcp":
	default:
		return t, fmt.Errorf("protocol %q", proto)
	}
	t.Src, t.Family = hwif.AddrFrom(s.Addr())
	t.Dst, _ = hwif.AddrFrom(d.Addr())
	return t, nil
}

// Entry is an established connection of that tuple, without NAT. It panics when
// the tuple cannot be read: tests write it.
func Entry(proto, src, dst string) flow.Entry {
	t, err := Tuple(proto, src, dst)
	if err != nil {
		panic(err)
	}
	return Established(t)
}

// Established is an entry with both directions seen, a thousand packets old.
func Established(t flow.Tuple) flow.Entry {
	e := flow.Entry{Orig: t, Reply: t.Reversed(), ID: 1, Timeout: 120,
		Status:  flow.StatusConfirmed | flow.StatusSeenReply | flow.StatusAssured,
		Has:     flow.HasTimeout | flow.HasCounters | flow.HasMark,
		Packets: [2]uint64{1000, 900}, Bytes: [2]uint64{64_000, 1_300_000}}
	if t.Proto == hwif.ProtoTCP {
		e.TCPState, e.Has = flow.TCPEstablished, e.Has|flow.HasTCP
	}
	return e
}

// Masqueraded is the entry behind a source address of the router's own.
func Masqueraded(e flow.Entry, by netip.AddrPort) flow.Entry {
	e.Reply.Dst, _ = hwif.AddrFrom(by.Addr())
	e.Reply.DstPort = by.Port()
	e.Status |= flow.StatusSrcNAT | flow.StatusSrcNATDone
	return e
}
