package wire

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Flags of a request's header.
const (
	flagCompact   = 1 << 0 // ETHTOOL_FLAG_COMPACT_BITSETS
	flagOmitReply = 1 << 1 // ETHTOOL_FLAG_OMIT_REPLY
)

// NoBit says that the number of a feature's bit is not known yet.
const NoBit = -1

// Feature is one ethtool feature of one interface.
type Feature struct {
	Ifindex  hwif.Ifindex
	Bit      int  // its number, NoBit when the message did not name it
	HW       bool // ETHTOOL_A_FEATURES_HW: may be changed
	Wanted   bool // ETHTOOL_A_FEATURES_WANTED
	Active   bool // ETHTOOL_A_FEATURES_ACTIVE
	NoChange bool // ETHTOOL_A_FEATURES_NOCHANGE
}

// AppendGetFeatures appends the body of ETHTOOL_MSG_FEATURES_GET. Compact bitsets
// are a tenth as long, but have no names: for who knows the bit's number.
func AppendGetFeatures(b []byte, i hwif.Ifindex, compact bool) []byte {
	hdr := PutU32(nil, unix.ETHTOOL_A_HEADER_DEV_INDEX, uint32(i))
	if compact {
		hdr = PutU32(hdr, unix.ETHTOOL_A_HEADER_FLAGS, flagCompact)
	}
	return PutNest(b, unix.ETHTOOL_A_FEATURES_HEADER, hdr)
}

// AppendSetFeature appends the body of ETHTOOL_MSG_FEATURES_SET for one feature.
// It is answered by the acknowledgement alone.
func AppendSetFeature(b []byte, i hwif.Ifindex, name string, on bool) []byte {
	hdr := PutU32(nil, unix.ETHTOOL_A_HEADER_DEV_INDEX, uint32(i))
	b = PutNest(b, unix.ETHTOOL_A_FEATURES_HEADER, PutU32(hdr, unix.ETHTOOL_A_HEADER_FLAGS, flagOmitReply))
	bit := PutString(nil, unix.ETHTOOL_A_BITSET_BIT_NAME, name)
	if on {
		bit = Put(bit, unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
	}
	bits := PutNest(nil, unix.ETHTOOL_A_BITSET_BITS_BIT, bit)
	return PutNest(b, unix.ETHTOOL_A_FEATURES_WANTED, PutNest(nil, unix.ETHTOOL_A_BITSET_BITS, bits))
}

// ParseFeature reads one feature out of ETHTOOL_MSG_FEATURES_GET_REPLY. bit is
// its number when known, for compact bitsets.
func ParseFeature(b []byte, name string, bit int) (Feature, error) {
	f := Feature{Bit: bit}
	w := walk{msg: "ETHTOOL_MSG_FEATURES_GET_REPLY", b: b}
	for w.next() {
		switch w.typ {
		case unix.ETHTOOL_A_FEATURES_HEADER:
			w.nest(func(w *walk) {
				if w.typ == unix.ETHTOOL_A_HEADER_DEV_INDEX {
					f.Ifindex = w.ifindex()
				}
			})
		case unix.ETHTOOL_A_FEATURES_HW:
			f.HW = f.in(&w, name)
		case unix.ETHTOOL_A_FEATURES_WANTED:
			f.Wanted = f.in(&w, name)
		case unix.ETHTOOL_A_FEATURES_ACTIVE:
			f.Active = f.in(&w, name)
		case unix.ETHTOOL_A_FEATURES_NOCHANGE:
			f.NoChange = f.in(&w, name)
		}
	}
	return f, w.err
}

// in reports whether the feature is in the bitset, compact or not, and learns
// its number from one that names it.
func (f *Feature) in(w *walk, name string) (on bool) {
	list := false
	w.nest(func(w *walk) {
		switch w.typ {
		case unix.ETHTOOL_A_BITSET_NOMASK:
			list = true // bits that are named are set
		case unix.ETHTOOL_A_BITSET_VALUE:
			if len(w.v)%4 != 0 {
				w.fail("bitset of %d bytes", len(w.v))
				return
			}
			if f.Bit >= 0 && f.Bit/32 < len(w.v)/4 {
				on = ne.Uint32(w.v[f.Bit/32*4:])>>(f.Bit%32)&1 == 1
			}
		case unix.ETHTOOL_A_BITSET_BITS:
			w.nest(func(w *walk) {
				if w.typ != unix.ETHTOOL_A_BITSET_BITS_BIT {
					return
				}
				if bit, set, ok := named(w, name); ok {
					f.Bit, on = bit, set || list
				}
			})
		}
	})
	return on
}

// named reads one ETHTOOL_A_BITSET_BITS_BIT; ok is whether it is the one.
func named(w *walk, name string) (bit int, set, ok bool) {
	bit = NoBit
	w.nest(func(w *walk) {
		switch w.typ {
		case unix.ETHTOOL_A_BITSET_BIT_INDEX:
			bit = int(w.u32())
		case unix.ETHTOOL_A_BITSET_BIT_NAME:
			ok = w.str() == name
		case unix.ETHTOOL_A_BITSET_BIT_VALUE:
			set = true
		}
	})
	return bit, set, ok
}
