package rpc

import (
	"fmt"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// tupleFrom reads a tuple of a request and refuses what can never be a flow.
func tupleFrom(t *pb.Tuple) (flow.Tuple, error) {
	var out flow.Tuple
	if t == nil {
		return out, invalid("tuple", "tuple is missing; give proto, src, src_port, dst and dst_port")
	}
	switch t.GetProto() {
	case "tcp":
		out.Proto = hwif.ProtoTCP
	case "udp":
		out.Proto = hwif.ProtoUDP
	case "":
		return out, invalid("tuple.proto", "proto is missing; use tcp or udp")
	default:
		return out, invalid("tuple.proto", fmt.Sprintf("protocol %q cannot be offloaded; use tcp or udp", t.GetProto()))
	}
	src, err := addr("src", t.GetSrc())
	if err != nil {
		return out, err
	}
	dst, err := addr("dst", t.GetDst())
	if err != nil {
		return out, err
	}
	var dstFamily hwif.Family
	out.Src, out.Family = hwif.AddrFrom(src)
	out.Dst, dstFamily = hwif.AddrFrom(dst)
	if out.Family != dstFamily {
		return out, invalid("tuple", fmt.Sprintf("src %s is %s and dst %s is %s; both must be of one family", src, out.Family, dst, dstFamily))
	}
	for _, n := range []struct {
		field string
		value uint32
		into  *uint16
	}{{"src_port", t.GetSrcPort(), &out.SrcPort}, {"dst_port", t.GetDstPort(), &out.DstPort}, {"zone", t.GetZone(), &out.Zone}} {
		if n.value > 0xffff {
			return out, invalid("tuple."+n.field, fmt.Sprintf("%s %d is above 65535", n.field, n.value))
		}
		*n.into = uint16(n.value)
	}
	if err := out.Check(); err != nil {
		return out, invalid("tuple", err.Error())
	}
	return out, nil
}

func addr(field, s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, invalid("tuple."+field, field+" is missing; give an IPv4 or IPv6 address")
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, invalid("tuple."+field, fmt.Sprintf("%s %q is no IPv4 or IPv6 address", field, s))
	}
	return a, nil
}
