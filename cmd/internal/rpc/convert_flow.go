package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// flowParts is a Flow with the messages inside it: one allocation instead of
// eleven, for a list of a million flows.
type flowParts struct {
	flow   pb.Flow
	dirs   [2]pb.Direction
	tuples [2]pb.Tuple
	routes [2]pb.Route
	kernel [2]pb.Counter
	nic    [2]pb.Counter
}

func (c *converter) flow(v *offload.View) *pb.Flow {
	p := new(flowParts)
	for _, d := range []flow.Dir{flow.Orig, flow.Reply} {
		c.direction(p, v, d)
	}
	f := &p.flow
	f.Uid, f.Seq, f.Gone = v.UID, v.Seq, v.Gone
	f.Orig, f.Reply = &p.dirs[flow.Orig], &p.dirs[flow.Reply]
	f.Snat, f.Dnat = v.Entry.NAT()
	f.State, f.StateSince = stateEnum[v.State], c.at(v.Since)
	f.Reasons, f.Text = reasons(v.Reasons), v.Text
	f.Pinned, f.Intent = v.Pinned, c.intent(&v.Intent)
	if v.Entry.Has&flow.HasTCP != 0 {
		f.TcpState = v.Entry.TCPState.String()
	}
	f.Mark, f.ConntrackStatus, f.ConntrackId = v.Entry.Mark, v.Entry.Status, v.Entry.ID
	f.CreatedAt, f.InstalledAt, f.Installs = c.created(v), c.at(v.Installed), v.Installs
	if v.HasRoutes {
		f.RoutedAt = c.at(v.RoutedAt)
	}
	if v.State == flow.StateBackoff {
		f.RetryAt = c.at(v.Again)
	}
	f.KernelCountersAge, f.NicCountersAge = c.age(v.KernelAt), c.age(v.NICAt)
	f.DeviceId = uint32(v.Device)
	f.History = c.history(v.History)
	f.Verdict, f.Untracked = verdicts[v.Verdict], v.Untracked
	return f
}

func (c *converter) direction(p *flowParts, v *offload.View, d flow.Dir) {
	out, t := &p.dirs[d], &v.Entry.Orig
	if d == flow.Reply {
		t = &v.Entry.Reply
	}
	fillTuple(&p.tuples[d], t)
	out.Tuple = &p.tuples[d]
	if v.HasRoutes {
		c.fillRoute(&p.routes[d], &v.Routes[d], v.Nexthop[d], t.Family)
		c.fillEvidence(&p.routes[d], &v.Evidence[d])
		out.Route = &p.routes[d]
	}
	out.Rule = ruleEnum[v.Rules[d]]
	if v.Rules[d] != offload.RuleNone && v.Cookies[d].Ours() {
		out.Cookie = v.Cookies[d].String()
	}
	p.kernel[d].Packets, p.kernel[d].Bytes = v.Kernel[d].Packets, v.Kernel[d].Bytes
	p.nic[d].Packets, p.nic[d].Bytes = v.NIC[d].Packets, v.NIC[d].Bytes
	out.Kernel, out.Nic = &p.kernel[d], &p.nic[d]
}

func (c *converter) fillRoute(p *pb.Route, r *flow.Route, nexthop hwif.Addr, fam hwif.Family) {
	p.InPort, p.InIfindex, p.InVlan, p.InMac = c.ports[r.In], uint32(r.In), uint32(r.InVLAN), mac(r.InMAC)
	p.OutPort, p.OutIfindex, p.OutVlan = c.ports[r.Out], uint32(r.Out), uint32(r.OutVLAN)
	p.SrcMac, p.DstMac, p.Mtu = mac(r.SrcMAC), mac(r.DstMAC), uint32(r.MTU)
	if !nexthop.IsZero() && fam != hwif.FamilyNone {
		p.Nexthop = nexthop.Netip(fam).String()
	}
}

func (c *converter) fillEvidence(p *pb.Route, e *flow.Evidence) {
	p.Learnt, p.InL3Ifindex, p.OutL3Ifindex = learntEnum[e.Learnt()], uint32(e.L3In), uint32(e.L3Out)
	p.Mark, p.Legs, p.InVrfIfindex = e.Mark, uint32(e.Legs), uint32(e.VRF)
	if e.Seen != 0 {
		p.SeenAt = c.at(e.Seen)
	}
}

func (c *converter) history(changes []offload.Change) []*pb.Change {
	if len(changes) == 0 {
		return nil
	}
	all := make([]pb.Change, len(changes))
	out := make([]*pb.Change, len(changes))
	for i := range changes {
		ch, p := &changes[i], &all[i]
		p.At, p.State, p.Cause, p.Text = c.at(ch.At), stateEnum[ch.State], causeEnum[ch.Cause], ch.Text
		if ch.Took != 0 {
			p.Took = durationpb.New(time.Duration(ch.Took))
		}
		out[i] = p
	}
	return out
}

// mac is MAC.String without fmt: six of them stand in each flow, and were half
// of what a listing cost.
func mac(m hwif.MAC) string {
	const digits = "0123456789abcdef"
	var b [17]byte
	for i, v := range m {
		if i > 0 {
			b[3*i-1] = ':'
		}
		b[3*i], b[3*i+1] = digits[v>>4], digits[v&15]
	}
	return string(b[:])
}
