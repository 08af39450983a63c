package xdp

import "encoding/binary"

// sum16 adds 16-bit words as they lie in memory (RFC 1071). A delta is such a
// sum of ~old and new; the program adds it to ~checksum (RFC 1624, eqn. 3).
type sum16 uint32

// replace adds the change from old to new, which have the same even length.
func (s *sum16) replace(old, new []byte) {
	for i := 0; i < len(old); i += 2 {
		*s += sum16(^binary.NativeEndian.Uint16(old[i:]))
		*s += sum16(binary.NativeEndian.Uint16(new[i:]))
	}
}

// fold brings the sum to 16 bits. It is 0 only if nothing was added but zeros.
func (s sum16) fold() uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
