package tc

import "github.com/shunt-offload/shunt/hwif"

// counter reads TCA_ACT_STATS: hardware's share where the kernel tells it apart
// (TCA_STATS_BASIC_HW), with packets in 64 bits where they need them. For a
// skip_sw filter the whole is hardware's.
func counter(b []byte) (hwif.Counter, bool) {
	var all, hw hwif.Counter
	var hasAll, hasHW bool
	for typ, v := range attrs(b) {
		switch typ {
		case statsBasic:
			if len(v) >= 12 { // struct gnet_stats_basic: bytes u64, packets u32
				all, hasAll = hwif.Counter{Bytes: ne.Uint64(v), Packets: uint64(ne.Uint32(v[8:]))}, true
			}
		case statsBasicHW:
			if len(v) >= 12 {
				hw, hasHW = hwif.Counter{Bytes: ne.Uint64(v), Packets: uint64(ne.Uint32(v[8:]))}, true
			}
		case statsPkt64: // belongs to the one before it (gen_stats.c:___gnet_stats_copy_basic)
			if len(v) == 8 {
				if hasHW {
					hw.Packets = ne.Uint64(v)
				} else {
					all.Packets = ne.Uint64(v)
				}
			}
		}
	}
	if hasHW {
		return hw, true
	}
	return all, hasAll
}

// Tally is one filter in a terse dump: who it is and what it counted.
type Tally struct {
	Prio    uint16
	Handle  uint32
	Flags   Flags
	Cookie  hwif.Cookie // of the last action; zero without one
	Counter hwif.Counter
}

// tally reads one message of a terse dump. It allocates nothing.
func tally(body []byte, t *Tally) bool {
	*t = Tally{}
	if len(body) < sizeofTcmsg {
		return false
	}
	t.Handle = ne.Uint32(body[8:])
	t.Prio = uint16(ne.Uint32(body[16:]) >> 16)
	flower := false
	var opts []byte
	b := body[sizeofTcmsg:]
	for len(b) >= 4 {
		typ, v, rest := attr(b)
		if typ == 0 && v == nil {
			return false
		}
		switch typ {
		case tcaKind:
			flower = string(trimmed(v)) == "flower"
		case tcaOptions:
			opts = v
		}
		b = rest
	}
	if !flower || t.Handle == 0 {
		return false
	}
	for len(opts) >= 4 {
		typ, v, rest := attr(opts)
		if typ == 0 && v == nil {
			return false
		}
		switch {
		case typ == flowerFlags && len(v) == 4:
			t.Flags = Flags(ne.Uint32(v))
		case typ == flowerAct:
			tallyActs(v, t)
		}
		opts = rest
	}
	return true
}

// tallyActs keeps the last action's numbers: each has the same from hardware.
func tallyActs(b []byte, t *Tally) {
	for len(b) >= 4 {
		typ, one, rest := attr(b)
		if typ == 0 && one == nil {
			return
		}
		for len(one) >= 4 {
			typ, v, rest := attr(one)
			if typ == 0 && v == nil {
				break
			}
			switch typ {
			case actStats:
				if c, ok := counter(v); ok {
					t.Counter = c
				}
			case actCookie:
				if len(v) == len(t.Cookie) {
					copy(t.Cookie[:], v)
				}
			}
			one = rest
		}
		b = rest
	}
}

// attr takes the first attribute off b; type 0 with nil when it is malformed.
func attr(b []byte) (typ uint16, v, rest []byte) {
	n := int(ne.Uint16(b))
	if n < 4 || n > len(b) {
		return 0, nil, nil
	}
	return ne.Uint16(b[2:]) & attrMask, b[4:n:n], b[min(align4(n), len(b)):]
}
