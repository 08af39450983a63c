package xdp

import (
	"encoding/binary"
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// Bits of rule_value.flags, as bpf/table.h has them.
const (
	doEthSrc uint32 = 1 << iota
	doEthDst
	doDecTTL
	doIPSrc
	doIPDst
	doL4Src
	doL4Dst
	doVLANPop
	doVLANPush
	doRedirect
	doDrop
	doTrap
)

// fields that every rule must have: the table compares them all.
const needFields = hwif.RoutedFlow

// actionRows is all that the pipeline can do; Caps.Actions comes from it. Csum has
// no bit of its own: checksums are made right by whatever breaks them.
var actionRows = [...]struct {
	kind hwif.ActionKind
	flag uint32
	put  func(v *bpfRuleValue, a *hwif.Actions)
}{
	{hwif.ActEthSrc, doEthSrc, func(v *bpfRuleValue, a *hwif.Actions) { v.EthSrc = a.EthSrc }},
	{hwif.ActEthDst, doEthDst, func(v *bpfRuleValue, a *hwif.Actions) { v.EthDst = a.EthDst }},
	{hwif.ActDecTTL, doDecTTL, nil},
	{hwif.ActIPSrc, doIPSrc, func(v *bpfRuleValue, a *hwif.Actions) { v.Src = a.IPSrc }},
	{hwif.ActIPDst, doIPDst, func(v *bpfRuleValue, a *hwif.Actions) { v.Dst = a.IPDst }},
	{hwif.ActL4Src, doL4Src, func(v *bpfRuleValue, a *hwif.Actions) { v.SportBe = netOrder(a.SrcPort) }},
	{hwif.ActL4Dst, doL4Dst, func(v *bpfRuleValue, a *hwif.Actions) { v.DportBe = netOrder(a.DstPort) }},
	{hwif.ActCsum, 0, nil},
	{hwif.ActVLANPop, doVLANPop, nil},
	{hwif.ActVLANPush, doVLANPush, func(v *bpfRuleValue, a *hwif.Actions) { v.Push = uint16(a.VLAN) }},
	{hwif.ActRedirect, doRedirect, func(v *bpfRuleValue, a *hwif.Actions) { v.OutPort, v.Mtu = uint32(a.OutPort), a.MTU }},
	{hwif.ActDrop, doDrop, nil},
	{hwif.ActTrap, doTrap, nil},
}

// netOrder gives the number whose bytes in memory are p in network order.
func netOrder(p uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], p)
	return binary.NativeEndian.Uint16(b[:])
}

// encode turns a rule that passed Caps.Check into the table's form; slots are
// filled in by the caller. Its error names what the table can't hold.
func encode(r *hwif.Rule) (bpfRuleKey, bpfRuleValue, error) {
	var k bpfRuleKey
	var v bpfRuleValue
	m, a := &r.Match, &r.Actions
	if field, text := unfit(m, a); field != "" {
		return k, v, &hwif.Error{Op: "install", Device: driverName, Cookie: r.Cookie,
			Kind: hwif.KindUnsupported, Field: field, Text: text}
	}
	if field, text := nonsense(m, a); field != "" {
		return k, v, &hwif.Error{Op: "install", Device: driverName, Cookie: r.Cookie,
			Kind: hwif.KindInvalid, Field: field, Text: text}
	}
	k = bpfRuleKey{InPort: uint32(m.InPort), EthDst: m.EthDst, Vlan: uint16(m.VLAN), Src: m.Src, Dst: m.Dst,
		SportBe: netOrder(m.SrcPort), DportBe: netOrder(m.DstPort), Family: uint8(m.Family), Proto: m.Proto}
	v = bpfRuleValue{Cookie: r.Cookie, Fields: uint32(m.Fields), Actions: uint32(a.Set), TcpFlags: m.TCPFlags, TcpMask: m.TCPFlagsMask}
	left := a.Set
	for _, row := range actionRows {
		if !left.Has(row.kind) {
			continue
		}
		left = left.Without(row.kind)
		v.Flags |= row.flag
		if row.put != nil {
			row.put(&v, a)
		}
	}
	if left != 0 {
		return k, v, &hwif.Error{Op: "install", Device: driverName, Cookie: r.Cookie,
			Kind: hwif.KindUnsupported, Field: fmt.Sprintf("actions 0x%x", uint32(left)), Text: "unknown to this driver"}
	}
	v.IpDelta, v.L4Delta = deltas(&k, &v)
	return k, v, nil
}

// deltas are what the rule's rewriting adds to ~checksum of the IPv4 header and
// of TCP or UDP. They are the same for all its frames, since all that is
// replaced is matched exactly, and TTL-1 always takes 0x0100 off the word of TTL
// and protocol.
func deltas(k *bpfRuleKey, v *bpfRuleValue) (ip, l4 uint16) {
	n := 4
	if k.Family == uint8(hwif.IPv6) {
		n = 16
	}
	var addrs, header, ports sum16
	if v.Flags&doIPSrc != 0 {
		addrs.replace(k.Src[:n], v.Src[:n])
	}
	if v.Flags&doIPDst != 0 {
		addrs.replace(k.Dst[:n], v.Dst[:n])
	}
	if v.Flags&doDecTTL != 0 {
		header.replace([]byte{1, 0}, []byte{0, 0})
	}
	put := func(old, new uint16) {
		ports += sum16(^old) + sum16(new)
	}
	if v.Flags&doL4Src != 0 {
		put(k.SportBe, v.SportBe)
	}
	if v.Flags&doL4Dst != 0 {
		put(k.DportBe, v.DportBe)
	}
	return (addrs + header).fold(), (addrs + ports).fold()
}
