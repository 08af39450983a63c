package rpc

import (
	"context"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// setHealth tells the health service: serving when every source has delivered
// its first listing. Before that, answers are true but not whole.
func (s *Server) setHealth(serving bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthpb.HealthCheckResponse_SERVING
	}
	for _, name := range []string{"", pb.FlowService_ServiceDesc.ServiceName, pb.AgentService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(name, status)
	}
}

// watchHealth keeps the health service true until ctx ends.
func (s *Server) watchHealth(ctx context.Context) {
	tick := time.NewTicker(s.opts.Probe)
	defer tick.Stop()
	for {
		s.setHealth(s.synced())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// synced looks at the engine's latest snapshot.
func (s *Server) synced() bool {
	for _, ok := range s.eng.Stats().Synced {
		if !ok {
			return false
		}
	}
	return true
}
