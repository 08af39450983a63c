package frame

import (
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
)

// TPIDs of VLAN tags.
const (
	TPID8021Q  uint16 = 0x8100
	TPID8021AD uint16 = 0x88a8
)

// Tag is one VLAN tag.
type Tag struct {
	TPID uint16 // 0 means TPID8021Q
	PCP  uint8
	VID  hwif.VLAN
}

// TCP flag bits beside hwif's.
const (
	PSH uint8 = 0x08
	ACK uint8 = 0x10
	URG uint8 = 0x20
	ECE uint8 = 0x40
	CWR uint8 = 0x80
)

// Spec is one frame in words. The zero value of a member leaves the field zero,
// except where it says otherwise.
type Spec struct {
	EthDst, EthSrc hwif.MAC
	Tags           []Tag // outermost first

	Src, Dst  netip.Addr // both of one family, which is the frame's
	TOS       uint8      // DSCP and ECN
	TTL       uint8      // TTL or hop limit
	ID        uint16     // IPv4 identification
	DF, MF    bool       // IPv4 flags
	FragOff   uint16     // IPv4 fragment offset in units of 8 bytes
	FlowLabel uint32     // IPv6

	// Options are IPv4 options; a multiple of four bytes.
	Options []byte
	// Ext are IPv6 extension headers between the IPv6 and the L4 header, each
	// whole but for its first byte, which Build fills; ExtProto names the first.
	Ext      [][]byte
	ExtProto []uint8

	Proto            uint8 // hwif.ProtoTCP, hwif.ProtoUDP, or another: then Payload follows IP
	SrcPort, DstPort uint16
	Seq, AckNo       uint32
	Flags            uint8 // TCP
	Window           uint16
	NoChecksum       bool // UDP: transmit no checksum (zero)
	Payload          []byte

	Pad int // bytes behind the IP packet, as a NIC pads short frames; 0xa5 each
}

// Family is the frame's, FamilyNone when Src is no address.
func (s *Spec) Family() hwif.Family {
	_, f := hwif.AddrFrom(s.Src)
	return f
}

// L2Len is the length of the Ethernet header with all tags.
func (s *Spec) L2Len() int { return 14 + 4*len(s.Tags) }

// L3Len is the length of the IP packet in bytes, which is what counters count.
func (s *Spec) L3Len() int {
	n := 20 + len(s.Options)
	if s.Family() == hwif.IPv6 {
		n = 40
	}
	for _, e := range s.Ext {
		n += len(e)
	}
	return n + s.l4Len() + len(s.Payload)
}

func (s *Spec) l4Len() int {
	switch s.Proto {
	case hwif.ProtoTCP:
		return 20
	case hwif.ProtoUDP:
		return 8
	}
	return 0
}
