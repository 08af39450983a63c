package rpctest

import (
	"cmp"
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/shunt-offload/shunt/cmd/internal/rpc"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// Options of a Host; zero values are defaults.
type Options struct {
	Dir       string // where the socket is made; required
	MaxRules  int    // of the device, 1024
	Engine    offload.Options
	RPC       rpc.Options
	TCP       bool // listen on 127.0.0.1 too
	Unsynced  bool // the sources never finish their first listing
	NoDevices bool
}

// Host is everything that a client of the API can meet.
type Host struct {
	Socket  string
	TCPAddr string
	Device  *Device
	Loop    *offload.Loop
	Server  *rpc.Server

	conntrack *conntrack
	router    *router
	cancel    context.CancelFunc
	ended     chan error
	running   int
	engine    *watched
}

// Start makes a host and runs it.
func Start(opts Options) (*Host, error) {
	h := &Host{Socket: filepath.Join(opts.Dir, "shuntd.sock"), Device: newDevice(cmp.Or(opts.MaxRules, 1024)),
		conntrack: newConntrack(!opts.Unsynced), router: newRouter(!opts.Unsynced), ended: make(chan error, 2), running: 2}
	began := time.Now()
	clock := func() flow.Time { return flow.Time(time.Since(began)) + flow.Time(time.Hour) }
	h.conntrack.clock = clock
	lo := offload.LoopOptions{Tracker: h.conntrack, Resolver: h.router, Clock: clock, Count: 20 * time.Millisecond}
	if !opts.NoDevices {
		lo.NICs = []*hwif.NIC{hwif.NewNIC(h.Device, hwif.NICOptions{})}
	}
	h.Loop = offload.NewLoop(offload.New(opts.Engine), lo)
	h.engine = &watched{Loop: h.Loop}
	if opts.RPC.Wall == nil {
		opts.RPC.Wall = func(t flow.Time) time.Time { return began.Add(time.Duration(t) - time.Hour) }
	}
	if opts.RPC.Probe == 0 {
		opts.RPC.Probe = 10 * time.Millisecond
	}
	var err error
	if h.Server, err = rpc.New(h.engine, opts.RPC); err != nil {
		return nil, err
	}
	l, err := rpc.ListenUnix(h.Socket, rpc.UnixOptions{})
	if err != nil {
		return nil, err
	}
	listeners := []net.Listener{l}
	if opts.TCP {
		t, err := rpc.ListenTCP("127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		h.TCPAddr = t.Addr().String()
		listeners = append(listeners, t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go func() { h.ended <- h.Loop.Run(ctx) }()
	go func() { h.ended <- h.Server.Serve(ctx, listeners...) }()
	return h, nil
}

// watched counts how often somebody began to wait for a change.
type watched struct {
	*offload.Loop
	waits atomic.Int64
}

func (w *watched) Changed() <-chan struct{} {
	w.waits.Add(1)
	return w.Loop.Changed()
}

// Waits is how often a watch has begun to wait for changes: it has sent its
// snapshot then, and every change before.
func (h *Host) Waits() int64 { return h.engine.waits.Load() }

// Close ends the server and the loop, and waits for both. A second one does nothing.
func (h *Host) Close() error {
	h.cancel()
	var errs []error
	for ; h.running > 0; h.running-- {
		errs = append(errs, <-h.ended)
	}
	return errors.Join(errs...)
}

// Client is a connection to the host, and both services over it.
type Client struct {
	*grpc.ClientConn
	pb.FlowServiceClient
	pb.AgentServiceClient
}

// Dial connects to target, "unix://…" or "127.0.0.1:…"; empty is the host's socket.
func (h *Host) Dial(target string) (*Client, error) {
	if target == "" {
		target = "unix://" + h.Socket
	}
	c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &Client{c, pb.NewFlowServiceClient(c), pb.NewAgentServiceClient(c)}, nil
}

// Conn tells the engine of an entry: new, or changed.
func (h *Host) Conn(entries ...flow.Entry) { h.conntrack.put(entries) }

// End tells the engine that entries are gone.
func (h *Host) End(tuples ...flow.Tuple) { h.conntrack.end(tuples) }

// Dropped tells the engine that netfilter keeps dropping packets of that tuple.
func (h *Host) Dropped(t flow.Tuple) { h.conntrack.dropped(t) }

// Refuse makes the router give reasons instead of routes for what it is asked
// from now on; 0 makes it give routes again.
func (h *Host) Refuse(rs flow.Reasons, text string) { h.router.set(rs, text) }

// State is where the engine has a flow, by its word; "unknown" for none.
func (h *Host) State(ctx context.Context, t flow.Tuple) (state string, err error) {
	state = "unknown"
	err = h.Loop.Do(ctx, func(e *offload.Engine) {
		if v, ok := e.Get(t); ok {
			state = v.State.String()
		}
	})
	return state, err
}
