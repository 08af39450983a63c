package rpc

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// PinFlow sets a pin.
func (s *Server) PinFlow(ctx context.Context, req *pb.PinFlowRequest) (*pb.PinFlowResponse, error) {
	w, err := target("pin", req.GetTuple(), req.GetOwner(), req.GetNote(), "lease", req.GetLease())
	if err != nil {
		return nil, s.bad(ctx, w, err)
	}
	in, err := s.set(ctx, w, offload.IntentPin, (*offload.Engine).Pin)
	return &pb.PinFlowResponse{Intent: in}, err
}

// DenyFlow sets a denial.
func (s *Server) DenyFlow(ctx context.Context, req *pb.DenyFlowRequest) (*pb.DenyFlowResponse, error) {
	w, err := target("deny", req.GetTuple(), req.GetOwner(), req.GetNote(), "lease", req.GetLease())
	if err != nil {
		return nil, s.bad(ctx, w, err)
	}
	in, err := s.set(ctx, w, offload.IntentDeny, (*offload.Engine).Deny)
	return &pb.DenyFlowResponse{Intent: in}, err
}

// set hands an intent to the engine and gives it back as it is now in force.
func (s *Server) set(ctx context.Context, w write, kind offload.IntentKind, put func(*offload.Engine, offload.Intent) error) (*pb.Intent, error) {
	type done struct {
		moment
		in offload.Intent
	}
	result := make(chan done, 1)
	err := s.do(ctx, w, func(e *offload.Engine, w *write) error {
		in := offload.Intent{Kind: kind, Tuple: w.tuple, Owner: w.owner, Note: w.note}
		if w.lease != 0 {
			in.Expires = e.Now() + flow.Time(w.lease)
		}
		if err := s.room(e, in.Tuple); err != nil {
			return err
		}
		if err := put(e, in); err != nil {
			return err
		}
		result <- done{momentOf(e), inForce(e, in)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d := <-result
	return s.converter(d.moment).intent(&d.in), nil
}

// room refuses a further intent when there are as many as are kept. One that
// stands may be changed.
func (s *Server) room(e *offload.Engine, t flow.Tuple) error {
	if st := e.Stats(); st.Pins+st.Denials < s.opts.Intents {
		return nil
	}
	if v, ok := e.Get(t); ok {
		t = v.Entry.Orig
	}
	if slices.ContainsFunc(e.Intents(), func(in offload.Intent) bool { return in.Tuple == t }) {
		return nil
	}
	return errTooMany(s.opts.Intents)
}

// inForce finds the intent that was just set. The engine turns the tuple of a
// flow's answer to the original direction.
func inForce(e *offload.Engine, in offload.Intent) offload.Intent {
	all := e.Intents()
	for i := range all {
		if all[i].Tuple == in.Tuple {
			return all[i]
		}
	}
	if v, ok := e.Get(in.Tuple); ok {
		return v.Intent
	}
	return in
}

// UnpinFlow takes a pin back.
func (s *Server) UnpinFlow(ctx context.Context, req *pb.UnpinFlowRequest) (*pb.UnpinFlowResponse, error) {
	w, err := target("unpin", req.GetTuple(), req.GetOwner(), "", "", nil)
	if err != nil {
		return nil, s.bad(ctx, w, err)
	}
	return &pb.UnpinFlowResponse{}, s.do(ctx, w, func(e *offload.Engine, w *write) error { return e.Unpin(w.tuple, w.owner) })
}

// UndenyFlow takes a denial back.
func (s *Server) UndenyFlow(ctx context.Context, req *pb.UndenyFlowRequest) (*pb.UndenyFlowResponse, error) {
	w, err := target("allow", req.GetTuple(), req.GetOwner(), "", "", nil)
	if err != nil {
		return nil, s.bad(ctx, w, err)
	}
	return &pb.UndenyFlowResponse{}, s.do(ctx, w, func(e *offload.Engine, w *write) error { return e.Undeny(w.tuple, w.owner) })
}

// EvictFlow takes a flow out of hardware for a while.
func (s *Server) EvictFlow(ctx context.Context, req *pb.EvictFlowRequest) (*pb.EvictFlowResponse, error) {
	w, err := target("evict", req.GetTuple(), req.GetOwner(), req.GetNote(), "hold", req.GetHold())
	if err != nil {
		return nil, s.bad(ctx, w, err)
	}
	def(&w.lease, defaultHold)
	err = s.do(ctx, w, func(e *offload.Engine, w *write) error {
		return e.Evict(w.tuple, w.owner, w.note, w.lease)
	})
	if err != nil {
		return nil, err
	}
	c, v, err := s.find(ctx, w.tuple)
	if err != nil { // evicted, and then ended: nothing is left to show
		return &pb.EvictFlowResponse{}, nil
	}
	return &pb.EvictFlowResponse{Flow: c.flow(v), AsOf: c.asOf()}, nil
}

// bad logs a write that made no sense, and gives its error back.
func (s *Server) bad(ctx context.Context, w write, err error) error {
	s.logWrite(ctx, &w, peerOf(ctx), err)
	return err
}

// ListIntents gives what is in force.
func (s *Server) ListIntents(ctx context.Context, req *pb.ListIntentsRequest) (*pb.ListIntentsResponse, error) {
	if _, ok := pb.IntentKind_name[int32(req.GetKind())]; !ok {
		return nil, invalid("kind", fmt.Sprintf("kind %d is unknown", req.GetKind()))
	}
	type told struct {
		moment
		all []offload.Intent
	}
	a, err := ask(ctx, s, func(e *offload.Engine) told { return told{momentOf(e), e.Intents()} })
	if err != nil {
		return nil, err
	}
	sort.SliceStable(a.all, func(i, j int) bool { return a.all[i].Set < a.all[j].Set })
	c := s.converter(a.moment)
	out := &pb.ListIntentsResponse{AsOf: c.asOf()}
	for i := range a.all {
		in := &a.all[i]
		if req.GetOwner() != "" && in.Owner != req.GetOwner() || req.GetKind() != 0 && intentEnum[in.Kind] != req.GetKind() {
			continue
		}
		out.Intents = append(out.Intents, c.intent(in))
	}
	return out, nil
}
