package traffic

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
)

// Kinds of datagram. The client says hello until the server answers with ready;
// then both send data; at the end the client asks for the server's report.
const (
	kindHello  byte = iota + 1 // request as JSON
	kindReady                  // no body
	kindData                   // filled from the seed and the number
	kindAsk                    // no body
	kindReport                 // UDPReport as JSON
)

// headerLen is magic 4, kind 1, zero 3, session 8, number 8, checksum 4, zero 4.
const headerLen = 32

var (
	magic      = [4]byte{'s', 'h', 'n', 't'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	noSum      = make([]byte, 4) // what stands in the checksum's place while it is computed
	errCorrupt = errors.New("datagram is corrupt")
)

// datagram is one decoded datagram; Body shares the receive buffer.
type datagram struct {
	kind    byte
	session uint64
	number  uint64
	body    []byte
}

// encode writes the header in front of the body, which already stands at
// b[headerLen:], and the checksum over the whole.
func encode(b []byte, kind byte, session, number uint64) []byte {
	clear(b[:headerLen])
	copy(b, magic[:])
	b[4] = kind
	binary.BigEndian.PutUint64(b[8:], session)
	binary.BigEndian.PutUint64(b[16:], number)
	binary.BigEndian.PutUint32(b[24:], crc32.Checksum(b, castagnoli))
	return b
}

// decode checks and reads a datagram. It leaves b as it was.
func decode(b []byte) (datagram, error) {
	if len(b) < headerLen || [4]byte(b) != magic {
		return datagram{}, errCorrupt
	}
	sum := crc32.Checksum(b[:24], castagnoli)
	sum = crc32.Update(sum, castagnoli, noSum)
	sum = crc32.Update(sum, castagnoli, b[28:])
	if sum != binary.BigEndian.Uint32(b[24:]) {
		return datagram{}, errCorrupt
	}
	return datagram{b[4], binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]), b[headerLen:]}, nil
}

// fill writes the body of one data datagram: no two are alike, so a payload
// under another's header is found out.
func fill(body []byte, seed, number uint64) {
	s := rand.NewPCG(seed, number)
	for len(body) >= 8 {
		binary.LittleEndian.PutUint64(body, s.Uint64())
		body = body[8:]
	}
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], s.Uint64())
	copy(body, last[:])
}

// filled reports whether body is what fill wrote.
func filled(body []byte, seed, number uint64) bool {
	s := rand.NewPCG(seed, number)
	for len(body) >= 8 {
		if binary.LittleEndian.Uint64(body) != s.Uint64() {
			return false
		}
		body = body[8:]
	}
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], s.Uint64())
	return string(body) == string(last[:len(body)])
}
