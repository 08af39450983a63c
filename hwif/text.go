package hwif

import (
	"fmt"
	"strings"
)

// String writes the rule the way tc writes a flower filter, on one line. Every
// golden file rests on it. Ports are written as their ifindex.
func (r *Rule) String() string {
	return r.Match.String() + " " + r.Actions.string(r.Match.Family)
}

// String writes the keys in the order of their Fields.
func (m Match) String() string {
	var b strings.Builder
	w := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, format, args...)
	}
	for _, f := range Fields() {
		if !m.Fields.Has(f) {
			continue
		}
		switch f {
		case FieldInPort:
			w("port %d", m.InPort)
		case FieldEthDst:
			w("dst_mac %s", m.EthDst)
		case FieldVLAN:
			if m.VLAN != 0 {
				w("vlan_id %d", m.VLAN)
			}
		case FieldEthType:
			w("eth_type %s", m.Family)
		case FieldIPProto:
			w("ip_proto %s", ProtoName(m.Proto))
		case FieldIPSrc:
			w("src_ip %s", m.Src.Netip(m.Family))
		case FieldIPDst:
			w("dst_ip %s", m.Dst.Netip(m.Family))
		case FieldL4Src:
			w("src_port %d", m.SrcPort)
		case FieldL4Dst:
			w("dst_port %d", m.DstPort)
		case FieldNotFrag:
			w("ip_flags nofrag")
		case FieldTCPFlags:
			w("tcp_flags 0x%x/0x%x", m.TCPFlags, m.TCPFlagsMask)
		case FieldTTL:
			w("ip_ttl %d/0x%x", m.TTL, m.TTLMask)
		}
	}
	return b.String()
}

func (a *Actions) string(fam Family) string {
	var b strings.Builder
	w := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, format, args...)
	}
	for _, k := range ActionKinds() {
		if !a.Set.Has(k) {
			continue
		}
		switch k {
		case ActEthSrc:
			w("set eth src %s", a.EthSrc)
		case ActEthDst:
			w("set eth dst %s", a.EthDst)
		case ActIPSrc:
			w("set ip src %s", a.IPSrc.Netip(fam))
		case ActIPDst:
			w("set ip dst %s", a.IPDst.Netip(fam))
		case ActL4Src:
			w("set sport %d", a.SrcPort)
		case ActL4Dst:
			w("set dport %d", a.DstPort)
		case ActVLANPush:
			w("vlan push id %d", a.VLAN)
		case ActRedirect:
			w("mtu %d redirect %d", a.MTU, a.OutPort)
		default:
			w("%s", k)
		}
	}
	return b.String()
}
