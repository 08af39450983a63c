package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/shunt-offload/shunt/cmd/internal/rpc"
	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	"github.com/shunt-offload/shunt/hwif/flow"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// mirror is what a client should make of a watch: every flow as it is.
type mirror struct {
	flows    map[uint64]*pb.Flow
	fresh    map[uint64]bool // came since the last start; nil when the picture is whole
	seq      uint64
	instance string
	starts   []*pb.WatchStart
}

func newMirror() *mirror { return &mirror{flows: map[uint64]*pb.Flow{}} }

func (m *mirror) take(msg *pb.WatchFlowsResponse) error {
	if s := msg.GetSeq(); s != 0 {
		if s < m.seq && msg.GetInstance() == m.instance {
			return fmt.Errorf("seq fell from %d to %d", m.seq, s)
		}
		m.seq, m.instance = s, msg.GetInstance()
	}
	switch ev := msg.GetEvent().(type) {
	case *pb.WatchFlowsResponse_Start:
		m.starts = append(m.starts, ev.Start)
		if !ev.Start.GetResumed() {
			m.fresh = map[uint64]bool{}
		}
	case *pb.WatchFlowsResponse_Snapshot:
		return m.put(ev.Snapshot.GetFlows())
	case *pb.WatchFlowsResponse_Changes:
		for _, uid := range ev.Changes.GetLeft() {
			delete(m.flows, uid)
		}
		return m.put(ev.Changes.GetFlows())
	case *pb.WatchFlowsResponse_SnapshotComplete:
		for uid := range m.flows {
			if !m.fresh[uid] {
				delete(m.flows, uid)
			}
		}
		m.fresh = nil
	}
	return nil
}

func (m *mirror) put(flows []*pb.Flow) error {
	for _, f := range flows {
		if old := m.flows[f.GetUid()]; old != nil && m.fresh == nil && f.GetSeq() < old.GetSeq() {
			return fmt.Errorf("flow %d went back from seq %d to %d", f.GetUid(), old.GetSeq(), f.GetSeq())
		}
		if f.GetGone() {
			delete(m.flows, f.GetUid())
			continue
		}
		m.flows[f.GetUid()] = f
		if m.fresh != nil {
			m.fresh[f.GetUid()] = true
		}
	}
	return nil
}

// diff compares with a listing: which flows there are, and how each one stands.
func (m *mirror) diff(listed []*pb.Flow) string {
	want := map[uint64]bool{}
	for _, f := range listed {
		want[f.GetUid()] = true
		got := m.flows[f.GetUid()]
		switch {
		case got == nil:
			return fmt.Sprintf("flow %d (%v, seq %d) was never told of", f.GetUid(), f.GetState(), f.GetSeq())
		case got.GetState() != f.GetState() || got.GetSeq() != f.GetSeq():
			return fmt.Sprintf("flow %d is %v at seq %d, was told %v at %d", f.GetUid(), f.GetState(), f.GetSeq(), got.GetState(), got.GetSeq())
		}
	}
	for uid := range m.flows {
		if !want[uid] {
			return fmt.Sprintf("flow %d is still in the mirror", uid)
		}
	}
	return ""
}

