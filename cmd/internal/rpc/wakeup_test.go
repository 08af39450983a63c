package rpc_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/cmd/internal/rpc"
	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// meddler makes something happen right after the engine was asked: the worst
// moment for one who looks first and begins to wait then.
type meddler struct {
	*offload.Loop
	after atomic.Pointer[func()]
}

func (m *meddler) Do(ctx context.Context, f func(*offload.Engine)) error {
	err := m.Loop.Do(ctx, f)
	if after := m.after.Load(); after != nil {
		(*after)()
	}
	return err
}

// TestWakeup: a change between the reading of the log and the wait for the next
// one is told of at once, and not with the next heartbeat.
func TestWakeup(t *testing.T) {
	h, _ := start(t, rpctest.Options{})
	eng := &meddler{Loop: h.Loop}
	s, err := rpc.New(eng, rpc.Options{Wall: func(flow.Time) time.Time { return time.Now() }, Heartbeat: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s.sock")
	l, err := rpc.ListenUnix(socket, rpc.UnixOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	go func() { ended <- s.Serve(serving, l) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	c, err := (&rpctest.Host{Socket: socket}).Dial("")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	// Each of a watch's questions is followed by one change, until ten are made;
	// the engine has it before the answer is out.
	made := 0
	meddle := func() {
		if made == 10 {
			return
		}
		made++
		e := rpctest.Entry("tcp", clientAddr(made), "192.0.2.1:80")
		h.Conn(e)
		for ctx.Err() == nil {
			if st, err := h.State(ctx, e.Orig); err != nil || st == "installed" {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	eng.after.Store(&meddle)
	w, err := c.WatchFlows(ctx, &pb.WatchFlowsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m := newMirror()
	for len(m.flows) < 10 {
		msg, err := w.Recv()
		if err != nil {
			t.Fatalf("%v; told of %d flows", err, len(m.flows))
		}
		if err := m.take(msg); err != nil {
			t.Fatal(err)
		}
	}
}
