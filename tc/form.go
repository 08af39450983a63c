package tc

import (
	"unsafe"

	"github.com/shunt-offload/shunt/hwif"
)

// form is the message of all filters of one make, which differ in values alone:
// what the tables write, and where each byte of the values stands in it. The
// tables themselves say where, when the form is learnt; to fill one in costs a
// sixth of what writing a message does.
type form struct {
	msg      []byte
	runs     []run
	protocol uint16
}

// run is n bytes of the values, from from on, that stand at at in the message.
type run struct {
	at      uint16
	from, n uint8
}

// makeOf is what filters of one form have in common: all of a filter that decides
// over what is written, and not just over a value in it.
type makeOf struct {
	fields                  hwif.FieldSet
	actions                 hwif.ActionSet
	chain                   uint32
	family                  hwif.Family
	proto                   uint8
	tcpFlags, tcpFlagsMask  uint8
	ttl, ttlMask            uint8
	tagged, anyTag, inBlock bool
	shape                   Shape
}

func makeOfFilter(f *Filter, s *Shape) makeOf {
	m := &f.Rule.Match
	return makeOf{m.Fields, f.Rule.Actions.Set, f.Chain, m.Family, m.Proto, m.TCPFlags, m.TCPFlagsMask, m.TTL, m.TTLMask,
		m.VLAN != 0, f.AnyTag, f.Block != 0, *s}
}

// values is all else of a filter, as bytes that are copied into messages. Ports
// are in network order, numbers in the machine's.
type values struct {
	place, handle, out       uint32
	prio, vlan, push         uint16
	sport, dport             [2]byte
	natSport, natDport       [2]byte
	ethDst, newSrc, newDst   hwif.MAC
	src, dst, natSrc, natDst hwif.Addr
	cookie                   hwif.Cookie
}

const sizeofValues = unsafe.Sizeof(values{})

func (v *values) bytes() *[sizeofValues]byte { return (*[sizeofValues]byte)(unsafe.Pointer(v)) }

