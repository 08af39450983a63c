package tc

import (
	"encoding/binary"

	"github.com/shunt-offload/shunt/hwif"
)

const (
	peditParmsEx   = 4 // TCA_PEDIT_PARMS_EX
	peditKeysEx    = 5
	peditKeyEx     = 6
	peditExHtype   = 1 // TCA_PEDIT_KEY_EX_HTYPE
	peditExCmd     = 2
	peditEth       = 1 // TCA_PEDIT_KEY_EX_HDR_TYPE_ETH
	peditIP4       = 2
	peditIP6       = 3
	peditTCP       = 4
	peditUDP       = 5
	peditSet       = 0  // TCA_PEDIT_KEY_EX_CMD_SET
	peditAdd       = 1  // TCA_PEDIT_KEY_EX_CMD_ADD
	sizeofPeditSel = 24 // struct tc_pedit_sel without keys
	sizeofPeditKey = 24 // struct tc_pedit_key
)

// edit is one row of the table of rewrites: the 32-bit words that one kind of
// action changes. A word keeps the bits of keep; the rest comes from the actions.
type edit struct {
	kind  hwif.ActionKind
	fam   hwif.Family // of the rule, FamilyNone for any
	proto uint8       // of the rule, 0 for any
	htype uint16
	words []word
}

type word struct {
	off  uint32
	keep [4]byte
	from source
	at   uint8 // of the first byte in the source
	lo   uint8 // of the first byte in the word
	n    uint8
}

// source is where a word's bytes are in the actions. It is no function, so that
// nothing of a rule goes to the heap.
type source uint8

const (
	fromTTL source = iota // not in the actions
	fromEthSrc
	fromEthDst
	fromIPSrc
	fromIPDst
	fromSrcPort
	fromDstPort
)

// get gives the word's bytes as they lie in the packet.
func (w *word) get(a *hwif.Actions) (v [4]byte) {
	switch w.from {
	case fromEthSrc:
		copy(v[w.lo:w.lo+w.n], a.EthSrc[w.at:])
	case fromEthDst:
		copy(v[w.lo:w.lo+w.n], a.EthDst[w.at:])
	case fromIPSrc:
		copy(v[:], a.IPSrc[w.at:])
	case fromIPDst:
		copy(v[:], a.IPDst[w.at:])
	case fromSrcPort:
		binary.BigEndian.PutUint16(v[w.lo:], a.SrcPort)
	case fromDstPort:
		binary.BigEndian.PutUint16(v[w.lo:], a.DstPort)
	}
	return v
}

// put is the way back.
func (w *word) put(a *hwif.Actions, v [4]byte) {
	switch w.from {
	case fromEthSrc:
		copy(a.EthSrc[w.at:w.at+w.n], v[w.lo:])
	case fromEthDst:
		copy(a.EthDst[w.at:w.at+w.n], v[w.lo:])
	case fromIPSrc:
		copy(a.IPSrc[w.at:w.at+4], v[:])
	case fromIPDst:
		copy(a.IPDst[w.at:w.at+4], v[:])
	case fromSrcPort:
		a.SrcPort = binary.BigEndian.Uint16(v[w.lo:])
	case fromDstPort:
		a.DstPort = binary.BigEndian.Uint16(v[w.lo:])
	}
}

var (
	whole4  = [4]byte{}
	keepLo  = [4]byte{0, 0, 255, 255} // the last two bytes stay
	keepHi  = [4]byte{255, 255, 0, 0}
	keepTTL = [4]byte{0, 255, 255, 255} // all but the first byte
	keepHop = [4]byte{255, 255, 255, 0}
)

// edits is the table, in the order in which keys are written.
var edits = [...]edit{
	{hwif.ActEthSrc, 0, 0, peditEth, []word{{4, keepHi, fromEthSrc, 0, 2, 2}, {8, whole4, fromEthSrc, 2, 0, 4}}},
	{hwif.ActEthDst, 0, 0, peditEth, []word{{0, whole4, fromEthDst, 0, 0, 4}, {4, keepLo, fromEthDst, 4, 0, 2}}},
	{hwif.ActDecTTL, hwif.IPv4, 0, peditIP4, []word{{off: 8, keep: keepTTL, lo: 0}}},
	{hwif.ActDecTTL, hwif.IPv6, 0, peditIP6, []word{{off: 4, keep: keepHop, lo: 3}}},
	{hwif.ActIPSrc, hwif.IPv4, 0, peditIP4, []word{{12, whole4, fromIPSrc, 0, 0, 4}}},
	{hwif.ActIPSrc, hwif.IPv6, 0, peditIP6, []word{{8, whole4, fromIPSrc, 0, 0, 4}, {12, whole4, fromIPSrc, 4, 0, 4},
		{16, whole4, fromIPSrc, 8, 0, 4}, {20, whole4, fromIPSrc, 12, 0, 4}}},
	{hwif.ActIPDst, hwif.IPv4, 0, peditIP4, []word{{16, whole4, fromIPDst, 0, 0, 4}}},
	{hwif.ActIPDst, hwif.IPv6, 0, peditIP6, []word{{24, whole4, fromIPDst, 0, 0, 4}, {28, whole4, fromIPDst, 4, 0, 4},
		{32, whole4, fromIPDst, 8, 0, 4}, {36, whole4, fromIPDst, 12, 0, 4}}},
	{hwif.ActL4Src, 0, hwif.ProtoTCP, peditTCP, []word{{0, keepLo, fromSrcPort, 0, 0, 2}}},
	{hwif.ActL4Src, 0, hwif.ProtoUDP, peditUDP, []word{{0, keepLo, fromSrcPort, 0, 0, 2}}},
	{hwif.ActL4Dst, 0, hwif.ProtoTCP, peditTCP, []word{{0, keepHi, fromDstPort, 0, 2, 2}}},
	{hwif.ActL4Dst, 0, hwif.ProtoUDP, peditUDP, []word{{0, keepHi, fromDstPort, 0, 2, 2}}},
}

