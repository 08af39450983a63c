package tc

import (
	"encoding/binary"
	"iter"
)

var ne = binary.NativeEndian

// attrMask leaves out NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const attrMask = 0x3fff

func align4(n int) int { return (n + 3) &^ 3 }

// header begins a message and returns where its length goes.
func header(b []byte, typ, flags uint16, seq uint32) ([]byte, int) {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, seq)
	return append(b, 0, 0, 0, 0), at
}

// finish writes the length of the message that began at at.
func finish(b []byte, at int) []byte {
	ne.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

func attrHead(b []byte, typ uint16, n int) []byte {
	b = ne.AppendUint16(b, uint16(4+n))
	return ne.AppendUint16(b, typ)
}

func pad(b []byte) []byte {
	for len(b)&3 != 0 {
		b = append(b, 0)
	}
	return b
}

func attrBytes(b []byte, typ uint16, v []byte) []byte {
	return pad(append(attrHead(b, typ, len(v)), v...))
}

func attrString(b []byte, typ uint16, v string) []byte {
	return pad(append(append(attrHead(b, typ, len(v)+1), v...), 0))
}

func attrU8(b []byte, typ uint16, v uint8) []byte { return pad(append(attrHead(b, typ, 1), v)) }

func attrU16(b []byte, typ, v uint16) []byte {
	return pad(ne.AppendUint16(attrHead(b, typ, 2), v))
}

func attrBE16(b []byte, typ, v uint16) []byte {
	return pad(binary.BigEndian.AppendUint16(attrHead(b, typ, 2), v))
}

func attrU32(b []byte, typ uint16, v uint32) []byte {
	return ne.AppendUint32(attrHead(b, typ, 4), v)
}

func attrBE32(b []byte, typ uint16, v uint32) []byte {
	return binary.BigEndian.AppendUint32(attrHead(b, typ, 4), v)
}

// attrBits is struct nla_bitfield32: these bits on, no others named.
func attrBits(b []byte, typ uint16, v uint32) []byte {
	return ne.AppendUint32(ne.AppendUint32(attrHead(b, typ, 8), v), v)
}

// nest begins an attribute whose end is not known, and returns where its length
// goes. tc itself leaves NLA_F_NESTED out, and so do we.
func nest(b []byte, typ uint16) ([]byte, int) {
	at := len(b)
	return attrHead(b, typ, 0), at
}

func unnest(b []byte, at int) []byte {
	ne.PutUint16(b[at:], uint16(len(b)-at))
	return b
}

// attrs walks attributes and stops at the first that is malformed.
func attrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(ne.Uint16(b))
			if n < 4 || n > len(b) {
				return
			}
			if !yield(ne.Uint16(b[2:])&attrMask, b[4:n]) {
				return
			}
			b = b[min(align4(n), len(b)):]
		}
	}
}

// whole reports whether b is nothing but well-formed attributes.
func whole(b []byte) bool {
	for len(b) >= 4 {
		n := int(ne.Uint16(b))
		if n < 4 || n > len(b) {
			return false
		}
		b = b[min(align4(n), len(b)):]
	}
	return len(b) == 0
}

// message is one netlink message.
type message struct {
	typ, flags uint16
	seq        uint32
	body       []byte
}

// messages walks a datagram and stops at the first message that is malformed.
func messages(b []byte) iter.Seq[message] {
	return func(yield func(message) bool) {
		for len(b) >= sizeofNlmsghdr {
			n := int(ne.Uint32(b))
			if n < sizeofNlmsghdr || n > len(b) {
				return
			}
			m := message{typ: ne.Uint16(b[4:]), flags: ne.Uint16(b[6:]), seq: ne.Uint32(b[8:]), body: b[sizeofNlmsghdr:n]}
			if !yield(m) {
				return
			}
			b = b[min(align4(n), len(b)):]
		}
	}
}

// cstring is a string attribute without its end.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
