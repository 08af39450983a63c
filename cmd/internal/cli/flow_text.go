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

// natText is what NAT makes of the orig tuple: "as" the source that the server
// sees, "to" the destination that is really reached; empty without NAT.
func natText(f *pb.Flow) string {
	r := f.GetReply().GetTuple()
	var s string
	if f.GetSnat() {
		s = " as " + hostPort(r.GetDst(), r.GetDstPort())
	}
	if f.GetDnat() {
		s += " to " + hostPort(r.GetSrc(), r.GetSrcPort())
	}
	return s
}

func flowText(f *pb.Flow) string { return tupleText(f.GetOrig().GetTuple()) + natText(f) }

func stateText(f *pb.Flow) string {
	s := stateWord(f.GetState())
	if isDrop(f) {
		s += " drop"
	}
	if f.GetUntracked() {
		s += " untracked"
	}
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

func isDrop(f *pb.Flow) bool { return f.GetVerdict() == pb.Verdict_VERDICT_DROP }

// hasWay reports whether a direction has a route that says something. Untracked flows
// have none for replies; of those that hardware drops, only directions with a rule do.
func hasWay(f *pb.Flow, d *pb.Direction) bool {
	switch {
	case d.GetRoute() == nil || f.GetUntracked() && d == f.GetReply():
		return false
	case isDrop(f):
		return d.GetRule() != pb.RuleState_RULE_STATE_NONE
	}
	return true
}

// outText is where a direction leaves: "wan 02:00:00:00:02:02", or "drop".
func outText(f *pb.Flow, d *pb.Direction) string {
	r := d.GetRoute()
	switch {
	case !hasWay(f, d):
		return none
	case isDrop(f):
		return "drop"
	}
	return portText(r.GetOutPort(), r.GetOutIfindex(), r.GetOutVlan()) + " " + r.GetDstMac()
}

// counterText is packets and bytes of both directions together.
func counterText(a, b *pb.Counter) string {
	return count(a.GetPackets()+b.GetPackets()) + "/" + count(a.GetBytes()+b.GetBytes())
}
