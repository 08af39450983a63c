package rpc

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (c *converter) device(d *offload.DeviceView) *pb.Device {
	caps := &d.Caps
	pc := &pb.Capabilities{MaxRules: uint32(caps.MaxRules), Batch: uint32(caps.Batch), Counters: counterEnum[caps.Counters],
		CounterLag: durationpb.New(caps.CounterLag), Guarded: caps.Guarded, Persistent: caps.Persistent, Notes: caps.Notes, ExactTtl: caps.ExactTTL}
	for _, f := range hwif.Fields() {
		if caps.Fields.Has(f) {
			pc.Fields = append(pc.Fields, f.String())
		}
		if caps.Loose.Has(f) {
			pc.Loose = append(pc.Loose, f.String())
		}
	}
	for _, a := range hwif.ActionKinds() {
		if caps.Actions.Has(a) {
			pc.Actions = append(pc.Actions, a.String())
		}
	}
	out := &pb.Device{Id: uint32(d.ID), Driver: caps.Driver, Capabilities: pc,
		Used: uint32(d.Used), Strangers: uint32(d.Strangers), Failed: d.Failed}
	for _, p := range d.Ports {
		out.Ports = append(out.Ports, &pb.Port{Name: p.Name, Ifindex: uint32(p.Ifindex), Kind: portEnum[p.Kind],
			Mac: p.MAC.String(), Mtu: p.MTU, Up: p.Up, Refused: p.Refused, Joins: joins(d.Ports, p.Joins)})
	}
	return out
}

// joins names the ports that one reaches; a number that is no port's any more is
// left out.
func joins(ports []hwif.Port, to []hwif.Ifindex) *pb.Joins {
	if to == nil {
		return nil
	}
	out := new(pb.Joins)
	for _, p := range ports {
		if slices.Contains(to, p.Ifindex) {
			out.Ports = append(out.Ports, p.Name)
		}
	}
	return out
}

func (c *converter) stats(st *offload.Stats) *pb.Stats {
	out := &pb.Stats{
		Installs: st.Installs, Kernel: counter(st.KernelPath), Nic: counter(st.NICPath), NicDrops: counter(st.NICDrops),
		RulesInHw: uint32(st.RulesInHW), RulesLimit: uint32(st.RuleLimit), Ghosts: st.Ghosts, Adopted: st.Adopted,
		Tracked: uint32(st.Tracked), Latency: histogram(&st.Latency),
		Rulesets: st.Rulesets, Pins: uint32(st.Pins), Denials: uint32(st.Denials), Paused: st.Paused,
	}
	for _, s := range flow.States() {
		if n := st.Flows[s]; n != 0 {
			out.Flows = append(out.Flows, &pb.StateCount{State: stateEnum[s], Count: uint64(n)})
		}
	}
	for _, r := range flow.AllReasons() {
		if n := st.NotOffload[r]; n != 0 {
			out.NotOffloaded = append(out.NotOffloaded, &pb.ReasonCount{Reason: reasonEnum[r], Count: uint64(n)})
		}
	}
	for _, ca := range flow.Causes() {
		if n := st.Removals[ca]; n != 0 {
			out.Removals = append(out.Removals, &pb.CauseCount{Cause: causeEnum[ca], Count: n, Latency: histogram(&st.Removed[ca])})
		}
	}
	out.Refusals, out.RuleErrors = errorCounts(&st.Refusals), errorCounts(&st.RuleErrors)
	for _, k := range connKinds {
		if n := st.Events[k]; n != 0 {
			out.Events = append(out.Events, &pb.EventCount{Event: k.String(), Count: n})
		}
	}
	for _, s := range sources {
		out.Sources = append(out.Sources, &pb.SourceStats{Source: s.String(), Synced: st.Synced[s], Losses: st.Losses[s], Listings: st.Listings[s]})
	}
	return out
}

func errorCounts(byKind *[16]uint64) []*pb.ErrorCount {
	var out []*pb.ErrorCount
	for _, k := range hwif.Kinds() {
		if n := byKind[k]; n != 0 {
			out = append(out, &pb.ErrorCount{Kind: kindEnum[k], Count: n})
		}
	}
	return out
}

func counter(c hwif.Counter) *pb.Counter { return &pb.Counter{Packets: c.Packets, Bytes: c.Bytes} }

func histogram(h *offload.Histogram) *pb.Histogram {
	out := &pb.Histogram{Counts: h.Counts[:], Count: h.Count, Sum: seconds(h.Sum)}
	for _, b := range offload.HistogramBounds {
		out.Bounds = append(out.Bounds, seconds(b))
	}
	return out
}

func seconds(s float64) *durationpb.Duration {
	return durationpb.New(time.Duration(s * float64(time.Second)))
}
