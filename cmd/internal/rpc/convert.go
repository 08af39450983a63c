package rpc

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// converter turns the engine's values into messages, as of one moment. It runs
// outside the engine's goroutine.
type converter struct {
	wall  func(flow.Time) time.Time
	now   flow.Time
	ports portNames
}

// portNames gives the names of the ports of all devices.
type portNames map[hwif.Ifindex]string

func namesOf(devices []offload.DeviceView) portNames {
	out := portNames{}
	for i := range devices {
		for _, p := range devices[i].Ports {
			out[p.Ifindex] = p.Name
		}
	}
	return out
}

// lookup finds a port by name.
func (n portNames) lookup(name string) (hwif.Ifindex, bool) {
	for i, s := range n {
		if s == name {
			return i, true
		}
	}
	return 0, false
}

// moment is what a converter needs of the engine; taken inside Do.
type moment struct {
	now   flow.Time
	ports portNames
}

func momentOf(e *offload.Engine) moment { return moment{e.Now(), namesOf(e.Devices())} }

func (s *Server) converter(m moment) *converter {
	return &converter{wall: s.opts.Wall, now: m.now, ports: m.ports}
}

func (c *converter) asOf() *timestamppb.Timestamp { return timestamppb.New(c.wall(c.now)) }

// at converts a time; 0, never, is absent.
func (c *converter) at(t flow.Time) *timestamppb.Timestamp {
	if t == 0 {
		return nil
	}
	return timestamppb.New(c.wall(t))
}

// created is when the connection began: by conntrack's own clock where the entry
// tells (CTA_TIMESTAMP_START, nf_conntrack_timestamp), otherwise when it was
// first heard of. A start beyond what a time holds is no start.
func (c *converter) created(v *offload.View) *timestamppb.Timestamp {
	if e := &v.Entry; e.Has&flow.HasStart != 0 && e.Start != 0 && e.Start <= math.MaxInt64 {
		return timestamppb.New(time.Unix(0, int64(e.Start)))
	}
	return c.at(v.Created)
}

// age is how long ago t was; absent for 0, never negative.
func (c *converter) age(t flow.Time) *durationpb.Duration {
	if t == 0 {
		return nil
	}
	return durationpb.New(time.Duration(max(0, c.now-t)))
}

func (c *converter) intent(in *offload.Intent) *pb.Intent {
	if in.Kind == offload.IntentNone {
		return nil
	}
	t := new(pb.Tuple)
	fillTuple(t, &in.Tuple)
	return &pb.Intent{Kind: intentEnum[in.Kind], Tuple: t, Owner: in.Owner, Note: in.Note,
		SetAt: c.at(in.Set), ExpiresAt: c.at(in.Expires)}
}

func reasons(rs flow.Reasons) []pb.Reason {
	if rs == 0 {
		return nil
	}
	out := make([]pb.Reason, 0, rs.Len())
	for _, r := range rs.List() {
		out = append(out, reasonEnum[r])
	}
	return out
}

func fillTuple(p *pb.Tuple, t *flow.Tuple) {
	p.Proto = hwif.ProtoName(t.Proto)
	if t.Family != hwif.FamilyNone {
		p.Src, p.Dst = t.SrcAddr().String(), t.DstAddr().String()
	}
	p.SrcPort, p.DstPort, p.Zone = uint32(t.SrcPort), uint32(t.DstPort), uint32(t.Zone)
}