// churn makes connections come, change and go until ctx ends.
func churn(ctx context.Context, h *rpctest.Host, c *rpctest.Client) {
	r := rand.New(rand.NewPCG(1, 2))
	var alive []flow.Entry
	for n := 0; ctx.Err() == nil; n++ {
		switch {
		case len(alive) > 2000 || len(alive) > 1600 && r.IntN(2) == 0:
			i := r.IntN(len(alive))
			h.End(alive[i].Orig)
			alive = append(alive[:i], alive[i+1:]...)
		default:
			e := rpctest.Entry([]string{"tcp", "udp"}[n&1], clientAddr(n), "192.0.2.1:443")
			alive = append(alive, e)
			h.Conn(e)
		}
		if n%500 == 0 {
			h.Device.Count(1)
		}
		if n%2000 == 1999 {
			ctx := context.WithoutCancel(ctx) // never end paused
			_, _ = c.Pause(ctx, &pb.PauseRequest{Owner: "churn"})
			_, _ = c.Resume(ctx, &pb.ResumeRequest{Owner: "churn"})
		}
		if n%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// TestWatchResume cuts a watch again and again while connections come and go,
// resumes it, and holds what the client knows against a listing at the end.
func TestWatchResume(t *testing.T) {
	for _, filter := range []string{"", "proto=tcp offloaded"} {
		t.Run("filter "+filter, func(t *testing.T) {
			h, c := start(t, rpctest.Options{MaxRules: 3000, RPC: rpc.Options{Gather: time.Millisecond, Heartbeat: 20 * time.Millisecond}})
			ctx, stop := context.WithCancel(t.Context())
			churned := make(chan struct{})
			go func() { defer close(churned); churn(ctx, h, c) }()
			m := newMirror()
			r := rand.New(rand.NewPCG(3, 4))
			for i := range 30 {
				if i%10 == 9 {
					m.seq = 0 // from the start: several pages, and changes between them
				}
				watchSome(t, c, m, filter, 1+r.IntN(60))
			}
			stop()
			<-churned
			resumed := 0
			for _, s := range m.starts {
				if s.GetResumed() {
					resumed++
				}
			}
			if resumed < 10 {
				t.Errorf("only %d of %d starts resumed: %v", resumed, len(m.starts), m.starts)
			}
			settle(t, c, m, filter)
		})
	}
}

// watchSome handles n messages and leaves.
func watchSome(t *testing.T, c *rpctest.Client, m *mirror, filter string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := c.WatchFlows(ctx, &pb.WatchFlowsRequest{Filter: filter, ResumeAfterSeq: m.seq, ResumeInstance: m.instance})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n || m.fresh != nil; i++ {
		msg, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && msg.GetStart() == nil {
			t.Fatalf("a watch begins with %v", msg)
		}
		if err := m.take(msg); err != nil {
			t.Fatal(err)
		}
	}
}

// settle watches on until the mirror equals a listing.
func settle(t *testing.T, c *rpctest.Client, m *mirror, filter string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := c.WatchFlows(ctx, &pb.WatchFlowsRequest{Filter: filter, ResumeAfterSeq: m.seq, ResumeInstance: m.instance})
	if err != nil {
		t.Fatal(err)
	}
	why := ""
	for {
		msg, err := s.Recv()
		if err != nil {
			t.Fatalf("%v; %s", err, why)
		}
		if err := m.take(msg); err != nil {
			t.Fatal(err)
		}
		if msg.GetHeartbeat() == nil {
			continue
		}
		flows, _, err := list(t, c, &pb.ListFlowsRequest{Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		if why = m.diff(flows); why == "" {
			if len(flows) == 0 {
				t.Error("nothing was left to compare")
			}
			return
		}
	}
}

// first opens a watch and gives its first message.
func first(t *testing.T, c *rpctest.Client, req *pb.WatchFlowsRequest) (*pb.WatchFlowsResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := c.WatchFlows(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return s.Recv()
}

func TestWatchRequests(t *testing.T) {
	h, c := start(t, rpctest.Options{RPC: rpc.Options{Instance: "this"}})
	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	until(t, c, tcp("10.0.0.1:4000", "192.0.2.1:80"), pb.State_STATE_INSTALLED)
	for name, tc := range map[string]struct {
		req     *pb.WatchFlowsRequest
		resumed bool
		says    string
	}{
		"from the start":  {&pb.WatchFlowsRequest{}, false, ""},
		"resumed":         {&pb.WatchFlowsRequest{ResumeAfterSeq: 1, ResumeInstance: "this"}, true, ""},
		"another run":     {&pb.WatchFlowsRequest{ResumeAfterSeq: 1, ResumeInstance: "that"}, false, "started anew"},
		"from the future": {&pb.WatchFlowsRequest{ResumeAfterSeq: 1 << 40, ResumeInstance: "this"}, false, "in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := first(t, c, tc.req)
			if err != nil || m.GetStart() == nil || m.GetStart().GetResumed() != tc.resumed || !strings.Contains(m.GetStart().GetText(), tc.says) {
				t.Errorf("%v, %v", m, err)
			}
		})
	}
	_, err := first(t, c, &pb.WatchFlowsRequest{ResumeAfterSeq: 1})
	refused(t, err, codes.InvalidArgument, "invalid")
	_, err = first(t, c, &pb.WatchFlowsRequest{Filter: "stat=active"})
	if text := refused(t, err, codes.InvalidArgument, "invalid"); !strings.Contains(text, `did you mean "state"?`) {
		t.Error(text)
	}
}

// TestWatchLost: more endings than the log keeps. A watch that was away that
// long is told so and gets a snapshot.
func TestWatchLost(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	m := newMirror()
	keep := rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80")
	h.Conn(keep)
	until(t, c, tcp("10.0.0.1:4000", "192.0.2.1:80"), pb.State_STATE_INSTALLED)
	watchSome(t, c, m, "", 3)
	for i := range 5000 {
		e := rpctest.Entry("udp", clientAddr(i), "192.0.2.1:53")
		h.Conn(e)
		h.End(e.Orig)
	}
	mark := rpctest.Entry("tcp", "10.0.0.2:4000", "192.0.2.1:80")
	h.Conn(mark)
	until(t, c, tcp("10.0.0.2:4000", "192.0.2.1:80"), pb.State_STATE_INSTALLED)
	watchSome(t, c, m, "", 3)
	if last := m.starts[len(m.starts)-1]; last.GetResumed() || !strings.Contains(last.GetText(), "no longer reaches back") {
		t.Errorf("start is %v", last)
	}
	if len(m.flows) != 2 {
		t.Errorf("%d flows after the snapshot, want 2", len(m.flows))
	}
}

// TestSlowReader: a reader that does not read holds nobody up but itself.
func TestSlowReader(t *testing.T) {
	h, c := start(t, rpctest.Options{MaxRules: 4096, RPC: rpc.Options{Gather: time.Millisecond}})
	var entries []flow.Entry
	for i := range 3000 {
		entries = append(entries, rpctest.Entry("udp", clientAddr(i), "192.0.2.1:53"))
	}
	h.Conn(entries...)
	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	slow, err := c.WatchFlows(ctx, &pb.WatchFlowsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	// 3000 flows are megabytes: the stream's window is full, and the server waits.
	until(t, c, tcp("10.0.0.1:4000", "192.0.2.1:80"), pb.State_STATE_INSTALLED, pb.State_STATE_BACKOFF, pb.State_STATE_CANDIDATE)
	var ends []flow.Tuple
	for _, e := range entries[:1000] {
		ends = append(ends, e.Orig)
	}
	h.End(ends...)
	h.Conn(rpctest.Entry("tcp", "10.0.0.9:4000", "192.0.2.1:80"))
	until(t, c, tcp("10.0.0.9:4000", "192.0.2.1:80"), pb.State_STATE_INSTALLED)
	// Now it reads, and misses nothing.
	m := newMirror()
	for m.fresh != nil || len(m.starts) == 0 || len(m.flows) != 2002 {
		msg, err := slow.Recv()
		if err != nil {
			t.Fatalf("%v after %d flows", err, len(m.flows))
		}
		if err := m.take(msg); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWatchLimit(t *testing.T) {
	_, c := start(t, rpctest.Options{RPC: rpc.Options{Watches: 2}})
	for range 2 {
		s, err := c.WatchFlows(t.Context(), &pb.WatchFlowsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := first(t, c, &pb.WatchFlowsRequest{})
	refused(t, err, codes.ResourceExhausted, "too_many_watches")
}

// TestWatchEnd: at the daemon's end a watch is told to come back.
func TestWatchEnd(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	s, err := c.WatchFlows(t.Context(), &pb.WatchFlowsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Close() }()
	for {
		if _, err = s.Recv(); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) || status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ends with %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
