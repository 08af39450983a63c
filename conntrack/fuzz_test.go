package conntrack

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// FuzzDecode: whatever the bytes, no panic and a named error; what is accepted
// is whole, stable, and, where the other decoder accepts it too, the same.
func FuzzDecode(f *testing.F) {
	for _, line := range recorded(f) {
		f.Add(bytesOf(f, line))
	}
	f.Add(message(2, tuple4(ctaTupleOrig, 6, 1, 2), tuple4(ctaTupleReply, 6, 2, 1), attr16(nil, ctaZone, 3), nested(ctaHelp)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			h, msg, rest, err := nextMessage(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			b = rest
			fuzzOne(t, h, msg)
		}
	})
}

func fuzzOne(t *testing.T, h header, msg []byte) {
	e := flow.Entry{Mark: 0xdead, Has: 0xffff} // must not show through
	if err := Decode(msg, &e); err != nil {
		var de *DecodeError
		if !errors.As(err, &de) || de.Attr == "" || de.Text == "" {
			t.Fatalf("error without a name: %#v", err)
		}
		return
	}
	if e.Orig.Family == hwif.FamilyNone || e.Reply.Family != e.Orig.Family || e.Orig.Proto == 0 || e.Reply.Proto != e.Orig.Proto {
		t.Fatalf("half an entry: %+v", e)
	}
	if e.Has&flow.HasMark == 0 && e.Mark != 0 || e.Has&flow.HasTimeout == 0 && e.Timeout != 0 {
		t.Fatalf("values that are not there: %+v", e)
	}
	if h.Type != typeNew && h.Type != typeDelete || !plain(msg[attrsAt:]) {
		return
	}
	want, err := oracle(msg)
	if err != nil {
		return // stricter than we are about nests and children that it does not know
	}
	if e.Orig.Src.Netip(e.Orig.Family).Is4In6() || e.Orig.Dst.Netip(e.Orig.Family).Is4In6() ||
		e.Reply.Src.Netip(e.Orig.Family).Is4In6() || e.Reply.Dst.Netip(e.Orig.Family).Is4In6() {
		return // the comparison unmaps these
	}
	got := comparable(e)
	if e.Has&flow.HasTCP == 0 {
		// Flags without a state, which no kernel sends.
		want.TCPState, want.TCPFlags, want.Has, got.TCPFlags = 0, [2]uint8{}, 0, [2]uint8{}
	}
	if e.Has&flow.HasStart != 0 && int64(e.Start) <= 0 {
		want.Start, got.Start = 0, 0 // before 1970 for the other one
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("% x\n(-other +ours):\n%s", msg, d)
	}
}

// plain reports whether decoders must agree on b: no attribute twice in one
// place (the last wins here, as in the kernel's nla_parse), and no type above
// 255, of which the other one looks at the low byte alone.
func plain(b []byte) bool {
	seen := make(map[uint16]bool)
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok || typ > 255 || seen[typ] {
			return false
		}
		seen[typ] = true
		if binary.NativeEndian.Uint16(b[2:])&nlaNested != 0 && !plain(v) {
			return false
		}
		b = rest
	}
	return true
}
