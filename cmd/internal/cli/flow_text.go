package cli

import (
	"fmt"
	"net"
	"strconv"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func hostPort(addr string, port uint32) string {
	if port == 0 {
		return addr
	}
	return net.JoinHostPort(addr, strconv.FormatUint(uint64(port), 10))
}

// tupleText is "tcp 10.0.0.1:4000 > 192.0.2.1:443".
func tupleText(t *pb.Tuple) string {
	s := fmt.Sprintf("%s %s > %s", t.GetProto(), hostPort(t.GetSrc(), t.GetSrcPort()), hostPort(t.GetDst(), t.GetDstPort()))
	if t.GetZone() != 0 {
		s += fmt.Sprintf(" zone %d", t.GetZone())
	}
	return s
}

// natText is the flow as it looks behind NAT: the reply's tuple turned around;
// empty when the kernel rewrites nothing.
func natText(f *pb.Flow) string {
	if !f.GetSnat() && !f.GetDnat() {
		return ""
	}
	r := f.GetReply().GetTuple()
	return fmt.Sprintf("%s > %s", hostPort(r.GetDst(), r.GetDstPort()), hostPort(r.GetSrc(), r.GetSrcPort()))
}

func flowText(f *pb.Flow) string {
	s := tupleText(f.GetOrig().GetTuple())
	if n := natText(f); n != "" {
		s += " as " + n
	}
	return s
}

func stateText(f *pb.Flow) string {
	s := stateWord(f.GetState())
	if f.GetPinned() {
		s += " pinned"
	}
	return s
}

func portText(name string, ifindex, vlan uint32) string {
	if name == "" {
		name = fmt.Sprintf("if%d", ifindex)
	}
	if vlan != 0 {
		name += fmt.Sprintf(".%d", vlan)
	}
	return name
}

// outText is where a direction leaves: "wan 02:00:00:00:02:02".
func outText(d *pb.Direction) string {
	r := d.GetRoute()
	if r == nil {
		return none
	}
	return portText(r.GetOutPort(), r.GetOutIfindex(), r.GetOutVlan()) + " " + r.GetDstMac()
}

// counterText is packets and bytes of both directions together.
func counterText(a, b *pb.Counter) string {
	return count(a.GetPackets()+b.GetPackets()) + "/" + count(a.GetBytes()+b.GetBytes())
}
