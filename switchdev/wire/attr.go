package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

var ne = binary.NativeEndian

const (
	attrLen = 4 // struct nlattr
	// attrMask leaves out NLA_F_NESTED and NLA_F_NET_BYTEORDER.
	attrMask = 0x3fff
	nested   = 0x8000 // NLA_F_NESTED
)

// Error is a message that is not what the kernel sends.
type Error struct {
	Msg  string // RTM_NEWLINK, DEVLINK_CMD_PORT_NEW, …
	Attr string // "attribute 38", or the header
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("malformed %s: %s: %s", e.Msg, e.Attr, e.Text) }

// walk goes through attributes. The first fault ends it and stays in err.
type walk struct {
	msg string
	b   []byte
	typ uint16
	v   []byte
	err error
}

// next moves to the next attribute.
func (w *walk) next() bool {
	if w.err != nil || len(w.b) == 0 {
		return false
	}
	if len(w.b) < attrLen {
		w.fail("%d bytes are left over", len(w.b))
		return false
	}
	n := int(ne.Uint16(w.b))
	w.typ = ne.Uint16(w.b[2:]) & attrMask
	if n < attrLen || n > len(w.b) {
		w.fail("length %d with %d bytes left", n, len(w.b))
		return false
	}
	w.v = w.b[attrLen:n]
	w.b = w.b[min((n+3)&^3, len(w.b)):]
	return true
}

func (w *walk) fail(format string, args ...any) {
	if w.err == nil {
		w.err = &Error{Msg: w.msg, Attr: fmt.Sprintf("attribute %d", w.typ), Text: fmt.Sprintf(format, args...)}
	}
}

// nest calls each for every attribute inside the present one.
func (w *walk) nest(each func(w *walk)) {
	in := walk{msg: w.msg, b: w.v}
	for in.next() {
		each(&in)
	}
	if in.err != nil && w.err == nil {
		w.err = in.err
	}
}

// size reports whether the value is n bytes long, and fails when it is not.
func (w *walk) size(n int) bool {
	if len(w.v) != n {
		w.fail("%d bytes, want %d", len(w.v), n)
		return false
	}
	return true
}

func (w *walk) u8() (v uint8) {
	if w.size(1) {
		v = w.v[0]
	}
	return v
}

func (w *walk) u16() (v uint16) {
	if w.size(2) {
		v = ne.Uint16(w.v)
	}
	return v
}

func (w *walk) be16() (v uint16) {
	if w.size(2) {
		v = binary.BigEndian.Uint16(w.v)
	}
	return v
}

func (w *walk) u32() (v uint32) {
	if w.size(4) {
		v = ne.Uint32(w.v)
	}
	return v
}

func (w *walk) u64() (v uint64) {
	if w.size(8) {
		v = ne.Uint64(w.v)
	}
	return v
}

func (w *walk) ifindex() hwif.Ifindex { return hwif.Ifindex(w.u32()) }

// str is the value up to its first zero byte.
func (w *walk) str() string {
	for i, c := range w.v {
		if c == 0 {
			return string(w.v[:i])
		}
	}
	return string(w.v)
}

// mac is the value when it is an Ethernet address; other link layers have other
// lengths, which are no fault.
func (w *walk) mac() (m hwif.MAC) {
	if len(w.v) == len(m) {
		copy(m[:], w.v)
	}
	return m
}

// Put appends an attribute.
func Put(b []byte, typ uint16, v []byte) []byte {
	b = ne.AppendUint16(b, uint16(attrLen+len(v)))
	b = ne.AppendUint16(b, typ)
	b = append(b, v...)
	for len(b)&3 != 0 {
		b = append(b, 0)
	}
	return b
}

// PutString appends a string with its zero byte.
func PutString(b []byte, typ uint16, s string) []byte { return Put(b, typ, append([]byte(s), 0)) }

// PutU16 appends a number.
func PutU16(b []byte, typ, v uint16) []byte { return Put(b, typ, ne.AppendUint16(nil, v)) }

// PutU32 appends a number.
func PutU32(b []byte, typ uint16, v uint32) []byte { return Put(b, typ, ne.AppendUint32(nil, v)) }

// PutNest appends attributes as one.
func PutNest(b []byte, typ uint16, v []byte) []byte { return Put(b, typ|nested, v) }
