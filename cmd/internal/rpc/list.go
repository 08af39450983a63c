package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/shunt-offload/shunt/cmd/internal/rpc/filter"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// perMessage is how many flows one message carries: with 64, 3.2 million a
// second go through a unix socket; 512 are no faster.
const perMessage = 64

// perAsk is how many flows are copied in one visit to the engine. Views of 512
// flows are about half a megabyte and a few hundred microseconds of its time.
const perAsk = 512

// page is one visit's harvest.
type page struct {
	moment
	views []offload.View
	next  uint64
	done  bool
}

// pageAfter copies up to max flows that match, from the cursor after on.
func (s *Server) pageAfter(ctx context.Context, after uint64, max int, f *filter.Filter) (page, error) {
	keep := f.Match
	if f.All() {
		keep = nil
	}
	return ask(ctx, s, func(e *offload.Engine) page {
		p := page{moment: momentOf(e)}
		p.views, p.next, p.done = e.List(after, max, keep, nil)
		return p
	})
}

// parseFilter reads a filter with the names of the ports that there are now.
func (s *Server) parseFilter(ctx context.Context, text string) (*filter.Filter, error) {
	if text == "" {
		return nil, nil
	}
	m, err := ask(ctx, s, momentOf)
	if err != nil {
		return nil, err
	}
	f, err := filter.Parse(text, filter.Env{Port: m.ports.lookup})
	if err != nil {
		return nil, refusal(err)
	}
	return f, nil
}

// ListFlows streams the flows that match.
func (s *Server) ListFlows(req *pb.ListFlowsRequest, out grpc.ServerStreamingServer[pb.ListFlowsResponse]) error {
	ctx := out.Context()
	f, err := s.parseFilter(ctx, req.GetFilter())
	if err != nil {
		return err
	}
	after, err := s.openToken(req.GetPageToken(), req.GetFilter())
	if err != nil {
		return err
	}
	limited, left := req.GetPageSize() > 0, int(req.GetPageSize())
	for {
		want := perAsk
		if limited {
			want = min(want, left)
		}
		p, err := s.pageAfter(ctx, after, want, f)
		if err != nil {
			return err
		}
		after, left = p.next, left-len(p.views)
		last := p.done || limited && left <= 0
		token := ""
		if last && !p.done {
			token = s.sealToken(after, req.GetFilter())
		}
		if err := s.sendList(out, &p, last, token); err != nil || last {
			return err
		}
	}
}

// sendList sends views in messages of perMessage; the last of all carries the token.
func (s *Server) sendList(out grpc.ServerStreamingServer[pb.ListFlowsResponse], p *page, last bool, token string) error {
	c := s.converter(p.moment)
	views := p.views
	for len(views) > 0 || last {
		n := min(perMessage, len(views))
		m := &pb.ListFlowsResponse{AsOf: c.asOf(), Flows: c.flows(views[:n])}
		views = views[n:]
		end := last && len(views) == 0
		if end {
			m.NextPageToken = token
		}
		if err := out.Send(m); err != nil || end {
			return err
		}
	}
	return nil
}

func (c *converter) flows(views []offload.View) []*pb.Flow {
	out := make([]*pb.Flow, len(views))
	for i := range views {
		out[i] = c.flow(&views[i])
	}
	return out
}

// GetFlow finds one flow.
func (s *Server) GetFlow(ctx context.Context, req *pb.GetFlowRequest) (*pb.GetFlowResponse, error) {
	t, err := tupleFrom(req.GetTuple())
	if err != nil {
		return nil, err
	}
	c, v, err := s.find(ctx, t)
	if err != nil {
		return nil, err
	}
	return &pb.GetFlowResponse{Flow: c.flow(v), AsOf: c.asOf()}, nil
}

func (s *Server) find(ctx context.Context, t flow.Tuple) (*converter, *offload.View, error) {
	type found struct {
		moment
		view offload.View
		ok   bool
	}
	f, err := ask(ctx, s, func(e *offload.Engine) found {
		v, ok := e.Get(t)
		return found{momentOf(e), v, ok}
	})
	if err != nil {
		return nil, nil, err
	}
	if !f.ok {
		return nil, nil, refuse(ReasonNotFound, "no flow "+t.String()+"; conntrack does not have it, or it has ended")
	}
	return s.converter(f.moment), &f.view, nil
}

// ExplainFlow gives every stage's word.
func (s *Server) ExplainFlow(ctx context.Context, req *pb.ExplainFlowRequest) (*pb.ExplainFlowResponse, error) {
	t, err := tupleFrom(req.GetTuple())
	if err != nil {
		return nil, err
	}
	type told struct {
		moment
		ex offload.Explanation
	}
	a, err := ask(ctx, s, func(e *offload.Engine) told { return told{momentOf(e), e.Explain(t)} })
	if err != nil {
		return nil, err
	}
	c := s.converter(a.moment)
	out := &pb.ExplainFlowResponse{AsOf: c.asOf()}
	if a.ex.Found {
		out.Flow = c.flow(&a.ex.View)
	}
	for _, st := range a.ex.Stages {
		out.Stages = append(out.Stages, &pb.Stage{Name: st.Name, Ok: st.OK, Reasons: reasons(st.Reasons), Text: st.Text})
	}
	return out, nil
}
