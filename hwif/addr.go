package hwif

import (
	"fmt"
	"net/netip"
)

// Family is an L3 protocol, valued by its IP version number.
type Family uint8

const (
	FamilyNone Family = 0
	IPv4       Family = 4
	IPv6       Family = 6
)

func (f Family) String() string {
	switch f {
	case IPv4:
		return "ipv4"
	case IPv6:
		return "ipv6"
	}
	return "none"
}

// EtherType is the family's ethertype in host order, 0 for FamilyNone.
func (f Family) EtherType() uint16 {
	switch f {
	case IPv4:
		return 0x0800
	case IPv6:
		return 0x86dd
	}
	return 0
}

// L4 protocol numbers that a rule can match with ports (IANA).
const (
	ProtoTCP uint8 = 6
	ProtoUDP uint8 = 17
)

// ProtoName names an IP protocol as conntrack does, or gives its number.
func ProtoName(p uint8) string {
	switch p {
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case 1:
		return "icmp"
	case 58:
		return "icmpv6"
	case 47:
		return "gre"
	case 132:
		return "sctp"
	}
	return fmt.Sprintf("proto-%d", p)
}

// Addr is an IP address in network order without its family: an IPv4 address
// takes the first four bytes and leaves the rest zero. It holds no pointer, so
// a table of a million costs the garbage collector nothing.
type Addr [16]byte

// AddrFrom converts a; zones are dropped and 4-in-6 forms are unmapped.
func AddrFrom(a netip.Addr) (Addr, Family) {
	a = a.Unmap()
	var out Addr
	switch {
	case a.Is4():
		b := a.As4()
		copy(out[:], b[:])
		return out, IPv4
	case a.Is6():
		return Addr(a.As16()), IPv6
	}
	return out, FamilyNone
}

// Netip gives the address as a netip.Addr of family f; invalid for FamilyNone.
func (a Addr) Netip(f Family) netip.Addr {
	switch f {
	case IPv4:
		return netip.AddrFrom4([4]byte(a[:4]))
	case IPv6:
		return netip.AddrFrom16(a)
	}
	return netip.Addr{}
}

// IsZero reports whether every byte is zero.
func (a Addr) IsZero() bool { return a == Addr{} }

// MAC is an EUI-48 address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// IsZero reports whether the address is all zero, as an unresolved neighbour's is.
func (m MAC) IsZero() bool { return m == MAC{} }

// IsUnicast reports whether a frame may be sent to m: not zero, group bit clear.
func (m MAC) IsUnicast() bool { return !m.IsZero() && m[0]&1 == 0 }

// VLAN is an 802.1Q VLAN id, 1..4094; 0 means untagged.
type VLAN uint16

// Valid reports whether the id may stand in a rule (0 included).
func (v VLAN) Valid() bool { return v < 4095 }
