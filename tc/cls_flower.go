package tc

import (
	"encoding/binary"

	"github.com/shunt-offload/shunt/hwif"
)

// key is one row of the match table: how a field is written. Reading is the
// other half, keyed by attribute (readKeys).
type key struct {
	field hwif.Field
	write func(b []byte, f *Filter, s *Shape) []byte
	// why says what stands against writing the field as it is, or "".
	why func(f *Filter) string
}

var ones = [16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// keys is the match table, a row for each hwif.Field, in the order in which they
// are sent.
var keys = [...]key{
	{hwif.FieldInPort, func(b []byte, _ *Filter, _ *Shape) []byte { return b }, nil}, // the filter's device
	{hwif.FieldEthType, writeEthType, nil},
	{hwif.FieldVLAN, writeVLAN, vlanAlone},
	{hwif.FieldEthDst, func(b []byte, f *Filter, _ *Shape) []byte {
		b = attrBytes(b, flowerEthDst, f.Rule.Match.EthDst[:])
		return attrBytes(b, flowerEthDstM, ones[:6])
	}, nil},
	{hwif.FieldIPProto, func(b []byte, f *Filter, _ *Shape) []byte { return attrU8(b, flowerIPProto, f.Rule.Match.Proto) }, needsFamily},
	{hwif.FieldIPSrc, func(b []byte, f *Filter, _ *Shape) []byte {
		return writeAddr(b, f.Rule.Match.Family, &f.Rule.Match.Src, flowerIPv4Src, flowerIPv6Src)
	}, needsFamily},
	{hwif.FieldIPDst, func(b []byte, f *Filter, _ *Shape) []byte {
		return writeAddr(b, f.Rule.Match.Family, &f.Rule.Match.Dst, flowerIPv4Dst, flowerIPv6Dst)
	}, needsFamily},
	{hwif.FieldL4Src, func(b []byte, f *Filter, _ *Shape) []byte {
		return writePort(b, f.Rule.Match.Proto, f.Rule.Match.SrcPort, flowerTCPSrc, flowerUDPSrc)
	}, needsPorts},
	{hwif.FieldL4Dst, func(b []byte, f *Filter, _ *Shape) []byte {
		return writePort(b, f.Rule.Match.Proto, f.Rule.Match.DstPort, flowerTCPDst, flowerUDPDst)
	}, needsPorts},
	{hwif.FieldNotFrag, func(b []byte, _ *Filter, _ *Shape) []byte {
		b = attrBE32(b, flowerKeyFlags, 0)
		return attrBE32(b, flowerKeyFlagsM, keyFlagIsFragment)
	}, needsFamily},
	{hwif.FieldTCPFlags, func(b []byte, f *Filter, _ *Shape) []byte {
		b = attrBE16(b, flowerTCPFlags, uint16(f.Rule.Match.TCPFlags))
		return attrBE16(b, flowerTCPFlagsM, uint16(f.Rule.Match.TCPFlagsMask))
	}, needsTCP},
	{hwif.FieldTTL, func(b []byte, f *Filter, _ *Shape) []byte {
		b = attrU8(b, flowerTTL, f.Rule.Match.TTL)
		return attrU8(b, flowerTTLM, f.Rule.Match.TTLMask)
	}, needsFamily},
}

// vlanAlone: without an ethertype behind the tag, frames with more tags would
// match; and a filter for untagged frames is one that names their ethertype.
func vlanAlone(f *Filter) string {
	if !f.Rule.Match.Fields.Has(hwif.FieldEthType) {
		return "needs eth_type beside it"
	}
	if f.AnyTag && f.Rule.Match.VLAN != 0 {
		return "is one id, and the filter is for any"
	}
	return ""
}

func needsFamily(f *Filter) string {
	if !f.Rule.Match.Fields.Has(hwif.FieldEthType) || f.Rule.Match.Family.EtherType() == 0 {
		return "needs eth_type ipv4 or ipv6"
	}
	return ""
}

func needsPorts(f *Filter) string {
	if m := &f.Rule.Match; !m.Fields.Has(hwif.FieldIPProto) || m.Proto != hwif.ProtoTCP && m.Proto != hwif.ProtoUDP {
		return "needs ip_proto tcp or udp"
	}
	return needsFamily(f)
}

func needsTCP(f *Filter) string {
	if m := &f.Rule.Match; !m.Fields.Has(hwif.FieldIPProto) || m.Proto != hwif.ProtoTCP {
		return "needs ip_proto tcp"
	}
	return needsFamily(f)
}

// writeEthType is the ethertype of untagged frames; writeVLAN writes that of
// tagged ones.
func writeEthType(b []byte, f *Filter, _ *Shape) []byte {
	if f.Rule.Match.VLAN != 0 || f.AnyTag {
		return b
	}
	return attrBE16(b, flowerEthType, f.Rule.Match.Family.EtherType())
}

func writeVLAN(b []byte, f *Filter, s *Shape) []byte {
	m := &f.Rule.Match
	if m.VLAN == 0 && !f.AnyTag {
		return b
	}
	b = attrBE16(b, flowerEthType, etherVLAN)
	b = attrBE16(b, flowerVLANEth, m.Family.EtherType())
	if f.AnyTag {
		return b
	}
	b = attrU16(b, flowerVLANID, uint16(m.VLAN))
	if retags(&f.Rule, s) {
		b = attrU8(b, flowerVLANPrio, 0)
	}
	return b
}

// retags reports whether the rule's pop and push are one rewrite to the card.
func retags(r *hwif.Rule, s *Shape) bool {
	return s.Retag && r.Actions.Set.Has(hwif.ActVLANPop) && r.Actions.Set.Has(hwif.ActVLANPush)
}

// writeAddr writes an address and its mask, which follows the key by one.
func writeAddr(b []byte, fam hwif.Family, a *hwif.Addr, v4, v6 uint16) []byte {
	if fam == hwif.IPv4 {
		b = attrBytes(b, v4, a[:4])
		return attrBytes(b, v4+1, ones[:4])
	}
	b = attrBytes(b, v6, a[:])
	return attrBytes(b, v6+1, ones[:])
}

// writePort writes a port without a mask, which is exact, as tc does.
func writePort(b []byte, proto uint8, port, tcp, udp uint16) []byte {
	if proto == hwif.ProtoTCP {
		return attrBE16(b, tcp, port)
	}
	return attrBE16(b, udp, port)
}

// refusal is a rule that cannot be written: field and reason.
func refusal(r *hwif.Rule, field, text string) error {
	return &hwif.Error{Op: "install", Device: "tc", Cookie: r.Cookie, Kind: hwif.KindUnsupported, Field: field, Text: text}
}

// checkMatch finds what the table cannot write, before anything is written.
func checkMatch(f *Filter) error {
	m := &f.Rule.Match
	left := m.Fields
	for i := range keys {
		k := &keys[i]
		if !left.Has(k.field) {
			continue
		}
		left = left.Without(k.field)
		if k.why != nil {
			if text := k.why(f); text != "" {
				return refusal(&f.Rule, k.field.String(), text)
			}
		}
	}
	if field, ok := left.First(); ok {
		return refusal(&f.Rule, field.String(), "no row of the match table")
	}
	if !m.Fields.Has(hwif.FieldInPort) && f.Block == 0 {
		return refusal(&f.Rule, hwif.FieldInPort.String(), "a filter has a device")
	}
	// An ethertype key tells tagged frames from untagged ones whether it was asked
	// to or not: a rule that leaves tags open would be narrower than it says.
	if m.Fields.Has(hwif.FieldEthType) && !m.Fields.Has(hwif.FieldVLAN) {
		return refusal(&f.Rule, hwif.FieldVLAN.String(), "flower compares tags with the ethertype; say which")
	}
	return nil
}

// be16 reads a port or flags attribute.
func be16(v []byte) (uint16, bool) {
	if len(v) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(v), true
}
