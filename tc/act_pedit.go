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
// action changes. A word keeps the bits of keep; v and back move the rest between
// the wire and the actions.
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
	v    func(a *hwif.Actions, w *[4]byte)
	back func(a *hwif.Actions, w [4]byte)
}

var (
	none    = [4]byte{}
	keepLo  = [4]byte{0, 0, 255, 255} // the last two bytes stay
	keepHi  = [4]byte{255, 255, 0, 0}
	keepTTL = [4]byte{0, 255, 255, 255} // all but the first byte
	keepHop = [4]byte{255, 255, 255, 0}
)

// edits is the table, in the order in which keys are written.
var edits = [...]edit{
	{hwif.ActEthSrc, 0, 0, peditEth, []word{
		{4, keepHi, func(a *hwif.Actions, w *[4]byte) { w[2], w[3] = a.EthSrc[0], a.EthSrc[1] },
			func(a *hwif.Actions, w [4]byte) { a.EthSrc[0], a.EthSrc[1] = w[2], w[3] }},
		{8, none, func(a *hwif.Actions, w *[4]byte) { copy(w[:], a.EthSrc[2:]) },
			func(a *hwif.Actions, w [4]byte) { copy(a.EthSrc[2:], w[:]) }},
	}},
	{hwif.ActEthDst, 0, 0, peditEth, []word{
		{0, none, func(a *hwif.Actions, w *[4]byte) { copy(w[:], a.EthDst[:4]) },
			func(a *hwif.Actions, w [4]byte) { copy(a.EthDst[:4], w[:]) }},
		{4, keepLo, func(a *hwif.Actions, w *[4]byte) { w[0], w[1] = a.EthDst[4], a.EthDst[5] },
			func(a *hwif.Actions, w [4]byte) { a.EthDst[4], a.EthDst[5] = w[0], w[1] }},
	}},
	{hwif.ActDecTTL, hwif.IPv4, 0, peditIP4, []word{{off: 8, keep: keepTTL}}},
	{hwif.ActDecTTL, hwif.IPv6, 0, peditIP6, []word{{off: 4, keep: keepHop}}},
	{hwif.ActIPSrc, hwif.IPv4, 0, peditIP4, []word{addrWord(12, 0, srcOf)}},
	{hwif.ActIPSrc, hwif.IPv6, 0, peditIP6, []word{addrWord(8, 0, srcOf), addrWord(12, 4, srcOf), addrWord(16, 8, srcOf), addrWord(20, 12, srcOf)}},
	{hwif.ActIPDst, hwif.IPv4, 0, peditIP4, []word{addrWord(16, 0, dstOf)}},
	{hwif.ActIPDst, hwif.IPv6, 0, peditIP6, []word{addrWord(24, 0, dstOf), addrWord(28, 4, dstOf), addrWord(32, 8, dstOf), addrWord(36, 12, dstOf)}},
	{hwif.ActL4Src, 0, hwif.ProtoTCP, peditTCP, []word{srcPort}},
	{hwif.ActL4Src, 0, hwif.ProtoUDP, peditUDP, []word{srcPort}},
	{hwif.ActL4Dst, 0, hwif.ProtoTCP, peditTCP, []word{dstPort}},
	{hwif.ActL4Dst, 0, hwif.ProtoUDP, peditUDP, []word{dstPort}},
}

func srcOf(a *hwif.Actions) *hwif.Addr { return &a.IPSrc }
func dstOf(a *hwif.Actions) *hwif.Addr { return &a.IPDst }

func addrWord(off uint32, at int, of func(*hwif.Actions) *hwif.Addr) word {
	return word{off, none, func(a *hwif.Actions, w *[4]byte) { copy(w[:], of(a)[at:at+4]) },
		func(a *hwif.Actions, w [4]byte) { copy(of(a)[at:at+4], w[:]) }}
}

var (
	srcPort = word{0, keepLo, func(a *hwif.Actions, w *[4]byte) { binary.BigEndian.PutUint16(w[:], a.SrcPort) },
		func(a *hwif.Actions, w [4]byte) { a.SrcPort = binary.BigEndian.Uint16(w[:]) }}
	dstPort = word{0, keepHi, func(a *hwif.Actions, w *[4]byte) { binary.BigEndian.PutUint16(w[2:], a.DstPort) },
		func(a *hwif.Actions, w [4]byte) { a.DstPort = binary.BigEndian.Uint16(w[2:]) }}
)

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
	for _, need := range []struct {
		kind  hwif.ActionKind
		field hwif.Field
	}{{hwif.ActDecTTL, hwif.FieldEthType}, {hwif.ActIPSrc, hwif.FieldIPProto}, {hwif.ActIPDst, hwif.FieldIPProto},
		{hwif.ActL4Src, hwif.FieldIPProto}, {hwif.ActL4Dst, hwif.FieldIPProto}} {
		if r.Actions.Set.Has(need.kind) && !r.Match.Fields.Has(need.field) {
			return need.kind, "the match has no " + need.field.String()
		}
	}
	if s.SetTTL && r.Actions.Set.Has(hwif.ActDecTTL) && (!r.Match.Fields.Has(hwif.FieldTTL) || r.Match.TTLMask != 0xff || r.Match.TTL < 2) {
		return hwif.ActDecTTL, "the card sets the TTL, so the match has to name one above 1"
	}
	return 0, ""
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
	n := 0
	for i := range edits {
		if edits[i].fits(r) {
			n += len(edits[i].words)
		}
	}
	b = gen(attrHead(b, peditParmsEx, sizeofPeditSel+n*sizeofPeditKey), actPipe)
	b = append(b, byte(n), 0, 0, 0)
	for i := range edits {
		e := &edits[i]
		if !e.fits(r) {
			continue
		}
		for k := range e.words {
			b = writeWord(b, e, &e.words[k], r, s)
		}
	}
	b, outer := nest(b, peditKeysEx)
	for i := range edits {
		e := &edits[i]
		if !e.fits(r) {
			continue
		}
		cmd := uint16(peditSet)
		if e.kind == hwif.ActDecTTL {
			_, cmd = ttlWord(r, s)
		}
		for range e.words {
			var one int
			b, one = nest(b, peditKeyEx)
			b = attrU16(b, peditExHtype, e.htype)
			b = attrU16(b, peditExCmd, cmd)
			b = unnest(b, one)
		}
	}
	return unnest(b, outer)
}

// writeWord is struct tc_pedit_key: mask, val, off, at, offmask, shift; mask and
// val as they lie in the packet.
func writeWord(b []byte, e *edit, w *word, r *hwif.Rule, s *Shape) []byte {
	var v [4]byte
	switch {
	case w.v != nil:
		w.v(&r.Actions, &v)
	case e.fam == hwif.IPv6:
		v[3], _ = ttlWord(r, s)
	default:
		v[0], _ = ttlWord(r, s)
	}
	b = append(append(b, w.keep[:]...), v[:]...)
	b = ne.AppendUint32(b, w.off)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}
