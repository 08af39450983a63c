package sim

import "encoding/binary"

// checksum is an Internet checksum as it stands in a header, updated in place
// when a word that it covers changes: HC' = ~(~HC + ~m + m') (RFC 1624, eqn. 3).
// The sum of at least one non-zero word never folds to zero, so that the result
// is never 0xffff unless HC was, and equals what a computation from scratch
// gives.
type checksum uint16

// replace accounts for one 16-bit word that changes from old to new.
func (c checksum) replace(old, new uint16) checksum {
	sum := uint32(^uint16(c)) + uint32(^old) + uint32(new)
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	return checksum(^uint16(sum))
}

// replaceBytes accounts for a run of whole words that changes from old to new.
func (c checksum) replaceBytes(old, new []byte) checksum {
	for i := 0; i+1 < len(old); i += 2 {
		c = c.replace(binary.BigEndian.Uint16(old[i:]), binary.BigEndian.Uint16(new[i:]))
	}
	return c
}
