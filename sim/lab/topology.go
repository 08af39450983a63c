package lab

import (
	"net/netip"
	"strconv"
)

// Interface names. Only lan0 and wan0 are ports of the NIC under test.
const (
	ClientPort = "c0"
	LANPort    = "lan0"
	WANPort    = "wan0"
	serverA    = "s0"
	serverB    = "s1"
)

// Prefixes are those reserved for documentation (RFC 5737, RFC 3849) and, for
// the client's side, for private use (RFC 1918).
var (
	Client4    = netip.MustParseAddr("10.77.0.2")
	Client6    = netip.MustParseAddr("2001:db8:1::2")
	RouterLAN4 = netip.MustParseAddr("10.77.0.1")
	RouterLAN6 = netip.MustParseAddr("2001:db8:1::1")
	RouterWAN4 = netip.MustParseAddr("192.0.2.1")
	RouterWAN6 = netip.MustParseAddr("2001:db8:2::1")
	Server4    = netip.MustParseAddr("198.51.100.10")
	Server6    = netip.MustParseAddr("2001:db8:9::10")
)

// Hop is one of the two ways to the server.
type Hop int

const (
	HopA Hop = iota
	HopB
)

func (h Hop) String() string { return string(rune('A' + h)) }

// Addr4 is the hop's address on the router's WAN.
func (h Hop) Addr4() netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(2 + h)}) }

// Addr6 is the hop's IPv6 address on the router's WAN.
func (h Hop) Addr6() netip.Addr { return netip.MustParseAddr("2001:db8:2::" + strconv.Itoa(2+int(h))) }

// Port is the hop's interface in the server's namespace.
func (h Hop) Port() string {
	if h == HopB {
		return serverB
	}
	return serverA
}

// Server is the server's address of the given IP version, 4 or 6.
func Server(version int) netip.Addr {
	if version == 6 {
		return Server6
	}
	return Server4
}

// Client is the client's address of the given IP version, 4 or 6.
func Client(version int) netip.Addr {
	if version == 6 {
		return Client6
	}
	return Client4
}
