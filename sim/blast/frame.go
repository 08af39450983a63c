package blast

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

// Size is the length of the frame in bytes, the smallest on Ethernet with its FCS.
const Size = 64

// Frame is UDP over IPv4 in one Ethernet frame of 64 bytes.
type Frame struct {
	SrcMAC, DstMAC net.HardwareAddr
	Src, Dst       netip.AddrPort
}

// Bytes builds the frame. The UDP checksum is 0: none (RFC 768).
func (f *Frame) Bytes() ([Size]byte, error) {
	var b [Size]byte
	if len(f.SrcMAC) != 6 || len(f.DstMAC) != 6 || !f.Src.Addr().Is4() || !f.Dst.Addr().Is4() {
		return b, errors.New("a frame takes two MACs of 6 bytes and two IPv4 addresses")
	}
	copy(b[0:], f.DstMAC)
	copy(b[6:], f.SrcMAC)
	binary.BigEndian.PutUint16(b[12:], 0x0800)
	ip := b[14:34]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], Size-14)
	ip[6] = 0x40 // don't fragment
	ip[8] = 64   // TTL
	ip[9] = 17
	src, dst := f.Src.Addr().As4(), f.Dst.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	udp := b[34:]
	binary.BigEndian.PutUint16(udp[0:], f.Src.Port())
	binary.BigEndian.PutUint16(udp[2:], f.Dst.Port())
	binary.BigEndian.PutUint16(udp[4:], Size-34)
	return b, nil
}

// checksum is the Internet checksum (RFC 1071) of a header whose own is zero.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