// fits reports whether the row is the one for this rule.
func (e *edit) fits(r *hwif.Rule) bool {
	return r.Actions.Set.Has(e.kind) && (e.fam == 0 || e.fam == r.Match.Family) && (e.proto == 0 || e.proto == r.Match.Proto)
}

// whyPedit: each kind needs a row, which needs the family and, for ports, the
// protocol in the match: a word at the wrong header would spoil the frame.
func whyPedit(f *Filter, s *Shape) (hwif.ActionKind, string) {
	r := &f.Rule
	left := r.Actions.Set & pedits
	for i := range edits {
		if edits[i].fits(r) {
			left = left.Without(edits[i].kind)
		}
	}
	if kind, ok := left.First(); ok {
		return kind, "the match names neither family nor protocol for it"
	}
	for i := range needs {
		if r.Actions.Set.Has(needs[i].kind) && !r.Match.Fields.Has(needs[i].field) {
			return needs[i].kind, "the match has no field that names its header"
		}
	}
	if !r.Actions.Set.Has(hwif.ActCsum) {
		return hwif.ActCsum, "is missing: checksums follow what is rewritten, in every card"
	}
	if s.SetTTL && r.Actions.Set.Has(hwif.ActDecTTL) && (!r.Match.Fields.Has(hwif.FieldTTL) || r.Match.TTLMask != 0xff || r.Match.TTL < 2) {
		return hwif.ActDecTTL, "the card sets the TTL, so the match has to name one above 1"
	}
	return 0, ""
}

// needs are the match fields without which a kind's header is not known.
var needs = [...]struct {
	kind  hwif.ActionKind
	field hwif.Field
}{
	{hwif.ActDecTTL, hwif.FieldEthType}, {hwif.ActIPSrc, hwif.FieldIPProto}, {hwif.ActIPDst, hwif.FieldIPProto},
	{hwif.ActL4Src, hwif.FieldIPProto}, {hwif.ActL4Dst, hwif.FieldIPProto},
}

// ttlWord is what DecTTL writes at its byte, and how.
func ttlWord(r *hwif.Rule, s *Shape) (byte, uint16) {
	if s.SetTTL {
		return r.Match.TTL - 1, peditSet
	}
	return 0xff, peditAdd
}

func writePedit(b []byte, f *Filter, s *Shape) []byte {
	r := &f.Rule
	var rows [len(edits)]*edit
	n, words := 0, 0
	for i := range edits {
		if e := &edits[i]; e.fits(r) {
			rows[n] = e
			n++
			words += len(e.words)
		}
	}
	b = gen(attrHead(b, peditParmsEx, sizeofPeditSel+words*sizeofPeditKey), actPipe)
	b = append(b, byte(words), 0, 0, 0)
	ttl, ttlCmd := ttlWord(r, s)
	for _, e := range rows[:n] {
		for k := range e.words {
			w := &e.words[k]
			v := w.get(&r.Actions)
			if w.from == fromTTL {
				v[w.lo] = ttl
			}
			// struct tc_pedit_key: mask, val, off, at, offmask, shift.
			b = append(b, w.keep[0], w.keep[1], w.keep[2], w.keep[3], v[0], v[1], v[2], v[3])
			b = ne.AppendUint32(b, w.off)
			b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		}
	}
	b, outer := nest(b, peditKeysEx)
	for _, e := range rows[:n] {
		cmd := uint16(peditSet)
		if e.kind == hwif.ActDecTTL {
			cmd = ttlCmd
		}
		for range e.words {
			b = attrHead(b, peditKeyEx, 16)
			b = attrU16(b, peditExHtype, e.htype)
			b = attrU16(b, peditExCmd, cmd)
		}
	}
	return unnest(b, outer)
}
