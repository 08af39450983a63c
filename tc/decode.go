package tc

import (
	"errors"
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// errMalformed says that the kernel's words were not understood at all.
var errMalformed = errors.New("malformed filter message")

// Decode reads one message that tells of a filter (RTM_NEWTFILTER or
// RTM_DELTFILTER, after struct nlmsghdr) into f, which it resets. It gives false
// for another classifier's filter and for the line that a dump has for a
// classifier itself, whose handle is 0. What the tables have no row for is named
// in f.Strange.
func Decode(body []byte, s *Shape, f *Filter) (bool, error) {
	*f = Filter{Strange: f.Strange[:0]}
	if len(body) < sizeofTcmsg || !whole(body[sizeofTcmsg:]) {
		return false, errMalformed
	}
	index := ne.Uint32(body[4:])
	if index == blockMagic {
		f.Block = ne.Uint32(body[12:])
	} else {
		f.Ifindex = hwif.Ifindex(index)
	}
	f.Handle = ne.Uint32(body[8:])
	info := ne.Uint32(body[16:])
	f.Prio, f.Protocol = uint16(info>>16), swap(uint16(info))
	var opts []byte
	flower := false
	for typ, v := range attrs(body[sizeofTcmsg:]) {
		switch typ {
		case tcaKind:
			flower = cstring(v) == "flower"
		case tcaChain:
			if len(v) != 4 {
				return false, errMalformed
			}
			f.Chain = ne.Uint32(v)
		case tcaOptions:
			opts = v
		}
	}
	if !flower || f.Handle == 0 {
		return false, nil
	}
	if !whole(opts) {
		return false, errMalformed
	}
	d := decoder{f: f, s: s}
	d.options(opts)
	return true, nil
}

// decoder reads the options of one filter.
type decoder struct {
	f *Filter
	s *Shape

	ethType, vlanEth uint16
	hasEth, hasVLAN  bool
	hasPrio          bool
	masks            uint32 // of the rows of masked that were exact
	seen             uint32 // of the rows of masked
	acts             []byte
}

func (d *decoder) strange(format string, args ...any) {
	d.f.Strange = append(d.f.Strange, fmt.Sprintf(format, args...))
}

func (d *decoder) options(b []byte) {
	for typ, v := range attrs(b) {
		if !d.key(typ, v) {
			d.strange("flower attribute %d", typ)
		}
	}
	d.ports()
	d.ethertypes()
	d.exact()
	if d.f.Block == 0 {
		d.f.Rule.Match.Fields |= hwif.FieldsOf(hwif.FieldInPort)
		d.f.Rule.Match.InPort = d.f.Ifindex
	}
	d.actions(d.acts)
}

// key reads one attribute; false when it is none of ours, or not of our form.
func (d *decoder) key(typ uint16, v []byte) bool {
	m := &d.f.Rule.Match
	switch typ {
	case flowerAct:
		d.acts = v
		return whole(v)
	case flowerFlags:
		if len(v) != 4 {
			return false
		}
		d.f.Flags = Flags(ne.Uint32(v))
		return true
	case flowerInHWCount:
		if len(v) != 4 {
			return false
		}
		d.f.InHWCount = ne.Uint32(v)
		return true
	case flowerEthType:
		d.ethType, d.hasEth = be16(v)
		return d.hasEth
	case flowerVLANEth:
		var ok bool
		d.vlanEth, ok = be16(v)
		return ok
	case flowerVLANID:
		if len(v) != 2 {
			return false
		}
		d.hasVLAN, m.VLAN = true, hwif.VLAN(ne.Uint16(v))
		return m.VLAN.Valid() && m.VLAN != 0
	case flowerVLANPrio:
		d.hasPrio = len(v) == 1 && v[0] == 0
		return d.hasPrio
	case flowerIPProto:
		if len(v) != 1 {
			return false
		}
		m.Fields |= hwif.FieldsOf(hwif.FieldIPProto)
		m.Proto = v[0]
		return true
	case flowerTTL, flowerTTLM:
		if len(v) != 1 {
			return false
		}
		m.Fields |= hwif.FieldsOf(hwif.FieldTTL)
		if typ == flowerTTL {
			m.TTL = v[0]
		} else {
			m.TTLMask = v[0]
		}
		return true
	case flowerTCPFlags, flowerTCPFlagsM:
		x, ok := be16(v)
		if !ok || x > 0xff {
			return false
		}
		m.Fields |= hwif.FieldsOf(hwif.FieldTCPFlags)
		if typ == flowerTCPFlags {
			m.TCPFlags = uint8(x)
		} else {
			m.TCPFlagsMask = uint8(x)
		}
		return true
	case flowerKeyFlags:
		return len(v) == 4 && v[0]|v[1]|v[2]|v[3] == 0 // not a fragment
	case flowerKeyFlagsM:
		m.Fields |= hwif.FieldsOf(hwif.FieldNotFrag)
		return len(v) == 4 && v[0]|v[1]|v[2] == 0 && v[3] == keyFlagIsFragment
	}
	return d.maskedKey(typ, v)
}

// ethertypes puts together what flower tells apart. A tagged filter is sent with
// the tag's type in ETH_TYPE and the frame's in VLAN_ETH_TYPE; the kernel tells it
// with the frame's in both (cls_flower.c:fl_dump_key), and the tag's in the
// classifier's protocol, if that is not "all".
func (d *decoder) ethertypes() {
	m := &d.f.Rule.Match
	eth, tagged := d.ethType, d.hasVLAN || d.vlanEth != 0
	switch {
	case !d.hasEth && !tagged:
		return
	case !tagged && eth == etherVLAN:
		d.strange("any frame behind a tag")
		return
	case tagged && (d.vlanEth == 0 || d.hasEth && eth != etherVLAN && eth != d.vlanEth):
		d.strange("a tag that is not 802.1Q before an ethertype")
		return
	case tagged && d.f.Protocol != etherVLAN && d.f.Protocol != etherAll:
		d.strange("a tag of protocol %#04x", d.f.Protocol)
		return
	case tagged:
		eth = d.vlanEth
		d.f.AnyTag = !d.hasVLAN
	}
	switch eth {
	case hwif.IPv4.EtherType():
		m.Family = hwif.IPv4
	case hwif.IPv6.EtherType():
		m.Family = hwif.IPv6
	default:
		d.strange("eth_type %#04x", eth)
		return
	}
	m.Fields |= hwif.FieldsOf(hwif.FieldEthType, hwif.FieldVLAN)
}

// maskedRow is a key with a mask of its own, which has to be exact.
type maskedRow struct {
	value, mask uint16
	field       hwif.Field
	n           int
	set         func(m *hwif.Match, v []byte)
	proto       uint8 // that has to go with it, 0 for any
	fam         hwif.Family
}

// masked is the reading half of the match table for keys with masks.
var masked = [...]maskedRow{
	{flowerEthDst, flowerEthDstM, hwif.FieldEthDst, 6, func(m *hwif.Match, v []byte) { copy(m.EthDst[:], v) }, 0, 0},
	{flowerIPv4Src, flowerIPv4SrcM, hwif.FieldIPSrc, 4, func(m *hwif.Match, v []byte) { copy(m.Src[:], v) }, 0, hwif.IPv4},
	{flowerIPv4Dst, flowerIPv4DstM, hwif.FieldIPDst, 4, func(m *hwif.Match, v []byte) { copy(m.Dst[:], v) }, 0, hwif.IPv4},
	{flowerIPv6Src, flowerIPv6SrcM, hwif.FieldIPSrc, 16, func(m *hwif.Match, v []byte) { copy(m.Src[:], v) }, 0, hwif.IPv6},
	{flowerIPv6Dst, flowerIPv6DstM, hwif.FieldIPDst, 16, func(m *hwif.Match, v []byte) { copy(m.Dst[:], v) }, 0, hwif.IPv6},
	{flowerTCPSrc, flowerTCPSrcM, hwif.FieldL4Src, 2, setSrcPort, hwif.ProtoTCP, 0},
	{flowerTCPDst, flowerTCPDstM, hwif.FieldL4Dst, 2, setDstPort, hwif.ProtoTCP, 0},
	{flowerUDPSrc, flowerUDPSrcM, hwif.FieldL4Src, 2, setSrcPort, hwif.ProtoUDP, 0},
	{flowerUDPDst, flowerUDPDstM, hwif.FieldL4Dst, 2, setDstPort, hwif.ProtoUDP, 0},
}

func setSrcPort(m *hwif.Match, v []byte) { m.SrcPort, _ = be16(v) }
func setDstPort(m *hwif.Match, v []byte) { m.DstPort, _ = be16(v) }

func (d *decoder) maskedKey(typ uint16, v []byte) bool {
	for i := range masked {
		row := &masked[i]
		switch {
		case typ != row.value && typ != row.mask:
			continue
		case len(v) != row.n:
			return false
		case typ == row.value:
			d.seen |= 1 << i
			d.f.Rule.Match.Fields |= hwif.FieldsOf(row.field)
			row.set(&d.f.Rule.Match, v)
			return true
		}
		for _, c := range v {
			if c != 255 {
				return false
			}
		}
		d.masks |= 1 << i
		return true
	}
	return false
}

// exact holds values against their masks, protocols and families. A value without
// a mask is exact to the kernel.
func (d *decoder) exact() {
	m := &d.f.Rule.Match
	for i := range masked {
		row := &masked[i]
		if d.masks&^d.seen&(1<<i) != 0 {
			d.strange("a mask of %s without a value", row.field)
		}
		if d.seen&(1<<i) != 0 && row.fam != 0 && row.fam != m.Family {
			d.strange("%s of another family", row.field)
		}
	}
	if m.Fields.Has(hwif.FieldTCPFlags) && m.Proto != hwif.ProtoTCP {
		d.strange("tcp_flags without ip_proto tcp")
	}
	if d.hasPrio && !(d.s.Retag && d.hasVLAN) {
		d.strange("vlan_prio")
	}
}

// ports: a key of one protocol's ports says nothing of the other's.
func (d *decoder) ports() {
	for i := range masked {
		if row := &masked[i]; row.proto != 0 && d.seen&(1<<i) != 0 && d.f.Rule.Match.Proto != row.proto {
			d.strange("%s of another protocol", row.field)
		}
	}
}
