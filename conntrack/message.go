package conntrack

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// header is the part of struct nlmsghdr that a reader needs.
type header struct {
	Type, Flags uint16
	Seq, Pid    uint32
}

// nextMessage cuts the first netlink message off a datagram. msg includes its
// header and is exactly nlmsg_len bytes long.
func nextMessage(b []byte) (h header, msg, rest []byte, err error) {
	if len(b) < headerLen {
		return h, nil, nil, &DecodeError{Attr: "nlmsghdr", Text: fmt.Sprintf("%d bytes left, need %d", len(b), headerLen)}
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < headerLen || n > len(b) {
		return h, nil, nil, &DecodeError{Attr: "nlmsghdr", Text: fmt.Sprintf("length %d in %d bytes", uint32(n), len(b))}
	}
	h.Type = binary.NativeEndian.Uint16(b[4:])
	h.Flags = binary.NativeEndian.Uint16(b[6:])
	h.Seq = binary.NativeEndian.Uint32(b[8:])
	h.Pid = binary.NativeEndian.Uint32(b[12:])
	return h, b[:n], b[min(align(n), len(b)):], nil
}

// errno gives the error that an NLMSG_ERROR or NLMSG_DONE message carries; 0
// is an acknowledgement.
func errno(msg []byte) unix.Errno {
	if len(msg) < headerLen+4 {
		return 0
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(msg[headerLen:])))
}

func align(n int) int { return (n + 3) &^ 3 }

// begin appends a netlink and an nfnetlink header and gives the place where the
// message starts, for end.
func begin(b []byte, typ, flags uint16, seq uint32, family uint8) ([]byte, int) {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, family, unix.NFNETLINK_V0, 0, 0), at
}

// end writes the length of the message that began at.
func end(b []byte, at int) []byte {
	binary.NativeEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// nest appends the head of a nested attribute; endNest writes its length.
func nest(b []byte, typ uint16) ([]byte, int) {
	at := len(b)
	b = append(b, 0, 0)
	return binary.NativeEndian.AppendUint16(b, typ|nlaNested), at
}

func endNest(b []byte, at int) []byte {
	binary.NativeEndian.PutUint16(b[at:], uint16(len(b)-at))
	return b
}

// attr appends one attribute with padding.
func attr(b []byte, typ uint16, v ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func attr16(b []byte, typ, v uint16) []byte {
	return attr(b, typ, byte(v>>8), byte(v))
}

func attr32(b []byte, typ uint16, v uint32) []byte {
	return attr(b, typ, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}
