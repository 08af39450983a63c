package sim

import (
	"encoding/binary"

	"github.com/shunt-offload/shunt/hwif"
)

// tpid8021Q announces a VLAN tag (IEEE 802.1Q).
const tpid8021Q = 0x8100

// header is what the pipeline knows of a frame: the values that a Match can
// compare, and where the headers lie.
type header struct {
	match hwif.Match // every member that the frame has; Fields, masks unset
	tags  int        // VLAN tags, 0 or 1
	frag  bool       // a fragment of IP, or an IPv6 fragment header
	ports bool       // match has ports: TCP or UDP right behind the IP header
	plain bool       // no IPv4 options, no contradiction between lengths
	l3    int        // offset of the IP header
	l4    int        // offset of what follows it
	len   int        // of the IP packet, bytes
}

// parse reads a frame as a card's parser does: Ethernet, at most one 802.1Q tag,
// IPv4 or IPv6, TCP or UDP. ok is false for a frame that no rule can be about.
func parse(in hwif.Ifindex, b []byte) (h header, ok bool) {
	if len(b) < 14 {
		return h, false
	}
	h.match.InPort = in
	h.match.EthDst = hwif.MAC(b[:6])
	h.l3 = 14
	et := binary.BigEndian.Uint16(b[12:])
	if et == tpid8021Q {
		if len(b) < 18 {
			return h, false
		}
		h.match.VLAN = hwif.VLAN(binary.BigEndian.Uint16(b[14:]) & 0xfff)
		et, h.tags, h.l3 = binary.BigEndian.Uint16(b[16:]), 1, 18
		if h.match.VLAN == 0 { // a priority tag is neither a VLAN nor none
			return h, false
		}
	}
	switch et {
	case hwif.IPv4.EtherType():
		ok = h.ipv4(b[h.l3:])
	case hwif.IPv6.EtherType():
		ok = h.ipv6(b[h.l3:])
	}
	if ok && !h.frag {
		h.transport(b[h.l4 : h.l3+h.len])
	}
	return h, ok
}

func (h *header) ipv4(ip []byte) bool {
	if len(ip) < 20 || ip[0]>>4 != 4 {
		return false
	}
	ihl := int(ip[0]&15) * 4
	h.len = int(binary.BigEndian.Uint16(ip[2:]))
	if ihl < 20 || h.len < ihl || h.len > len(ip) {
		return false
	}
	h.plain = ihl == 20
	h.frag = binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 // MF or an offset
	h.l4 = h.l3 + ihl
	m := &h.match
	m.Family, m.TTL, m.Proto = hwif.IPv4, ip[8], ip[9]
	copy(m.Src[:], ip[12:16])
	copy(m.Dst[:], ip[16:20])
	return true
}

const ipv6Fragment = 44

func (h *header) ipv6(ip []byte) bool {
	if len(ip) < 40 || ip[0]>>4 != 6 {
		return false
	}
	h.len = 40 + int(binary.BigEndian.Uint16(ip[4:]))
	if h.len > len(ip) {
		return false
	}
	h.plain = true
	h.l4 = h.l3 + 40
	m := &h.match
	m.Family, m.Proto, m.TTL = hwif.IPv6, ip[6], ip[7]
	m.Src, m.Dst = hwif.Addr(ip[8:24]), hwif.Addr(ip[24:40])
	h.frag = m.Proto == ipv6Fragment
	return true
}

// transport reads ports and flags from the L4 header, and holds its length
// against the packet's as conntrack does (udp_error, tcp_error).
func (h *header) transport(l4 []byte) {
	m := &h.match
	switch {
	case m.Proto == hwif.ProtoTCP && len(l4) >= 20:
		m.TCPFlags = l4[13]
		doff := int(l4[12]>>4) * 4
		h.plain = h.plain && doff >= 20 && doff <= len(l4)
	case m.Proto == hwif.ProtoUDP && len(l4) >= 8:
		n := int(binary.BigEndian.Uint16(l4[4:]))
		h.plain = h.plain && n >= 8 && n <= len(l4)
	default:
		return
	}
	h.ports = true
	m.SrcPort, m.DstPort = binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
}

// project is the frame as a rule of shape s sees it: equal to the rule's Match
// exactly when the frame matches. ok is false when the frame lacks a field.
func (h *header) project(s shape) (m hwif.Match, ok bool) {
	f := s.fields
	m.Fields, m.TCPFlagsMask, m.TTLMask = f, s.tcpFlagsMask, s.ttlMask
	if f&(1<<hwif.FieldNotFrag) != 0 && h.frag {
		return m, false
	}
	if f&(1<<hwif.FieldL4Src|1<<hwif.FieldL4Dst) != 0 && !h.ports ||
		f&(1<<hwif.FieldTCPFlags) != 0 && (!h.ports || h.match.Proto != hwif.ProtoTCP) {
		return m, false
	}
	has := func(x hwif.Field) bool { return f&(1<<x) != 0 }
	if has(hwif.FieldInPort) {
		m.InPort = h.match.InPort
	}
	if has(hwif.FieldEthDst) {
		m.EthDst = h.match.EthDst
	}
	if has(hwif.FieldVLAN) {
		m.VLAN = h.match.VLAN
	}
	// A rule on addresses is for one family, whether it compares the ethertype or
	// leaves that to them.
	if f&(1<<hwif.FieldEthType|1<<hwif.FieldIPSrc|1<<hwif.FieldIPDst) != 0 {
		m.Family = h.match.Family
	}
	if has(hwif.FieldIPProto) {
		m.Proto = h.match.Proto
	}
	if has(hwif.FieldIPSrc) {
		m.Src = h.match.Src
	}
	if has(hwif.FieldIPDst) {
		m.Dst = h.match.Dst
	}
	if has(hwif.FieldL4Src) {
		m.SrcPort = h.match.SrcPort
	}
	if has(hwif.FieldL4Dst) {
		m.DstPort = h.match.DstPort
	}
	m.TCPFlags = h.match.TCPFlags & s.tcpFlagsMask
	m.TTL = h.match.TTL & s.ttlMask
	return m, true
}
