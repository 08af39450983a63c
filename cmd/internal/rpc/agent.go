package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// ListDevices gives every device.
func (s *Server) ListDevices(ctx context.Context, _ *pb.ListDevicesRequest) (*pb.ListDevicesResponse, error) {
	type told struct {
		moment
		devices []offload.DeviceView
	}
	a, err := ask(ctx, s, func(e *offload.Engine) told { return told{momentOf(e), e.Devices()} })
	if err != nil {
		return nil, err
	}
	c := s.converter(a.moment)
	out := &pb.ListDevicesResponse{AsOf: c.asOf()}
	for i := range a.devices {
		out.Devices = append(out.Devices, c.device(&a.devices[i]))
	}
	return out, nil
}

// GetStats gives the counters.
func (s *Server) GetStats(ctx context.Context, _ *pb.GetStatsRequest) (*pb.GetStatsResponse, error) {
	type told struct {
		stats  offload.Stats
		paused string
	}
	a, err := ask(ctx, s, func(e *offload.Engine) told { return told{e.Stats(), e.Paused()} })
	if err != nil {
		return nil, err
	}
	c := s.converter(moment{now: a.stats.Now})
	return &pb.GetStatsResponse{Stats: c.stats(&a.stats), AsOf: c.asOf(), Version: s.opts.Version,
		Instance: s.opts.Instance, StartedAt: timestamppb.New(s.opts.Started), Paused: a.paused}, nil
}

// Pause takes every flow out of hardware and lets none in.
func (s *Server) Pause(ctx context.Context, req *pb.PauseRequest) (*pb.PauseResponse, error) {
	w := write{verb: "pause", owner: req.GetOwner(), note: req.GetNote()}
	err := s.do(ctx, w, func(e *offload.Engine, w *write) error { e.Pause(w.owner, w.note); return nil })
	return &pb.PauseResponse{}, err
}

// Resume ends a pause.
func (s *Server) Resume(ctx context.Context, req *pb.ResumeRequest) (*pb.ResumeResponse, error) {
	w := write{verb: "resume", owner: req.GetOwner()}
	err := s.do(ctx, w, func(e *offload.Engine, w *write) error { e.Resume(w.owner); return nil })
	return &pb.ResumeResponse{}, err
}
