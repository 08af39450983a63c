package xdp

import "github.com/shunt-offload/shunt/hwif"

// decode is the reverse of encode.
func decode(k *bpfRuleKey, v *bpfRuleValue) hwif.Rule {
	return hwif.Rule{
		Cookie: v.Cookie,
		Match: hwif.Match{
			Fields: hwif.FieldSet(v.Fields), InPort: hwif.Ifindex(k.InPort), EthDst: k.EthDst, VLAN: hwif.VLAN(k.Vlan),
			Family: hwif.Family(k.Family), Proto: k.Proto, Src: k.Src, Dst: k.Dst,
			SrcPort: netOrder(k.SportBe), DstPort: netOrder(k.DportBe), TCPFlags: v.TcpFlags, TCPFlagsMask: v.TcpMask,
		},
		Actions: hwif.Actions{
			Set: hwif.ActionSet(v.Actions), EthSrc: v.EthSrc, EthDst: v.EthDst, IPSrc: v.Src, IPDst: v.Dst,
			SrcPort: netOrder(v.SportBe), DstPort: netOrder(v.DportBe), VLAN: hwif.VLAN(v.Push),
			OutPort: hwif.Ifindex(v.OutPort), MTU: v.Mtu,
		},
	}
}
