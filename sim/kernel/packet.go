package kernel

import (
	"encoding/binary"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// packet is a frame taken apart: an IP packet without options or extension
// headers, with TCP or UDP in it, and the Ethernet header around it.
type packet struct {
	dst, src hwif.MAC
	vlan     hwif.VLAN
	family   hwif.Family
	proto    uint8
	ip       []byte // the packet, without padding; a copy
	l4       []byte // the part of ip behind the IP header
}

const (
	ethertypeVLAN = 0x8100
	ipv4Header    = 20
	ipv6Header    = 40
)

// parse takes a frame apart. ok is false for what this kernel has no code for.
func parse(b []byte) (p *packet, ok bool) {
	if len(b) < 14 {
		return nil, false
	}
	p = &packet{dst: hwif.MAC(b[0:6]), src: hwif.MAC(b[6:12])}
	et, rest := binary.BigEndian.Uint16(b[12:]), b[14:]
	if et == ethertypeVLAN && len(rest) >= 4 {
		p.vlan = hwif.VLAN(binary.BigEndian.Uint16(rest) & 0xfff)
		et, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	var length, head int
	switch {
	case et == 0x0800 && len(rest) >= ipv4Header && rest[0] == 0x45:
		p.family, p.proto = hwif.IPv4, rest[9]
		length, head = int(binary.BigEndian.Uint16(rest[2:])), ipv4Header
		if binary.BigEndian.Uint16(rest[6:])&0x3fff != 0 || sum(rest[:ipv4Header], 0) != 0xffff {
			return nil, false
		}
	case et == 0x86dd && len(rest) >= ipv6Header && rest[0]>>4 == 6:
		p.family, p.proto = hwif.IPv6, rest[6]
		length, head = ipv6Header+int(binary.BigEndian.Uint16(rest[4:])), ipv6Header
	default:
		return nil, false
	}
	least := map[uint8]int{hwif.ProtoTCP: 20, hwif.ProtoUDP: 8}[p.proto]
	if least == 0 || length > len(rest) || length < head+least {
		return nil, false
	}
	p.ip = append([]byte(nil), rest[:length]...)
	p.l4 = p.ip[head:]
	return p, p.proto != hwif.ProtoUDP && p.checksumValid() || p.proto == hwif.ProtoUDP && (p.field() == 0 || p.checksumValid())
}

// frame puts the packet together again.
func (p *packet) frame() []byte {
	out := append(append(make([]byte, 0, 18+len(p.ip)), p.dst[:]...), p.src[:]...)
	if p.vlan != 0 {
		out = binary.BigEndian.AppendUint16(out, ethertypeVLAN)
		out = binary.BigEndian.AppendUint16(out, uint16(p.vlan))
	}
	out = binary.BigEndian.AppendUint16(out, p.family.EtherType())
	return append(out, p.ip...)
}

// tuple is what conntrack sees.
func (p *packet) tuple() flow.Tuple {
	t := flow.Tuple{Family: p.family, Proto: p.proto,
		SrcPort: binary.BigEndian.Uint16(p.l4), DstPort: binary.BigEndian.Uint16(p.l4[2:])}
	src, dst := p.addrs()
	copy(t.Src[:], src)
	copy(t.Dst[:], dst)
	return t
}

// addrs are the addresses' places in the header.
func (p *packet) addrs() (src, dst []byte) {
	if p.family == hwif.IPv4 {
		return p.ip[12:16], p.ip[16:20]
	}
	return p.ip[8:24], p.ip[24:40]
}

// setTuple writes addresses and ports, and makes the checksums anew.
func (p *packet) setTuple(t flow.Tuple) {
	src, dst := p.addrs()
	copy(src, t.Src[:len(src)])
	copy(dst, t.Dst[:len(dst)])
	binary.BigEndian.PutUint16(p.l4, t.SrcPort)
	binary.BigEndian.PutUint16(p.l4[2:], t.DstPort)
	p.seal()
}

// ttl is the place of the TTL or hop limit.
func (p *packet) ttl() *uint8 {
	if p.family == hwif.IPv4 {
		return &p.ip[8]
	}
	return &p.ip[7]
}

func (p *packet) flags() uint8 {
	if p.proto == hwif.ProtoTCP {
		return p.l4[13]
	}
	return 0
}

// at is the offset of the checksum in l4.
func (p *packet) at() int {
	if p.proto == hwif.ProtoTCP {
		return 16
	}
	return 6
}

func (p *packet) field() uint16 { return binary.BigEndian.Uint16(p.l4[p.at():]) }

// pseudo is the sum over the pseudo header (RFC 9293, RFC 8200).
func (p *packet) pseudo() uint32 {
	src, dst := p.addrs()
	return uint32(sum(src, uint32(sum(dst, uint32(p.proto)+uint32(len(p.l4))))))
}

func (p *packet) checksumValid() bool { return sum(p.l4, p.pseudo()) == 0xffff }

// seal computes the checksums from scratch. A UDP sender that sent none sends
// none (RFC 768).
func (p *packet) seal() {
	if p.family == hwif.IPv4 {
		binary.BigEndian.PutUint16(p.ip[10:], 0)
		binary.BigEndian.PutUint16(p.ip[10:], ^sum(p.ip[:ipv4Header], 0))
	}
	if p.proto == hwif.ProtoUDP && p.field() == 0 {
		return
	}
	binary.BigEndian.PutUint16(p.l4[p.at():], 0)
	c := ^sum(p.l4, p.pseudo())
	if c == 0 && p.proto == hwif.ProtoUDP {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(p.l4[p.at():], c)
}

// sum is the one's complement sum of b, continued from an earlier one.
func sum(b []byte, from uint32) uint16 {
	total := uint64(from)
	for ; len(b) >= 2; b = b[2:] {
		total += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		total += uint64(b[0]) << 8
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
