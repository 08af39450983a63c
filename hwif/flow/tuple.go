package flow

import (
	"fmt"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
)

// Time is nanoseconds of the daemon's clock; only differences mean anything.
type Time int64

// Dir is a direction of a flow, as conntrack numbers it.
type Dir uint8

const (
	Orig  Dir = 0 // IP_CT_DIR_ORIGINAL
	Reply Dir = 1 // IP_CT_DIR_REPLY
)

func (d Dir) String() string {
	if d == Reply {
		return "reply"
	}
	return "orig"
}

// Other is the opposite direction.
func (d Dir) Other() Dir { return d ^ 1 }

// Tuple is one direction's addresses as they stand in packets that arrive:
// before NAT (CTA_TUPLE_ORIG, CTA_TUPLE_REPLY). 40 bytes, no pointer.
type Tuple struct {
	Src, Dst         hwif.Addr
	SrcPort, DstPort uint16 // host order; 0 for protocols without ports
	Zone             uint16 // conntrack zone of this direction
	Proto            uint8  // IP protocol number
	Family           hwif.Family
}

// Reversed swaps source and destination.
func (t Tuple) Reversed() Tuple {
	t.Src, t.Dst = t.Dst, t.Src
	t.SrcPort, t.DstPort = t.DstPort, t.SrcPort
	return t
}

// SrcAddr and DstAddr give the addresses for printing and look-up.
func (t Tuple) SrcAddr() netip.Addr { return t.Src.Netip(t.Family) }

// DstAddr is the destination as a netip.Addr.
func (t Tuple) DstAddr() netip.Addr { return t.Dst.Netip(t.Family) }

// String is "tcp 10.0.0.1:4000 > 10.0.0.2:80", with " zone 7" when not zero.
func (t Tuple) String() string {
	s := fmt.Sprintf("%s %s > %s", hwif.ProtoName(t.Proto),
		netip.AddrPortFrom(t.SrcAddr(), t.SrcPort), netip.AddrPortFrom(t.DstAddr(), t.DstPort))
	if t.Zone != 0 {
		s += fmt.Sprintf(" zone %d", t.Zone)
	}
	return s
}

// Check says why no packet of a forwarded flow can ever carry this tuple, or
// nil. It is what pins and denials are held against.
func (t Tuple) Check() error {
	src, dst := t.SrcAddr(), t.DstAddr()
	switch {
	case t.Family.EtherType() == 0:
		return fmt.Errorf("tuple has no address family")
	case t.Proto != hwif.ProtoTCP && t.Proto != hwif.ProtoUDP:
		return fmt.Errorf("protocol %s cannot be offloaded; use tcp or udp", hwif.ProtoName(t.Proto))
	case t.SrcPort == 0 || t.DstPort == 0:
		return fmt.Errorf("port 0 is not used by any connection")
	case src.IsUnspecified() || dst.IsUnspecified():
		return fmt.Errorf("address %s is unspecified", pick(src.IsUnspecified(), src, dst))
	case src.IsMulticast() || dst.IsMulticast():
		return fmt.Errorf("address %s is multicast", pick(src.IsMulticast(), src, dst))
	case src.IsLoopback() || dst.IsLoopback():
		return fmt.Errorf("address %s is loopback and never forwarded", pick(src.IsLoopback(), src, dst))
	case src.IsLinkLocalUnicast() || dst.IsLinkLocalUnicast():
		return fmt.Errorf("address %s is link-local and never forwarded", pick(src.IsLinkLocalUnicast(), src, dst))
	case t.Family == hwif.IPv4 && (src.As4() == [4]byte{255, 255, 255, 255} || dst.As4() == [4]byte{255, 255, 255, 255}):
		return fmt.Errorf("address 255.255.255.255 is broadcast and never forwarded")
	case src == dst:
		return fmt.Errorf("source and destination are both %s", src)
	}
	return nil
}

func pick(first bool, a, b netip.Addr) netip.Addr {
	if first {
		return a
	}
	return b
}
