package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/cmd/internal/metrics"
	"github.com/shunt-offload/shunt/conntrack"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/route"
	"github.com/shunt-offload/shunt/route/observe"
)

// sources are where facts come from: one that tracks connections and one that
// knows routes. This file is the list of them.
type sources struct {
	tracker  offload.Tracker
	resolver offload.Resolver
	seeing   bool                        // packets are watched
	timeouts func() (tcp, udp uint32)    // the kernel's full time-outs, seconds
	stats    func(*metrics.Sources)      // adds what the sources count
	notes    []string                    // for the operator, beside the device's own
	play     func(context.Context) error // the story of scripted sources, nil for none
	close    func() error                // after the loop has ended
}

// xdpDriver is the driver that is an XDP program itself, and writes no tc filter.
const xdpDriver = "xdp"

// kernelSources follow the running kernel, in the calling thread's network
// namespace.
func kernelSources(cfg *config.Config, driver string, ob *observe.Observer, clk clock, log *slog.Logger) (*sources, error) {
	ct, err := conntrack.Open(conntrack.Options{
		Log: log, Clock: clk.now, RcvBuf: cfg.Conntrack.ReceiveBuffer,
		SetEvents: cfg.Conntrack.Events, Counters: cfg.Conntrack.Acct,
	})
	if err != nil {
		return nil, fmt.Errorf("open conntrack: %w", err)
	}
	recheck := cfg.Route.Recheck
	if recheck == 0 {
		recheck = -1 // never
	}
	rt, err := route.Open(route.Options{
		Log: log, Clock: clk.now, Recheck: recheck, MarkIsConntrack: cfg.Route.MarkIsConntrack, Observer: watching(ob),
		WatchTC: driver == xdpDriver, OwnXDP: driver == xdpDriver,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open route: %w", err), ct.Close())
	}
	return &sources{
		tracker: ct, resolver: rt, seeing: ob != nil,
		timeouts: func() (uint32, uint32) { t := ct.Timeouts(); return t.TCPEstablished, t.UDPStream },
		stats: func(m *metrics.Sources) {
			m.Conntrack, m.Route = ct.Stats, rt.Stats
			if ob != nil {
				m.Observer = ob.Stats
			}
		},
		close: func() error { rt.Close(); return ct.Close() },
	}, nil
}