func be(v uint16) [2]byte     { return [2]byte{byte(v >> 8), byte(v)} }
func fromBE(b [2]byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

// of takes a filter's values.
func (v *values) of(f *Filter) {
	m, a := &f.Rule.Match, &f.Rule.Actions
	v.place = uint32(f.Ifindex)
	if f.Block != 0 {
		v.place = f.Block
	}
	v.handle, v.out, v.prio, v.vlan, v.push = f.Handle, uint32(a.OutPort), f.Prio, uint16(m.VLAN), uint16(a.VLAN)
	v.sport, v.dport, v.natSport, v.natDport = be(m.SrcPort), be(m.DstPort), be(a.SrcPort), be(a.DstPort)
	v.ethDst, v.newSrc, v.newDst = m.EthDst, a.EthSrc, a.EthDst
	v.src, v.dst, v.natSrc, v.natDst = m.Src, m.Dst, a.IPSrc, a.IPDst
	v.cookie = f.Rule.Cookie
}

// put gives them to a filter; its make stays.
func (v *values) put(f *Filter) {
	m, a := &f.Rule.Match, &f.Rule.Actions
	if f.Block != 0 {
		f.Block = v.place
	} else {
		f.Ifindex, m.InPort = hwif.Ifindex(v.place), hwif.Ifindex(v.place)
	}
	f.Handle, a.OutPort, f.Prio, a.VLAN = v.handle, hwif.Ifindex(v.out), v.prio, hwif.VLAN(v.push)
	if m.VLAN != 0 {
		m.VLAN = hwif.VLAN(v.vlan)
	}
	m.SrcPort, m.DstPort, a.SrcPort, a.DstPort = fromBE(v.sport), fromBE(v.dport), fromBE(v.natSport), fromBE(v.natDport)
	m.EthDst, a.EthSrc, a.EthDst = v.ethDst, v.newSrc, v.newDst
	m.Src, m.Dst, a.IPSrc, a.IPDst = v.src, v.dst, v.natSrc, v.natDst
	f.Rule.Cookie = v.cookie
}

// Bytes that learning puts into values: none is 0, where a tag would be none.
const (
	plainByte  = 0x41
	markedByte = 0x82
)

// learn finds the form of a filter's make by writing it once for each byte of the
// values, with that byte marked. The second result is false when a byte is not
// written as it is; then there is no form.
func learn(f *Filter, s *Shape) (*form, bool) {
	x := *f
	var v values
	b := v.bytes()
	for i := range b {
		b[i] = plainByte
	}
	v.put(&x)
	fm := &form{msg: appendNew(nil, flagCreate|flagExcl, 0, &x, s), protocol: x.Protocol}
	from := make([]int, len(fm.msg)) // 1 + the place in values that a byte comes from
	for i := range b {
		b[i] = markedByte
		v.put(&x)
		b[i] = plainByte
		marked := appendNew(nil, flagCreate|flagExcl, 0, &x, s)
		if len(marked) != len(fm.msg) {
			return nil, false
		}
		for at, c := range marked {
			switch {
			case c == fm.msg[at]:
			case c != markedByte || fm.msg[at] != plainByte || from[at] != 0:
				return nil, false
			default:
				from[at] = i + 1
			}
		}
	}
	for at := 0; at < len(from); at++ {
		if from[at] == 0 {
			continue
		}
		r := run{at: uint16(at), from: uint8(from[at] - 1), n: 1}
		for at+1 < len(from) && from[at+1] == from[at]+1 {
			at++
			r.n++
		}
		fm.runs = append(fm.runs, r)
	}
	return fm, true
}

// append writes the message of one filter.
func (fm *form) append(b []byte, seq uint32, f *Filter) []byte {
	var v values
	v.of(f)
	src := v.bytes()
	at := len(b)
	b = append(b, fm.msg...)
	msg := b[at:]
	ne.PutUint32(msg[8:], seq)
	for _, r := range fm.runs {
		switch to, from := msg[r.at:], src[r.from:]; r.n { // the usual ones without a call
		case 2:
			*(*[2]byte)(to) = [2]byte(from)
		case 4:
			*(*[4]byte)(to) = [4]byte(from)
		case 6:
			*(*[6]byte)(to) = [6]byte(from)
		case 16:
			*(*[16]byte)(to) = [16]byte(from)
		default:
			copy(to, from[:r.n])
		}
	}
	f.Protocol = fm.protocol
	return b
}

// Encoder writes filters by forms that it learns as it meets them. The zero value
// is ready; it is not safe for several goroutines.
type Encoder struct {
	known map[makeOf]*form
	last  *form
	mk    makeOf // of last
}

// mostForms bounds them; beyond, filters are written by the tables. A card that
// matches one TTL has a form for each.
const mostForms = 512

// Append writes the message that adds the filter, as the function Append does, but
// for NLM_F_ACK.
func (e *Encoder) Append(b []byte, seq uint32, f *Filter, s *Shape) ([]byte, error) {
	if err := complete(f); err != nil {
		return b, err
	}
	mk := makeOfFilter(f, s)
	if e.last == nil || e.mk != mk {
		fm, err := e.form(mk, f, s)
		if err != nil {
			return b, err
		}
		e.last, e.mk = fm, mk
	}
	if err := checkValues(f); err != nil {
		return b, err
	}
	if e.last == nil {
		return appendNew(b, flagCreate|flagExcl, seq, f, s), nil
	}
	return e.last.append(b, seq, f), nil
}

// form gives the form of a make: known, or learnt from f, which has to pass Check;
// nil when there is none.
func (e *Encoder) form(mk makeOf, f *Filter, s *Shape) (*form, error) {
	if fm := e.known[mk]; fm != nil {
		return fm, nil
	}
	if err := Check(f, s); err != nil {
		return nil, err
	}
	if len(e.known) >= mostForms {
		return nil, nil
	}
	fm, ok := learn(f, s)
	if !ok {
		return nil, nil
	}
	if e.known == nil {
		e.known = map[makeOf]*form{}
	}
	e.known[mk] = fm
	return fm, nil
}
