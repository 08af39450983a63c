package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// Engine is what the server needs of the engine's loop; *offload.Loop has it.
type Engine interface {
	// Do runs f on the goroutine that owns the engine and waits.
	Do(ctx context.Context, f func(*offload.Engine)) error
	// Changed gives a channel that is closed at the next change of any flow.
	Changed() <-chan struct{}
	// Stats is the latest snapshot. Never nil; not written to.
	Stats() *offload.Stats
}

// Options of a Server; zero values are defaults.
type Options struct {
	Log *slog.Logger // nil means silent
	// Wall turns the engine's time into the time of day. Required.
	Wall    func(flow.Time) time.Time
	Version string
	Started time.Time // of the daemon; zero is the time of New
	// Instance names this run of the daemon; empty is 8 random bytes.
	Instance string

	// Heartbeat is the longest silence of a watch, 10 s.
	Heartbeat time.Duration
	// Gather is how long a watch collects changes before it asks for them, 20 ms:
	// the engine is asked at most 50 times a second for each watch.
	Gather time.Duration
	// Watches is the most watches at once, 64: each costs one pass over the
	// changes, and a snapshot of all flows at its begin.
	Watches int
	// Intents is the most pins and denials together, 65536: they are kept in memory.
	Intents int
	// Streams is the most calls at once of one connection, 128.
	Streams uint32
	// Probe is how often the health service looks whether the engine is synced, 500 ms.
	Probe time.Duration
	// Grace is how long calls may go on when Serve ends, 2 s.
	Grace time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Wall == nil {
		return o, errors.New("rpc: Options.Wall is required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Started.IsZero() {
		o.Started = time.Now()
	}
	if o.Instance == "" {
		var b [8]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		o.Instance = hex.EncodeToString(b[:])
	}
	def(&o.Heartbeat, 10*time.Second)
	def(&o.Gather, 20*time.Millisecond)
	def(&o.Probe, 500*time.Millisecond)
	def(&o.Grace, 2*time.Second)
	def(&o.Watches, 64)
	def(&o.Intents, 1<<16)
	def(&o.Streams, 128)
	return o, nil
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// maxRequest is the longest request in bytes; the longest sensible one is a
// filter of filter.MaxLen.
const maxRequest = 64 << 10

// Server serves the API. All methods may be called by any goroutine.
type Server struct {
	pb.UnimplementedFlowServiceServer
	pb.UnimplementedAgentServiceServer

	eng     Engine
	opts    Options
	log     *slog.Logger
	grpc    *grpc.Server
	health  *health.Server
	watches atomic.Int64
	ending  chan struct{} // closed when Serve begins to end: watches take leave
}

// New makes a server; Serve runs it.
func New(eng Engine, opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{eng: eng, opts: opts, log: opts.Log, health: health.NewServer(), ending: make(chan struct{})}
	s.grpc = grpc.NewServer(
		grpc.Creds(peerCreds{}),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(opts.Streams),
		// A peer that is gone without a word is noticed within 40 s.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// Pings more often than this are an attack or a mistake.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
	)
	pb.RegisterFlowServiceServer(s.grpc, s)
	pb.RegisterAgentServiceServer(s.grpc, s)
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.setHealth(false)
	return s, nil
}

// Serve answers on every listener until ctx ends, and closes them. It returns
// nil when ctx ended, or the first error of a listener. It may be called once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error {
			// Stopped before it began is an end like any other.
			if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	g.Go(func() error { s.watchHealth(ctx); return nil })
	g.Go(func() error {
		<-ctx.Done()
		s.stop()
		return nil
	})
	return g.Wait()
}

// stop lets calls finish for Grace and then ends them.
func (s *Server) stop() {
	s.health.Shutdown()
	close(s.ending)
	cut := time.AfterFunc(s.opts.Grace, s.grpc.Stop)
	s.grpc.GracefulStop()
	cut.Stop()
}
