package rtnl

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

var ne = binary.NativeEndian

const (
	hdrLen  = unix.NLMSG_HDRLEN
	attrLen = 4 // struct nlattr
	// attrMask leaves out NLA_F_NESTED and NLA_F_NET_BYTEORDER.
	attrMask = 0x3fff
)

func align4(n int) int { return (n + 3) &^ 3 }

// Msg is one netlink message; Body is what follows the header.
type Msg struct {
	Type  uint16
	Flags uint16
	Seq   uint32
	Body  []byte
}

// Messages walks the messages in b and stops at the first that is malformed.
func Messages(b []byte) iter.Seq[Msg] {
	return func(yield func(Msg) bool) {
		for len(b) >= hdrLen {
			n := int(ne.Uint32(b))
			if n < hdrLen || n > len(b) {
				return
			}
			m := Msg{Type: ne.Uint16(b[4:]), Flags: ne.Uint16(b[6:]), Seq: ne.Uint32(b[8:]), Body: b[hdrLen:n]}
			if !yield(m) {
				return
			}
			b = b[min(align4(n), len(b)):]
		}
	}
}

// attrs walks attributes and stops at the first that is malformed.
func attrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= attrLen {
			n := int(ne.Uint16(b))
			if n < attrLen || n > len(b) {
				return
			}
			if !yield(ne.Uint16(b[2:])&attrMask, b[attrLen:n]) {
				return
			}
			b = b[min(align4(n), len(b)):]
		}
	}
}

// tail is b after n bytes, empty when there are none.
func tail(b []byte, n int) []byte {
	if len(b) < n {
		return nil
	}
	return b[n:]
}

func u16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return ne.Uint16(b)
}

func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return ne.Uint32(b)
}

func be16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// family is the address family of an AF_ constant, FamilyNone for others.
func family(af byte) hwif.Family {
	switch af {
	case unix.AF_INET:
		return hwif.IPv4
	case unix.AF_INET6:
		return hwif.IPv6
	}
	return hwif.FamilyNone
}

// AF is the AF_ constant of f, AF_UNSPEC for FamilyNone.
func AF(f hwif.Family) byte {
	switch f {
	case hwif.IPv4:
		return unix.AF_INET
	case hwif.IPv6:
		return unix.AF_INET6
	}
	return unix.AF_UNSPEC
}

func addrBytes(f hwif.Family) int {
	if f == hwif.IPv4 {
		return 4
	}
	return 16
}

// addr takes an address of family f from an attribute.
func addr(f hwif.Family, b []byte) (a hwif.Addr) {
	if f != hwif.FamilyNone && len(b) >= addrBytes(f) {
		copy(a[:], b[:addrBytes(f)])
	}
	return a
}

// begin appends a header whose length end fills in.
func begin(b []byte, typ, flags uint16, seq uint32) ([]byte, int) {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, seq)
	return append(b, 0, 0, 0, 0), at
}

func end(b []byte, at int) []byte {
	ne.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

func put(b []byte, typ uint16, data []byte) []byte {
	b = ne.AppendUint16(b, uint16(attrLen+len(data)))
	b = ne.AppendUint16(b, typ)
	b = append(b, data...)
	for len(b)&3 != 0 {
		b = append(b, 0)
	}
	return b
}

func put32(b []byte, typ uint16, v uint32) []byte {
	b = ne.AppendUint16(b, attrLen+4)
	b = ne.AppendUint16(b, typ)
	return ne.AppendUint32(b, v)
}

func putPort(b []byte, typ uint16, v uint16) []byte {
	b = ne.AppendUint16(b, attrLen+2)
	b = ne.AppendUint16(b, typ)
	return append(b, byte(v>>8), byte(v), 0, 0)
}
