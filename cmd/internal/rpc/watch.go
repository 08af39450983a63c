package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/shunt-offload/shunt/cmd/internal/rpc/filter"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// restarts is how often in a row a watch may start over without having got
// through a snapshot: such a reader will never catch up.
const restarts = 5

// watch is one WatchFlows call. Owned by its goroutine.
type watch struct {
	*Server
	ctx    context.Context
	out    grpc.ServerStreamingServer[pb.WatchFlowsResponse]
	filter *filter.Filter
	seq    uint64 // every change up to here was sent
	whole  bool   // the reader has a whole picture as of seq
}

// WatchFlows sends a snapshot and then every change.
func (s *Server) WatchFlows(req *pb.WatchFlowsRequest, out grpc.ServerStreamingServer[pb.WatchFlowsResponse]) error {
	if n := s.watches.Add(1); n > int64(s.opts.Watches) {
		s.watches.Add(-1)
		return refuse(ReasonTooManyWatches, fmt.Sprintf("%d watches are open, which is the limit; end one, or raise the daemon's limit", s.opts.Watches))
	}
	defer s.watches.Add(-1)
	if req.GetResumeAfterSeq() != 0 && req.GetResumeInstance() == "" {
		return invalid("resume_instance", "resume_after_seq needs resume_instance, from the same message: another run of the daemon counts anew")
	}
	f, err := s.parseFilter(out.Context(), req.GetFilter())
	if err != nil {
		return err
	}
	w := &watch{Server: s, ctx: out.Context(), out: out, filter: f}
	return w.run(req)
}

func (w *watch) run(req *pb.WatchFlowsRequest) error {
	why, err := w.resume(req)
	for tries := 0; err == nil; tries++ {
		if !w.whole {
			if tries > restarts {
				return refuse(ReasonReaderTooSlow, "changes come faster than this client reads them; read faster, or watch with a filter")
			}
			if err := w.snapshot(why); err != nil {
				return err
			}
		}
		if w.whole {
			tries = 0
			err = w.follow()
		}
		why = w.lost()
	}
	return err
}

func (w *watch) lost() string {
	return fmt.Sprintf("the log of changes no longer reaches back to %d", w.seq)
}

// resume takes the reader's place in the log; otherwise it says why a snapshot
// is needed.
func (w *watch) resume(req *pb.WatchFlowsRequest) (why string, err error) {
	at := req.GetResumeAfterSeq()
	switch {
	case at == 0:
		return "", nil
	case req.GetResumeInstance() != w.opts.Instance:
		return "the daemon was started anew since then", nil
	}
	w.seq = at
	b, err := w.since(1)
	switch {
	case err != nil:
		return "", err
	case at > b.seq:
		return fmt.Sprintf("resume_after_seq %d is in the future: the latest change is %d", at, b.seq), nil
	case !b.ok:
		return w.lost(), nil
	}
	w.whole = true
	return "", w.send(b.moment, at, start(true, ""))
}

func start(resumed bool, text string) *pb.WatchFlowsResponse {
	return &pb.WatchFlowsResponse{Event: &pb.WatchFlowsResponse_Start{Start: &pb.WatchStart{Resumed: resumed, Text: text}}}
}

// snapshot sends every flow that matches, and between its pages what changed
// meanwhile: so the log need only reach back over one page, however many flows
// there are and however slowly they are read. It leaves whole false when even
// that was too far.
//
// Nothing is missed: the log is read from before the first page on. Nothing
// goes back in time: a change always carries the flow as it is when the log is read.
func (w *watch) snapshot(why string) error {
	type begin struct {
		moment
		seq uint64
	}
	b, err := ask(w.ctx, w.Server, func(e *offload.Engine) begin { return begin{momentOf(e), e.Seq()} })
	if err != nil {
		return err
	}
	if err := w.send(b.moment, 0, start(false, why)); err != nil {
		return err
	}
	w.seq = b.seq
	var after, count uint64
	for {
		p, err := w.pageAfter(w.ctx, after, perAsk, w.filter)
		if err != nil {
			return err
		}
		if err := w.sendPage(&p); err != nil {
			return err
		}
		count += uint64(len(p.views))
		if ok, _, err := w.catchUp(); err != nil || !ok {
			return err
		}
		if after = p.next; p.done {
			w.whole = true
			end := &pb.WatchFlowsResponse_SnapshotComplete{SnapshotComplete: &pb.WatchSnapshotComplete{Flows: count}}
			return w.send(p.moment, w.seq, &pb.WatchFlowsResponse{Event: end})
		}
	}
}

func (w *watch) sendPage(p *page) error {
	c := w.converter(p.moment)
	for views := p.views; len(views) > 0; {
		n := min(perMessage, len(views))
		part := &pb.WatchFlowsResponse_Snapshot{Snapshot: &pb.WatchSnapshot{Flows: c.flows(views[:n])}}
		if err := w.send(p.moment, 0, &pb.WatchFlowsResponse{Event: part}); err != nil {
			return err
		}
		views = views[n:]
	}
	return nil
}

// follow sends changes until the stream ends (an error) or the log no longer
// reaches back (nil; whole is false then).
func (w *watch) follow() error {
	quiet := time.NewTimer(w.opts.Heartbeat)
	defer quiet.Stop()
	for {
		changed := w.eng.Changed() // before reading: what comes after is not missed
		ok, sent, err := w.catchUp()
		if err != nil {
			return err
		}
		if !ok {
			w.whole = false
			return nil
		}
		if sent {
			quiet.Reset(w.opts.Heartbeat)
		}
		if err := w.wait(changed, quiet); err != nil {
			return err
		}
	}
}

// wait ends some time after the next change, or after a heartbeat.
func (w *watch) wait(changed <-chan struct{}, quiet *time.Timer) error {
	select {
	case <-w.ctx.Done():
		return unavailable(w.ctx, w.ctx.Err())
	case <-w.ending:
		return refuse(ReasonUnavailable, "the daemon is ending; resume the watch when it is back")
	case <-quiet.C:
		quiet.Reset(w.opts.Heartbeat)
		m, err := ask(w.ctx, w.Server, momentOf)
		if err != nil {
			return err
		}
		return w.send(m, w.seq, &pb.WatchFlowsResponse{Event: &pb.WatchFlowsResponse_Heartbeat{Heartbeat: &pb.WatchHeartbeat{}}})
	case <-changed:
	}
	gather := time.NewTimer(w.opts.Gather)
	defer gather.Stop()
	select {
	case <-w.ctx.Done():
		return unavailable(w.ctx, w.ctx.Err())
	case <-w.ending:
	case <-gather.C:
	}
	return nil
}

func (w *watch) send(m moment, seq uint64, msg *pb.WatchFlowsResponse) error {
	msg.Seq, msg.Instance, msg.AsOf = seq, w.opts.Instance, w.converter(m).asOf()
	return w.out.Send(msg)
}
