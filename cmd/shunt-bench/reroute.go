package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/drivers/xdp"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/route"
	"github.com/shunt-offload/shunt/sim/lab"
)

func rerouteCommand() *cobra.Command {
	var flows, rounds int
	cmd := &cobra.Command{
		Use:   "reroute",
		Short: "Time from a route's change until its flows are out of the emulated NIC (root)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return reroute(ctx, flows, rounds)
		},
	}
	cmd.Flags().IntVar(&flows, "flows", 100_000, "in hardware at once, 21 001 at least")
	cmd.Flags().IntVar(&rounds, "rounds", 3, "measurements of each size; the median counts")
	return cmd
}

// groups are flows that share a prefix, by how many.
var groups = []struct {
	flows  int
	prefix string
	first  uint32 // address
}{{1, "198.18.1.0/24", 0xc6120100}, {1000, "198.18.2.0/24", 0xc6120200}, {20_000, "198.18.4.0/22", 0xc6120400}}

// conn is flow i of the group that begins at the given address: datagrams of one
// client to 200 servers.
func conn(first uint32, i int) flow.Entry {
	o := flow.Tuple{Family: hwif.IPv4, Proto: hwif.ProtoUDP, SrcPort: uint16(1024 + i/200), DstPort: 443}
	o.Src, _ = hwif.AddrFrom(lab.Client4)
	binary.BigEndian.PutUint32(o.Dst[:], first+1+uint32(i%200))
	return flow.Entry{Orig: o, Reply: o.Reversed(), Timeout: 3600, Has: flow.HasTimeout,
		Status: flow.StatusConfirmed | flow.StatusSeenReply | flow.StatusAssured}
}

// tracker is conntrack with entries that nobody sends: it says what it is told.
type tracker struct {
	entries []flow.Entry
	byOrig  map[flow.Tuple]*flow.Entry
	clock   func() flow.Time
	out     chan flow.Event
}

func (t *tracker) Run(ctx context.Context, emit func(flow.Event)) error {
	for i := 0; i < len(t.entries); i += 64 {
		var evs flow.Conns
		for k := i; k < min(i+64, len(t.entries)); k++ {
			evs = append(evs, flow.Conn{Kind: flow.ConnUpdate, Entry: t.entries[k], At: t.clock()})
		}
		emit(evs)
	}
	emit(flow.Synced{Source: flow.SourceConntrack})
	for {
		select {
		case ev := <-t.out:
			emit(ev)
		case <-ctx.Done():
			return nil
		}
	}
}

// Prepare answers by itself, in a goroutine: the loop must not wait for it.
func (t *tracker) Prepare(ps []flow.Prepare) {
	ps = slices.Clone(ps)
	go func() {
		for _, p := range ps {
			en := *t.byOrig[p.Orig]
			en.Timeout = p.Timeout
			t.out <- flow.Prepared{ID: p.ID, Gen: p.Gen, Entry: en}
		}
	}()
}

func (t *tracker) Touch([]flow.Touch) {}
func (t *tracker) Relist()            {}

// reroute runs the daemon's parts over a lab's router: kernel and notifications are
// real, the NIC is the emulated one, and no packet flows.
func reroute(ctx context.Context, flows, rounds int) (err error) {
	if flows < 21_001 {
		return fmt.Errorf("flows %d: want 21001 at least", flows)
	}
	l, err := lab.New(ctx, lab.Options{NoNAT: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.Settle(ctx); err != nil {
		return err
	}
	start := time.Now()
	clock := func() flow.Time { return flow.Time(time.Since(start)) + 1 }
	tr := &tracker{clock: clock, out: make(chan flow.Event), byOrig: map[flow.Tuple]*flow.Entry{}}
	for _, g := range groups {
		if err := via(ctx, l, g.prefix, lab.HopA); err != nil {
			return err
		}
		for i := range g.flows {
			tr.entries = append(tr.entries, conn(g.first, i))
		}
	}
	if err := via(ctx, l, "100.64.0.0/16", lab.HopA); err != nil {
		return err
	}
	for i := len(tr.entries); i < flows; i++ {
		tr.entries = append(tr.entries, conn(0x64400000, i))
	}
	for i := range tr.entries {
		tr.byOrig[tr.entries[i].Orig] = &tr.entries[i]
	}
	var dev hwif.Device
	var rt *route.Resolver
	err = l.Router.Do(func() (err error) {
		if dev, err = (xdp.Driver{}).Open(ctx, hwif.OpenOptions{Ports: []string{lab.LANPort, lab.WANPort}, MaxRules: 2*flows + 1024}); err != nil {
			return err
		}
		rt, err = route.Open(route.Options{Clock: clock, Recheck: -1, OwnXDP: true})
		return err
	})
	if err != nil {
		return err
	}
	nic := hwif.NewNIC(dev, hwif.NICOptions{Clock: time.Now})
	defer func() { err = errors.Join(err, nic.Close(true)) }()
	loop := offload.NewLoop(offload.New(offload.Options{Idle: time.Hour}), offload.LoopOptions{
		NICs: []*hwif.NIC{nic}, Tracker: tr, Resolver: rt, Clock: clock, Count: time.Minute, Audit: time.Hour, Relist: time.Hour})
	inner, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(inner) }()
	defer func() { cancel(); err = errors.Join(err, <-ended); rt.Close() }()
	if err := settled(ctx, loop, flows); err != nil {
		return err
	}
	fmt.Printf("%d flows in hardware after %.1f s\n", flows, time.Since(start).Seconds())
	for _, g := range groups {
		var took []float64
		hop := lab.HopB
		for range rounds {
			since := clock()
			if err := via(ctx, l, g.prefix, hop); err != nil {
				return err
			}
			hop ^= 1
			if err := settled(ctx, loop, flows); err != nil {
				return err
			}
			n, worst, err := latest(ctx, loop, since)
			if err != nil {
				return err
			}
			if n != g.flows {
				return fmt.Errorf("a change of %s moved %d flows, want %d", g.prefix, n, g.flows)
			}
			took = append(took, float64(worst)/1e6)
		}
		fmt.Printf("figure event_to_hardware_ms_%d %.2f ms\n", g.flows, median(took))
	}
	return untouched(ctx, l, loop, flows)
}

// via replaces a route of the router.
func via(ctx context.Context, l *lab.Lab, prefix string, h lab.Hop) error {
	_, err := l.Router.Run(ctx, "ip", "route", "replace", prefix, "via", h.Addr4().String(), "dev", lab.WANPort)
	return err
}

// settled waits until every flow is in hardware, and stays there.
func settled(ctx context.Context, loop *offload.Loop, flows int) error {
	calm := 0
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if calm++; loop.Stats().RulesInHW != 2*flows {
			calm = 0
		}
		if calm == 6 || ctx.Err() != nil {
			return ctx.Err()
		}
	}
	st := loop.Stats()
	return fmt.Errorf("only %d of %d rules are in hardware: %v by state", st.RulesInHW, 2*flows, st.Flows)
}

// latest counts the flows that left hardware since then for a route's change, and how
// long after the event the last of them had left.
func latest(ctx context.Context, loop *offload.Loop, since flow.Time) (n int, worst flow.Time, err error) {
	cursor, done := uint64(0), false
	var views []offload.View
	for !done {
		err := loop.Do(ctx, func(e *offload.Engine) {
			views, cursor, done = e.List(cursor, 1<<20, nil, views[:0])
			for i := range views {
				for _, h := range views[i].History {
					if h.Cause == flow.CauseRouteChanged && h.Took != 0 && h.At > since {
						n++
						worst = max(worst, h.Took)
						break
					}
				}
			}
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return n, worst, nil
}

// untouched measures the daemon's CPU time for changes of a route that no flow is on.
func untouched(ctx context.Context, l *lab.Lab, loop *offload.Loop, flows int) error {
	const changes = 500
	var lines string
	for i := range changes {
		lines += "route replace 172.20." + strconv.Itoa(i%250) + ".0/24 via " + lab.Hop(i/250&1).Addr4().String() + " dev " + lab.WANPort + "\n"
	}
	cost := func(f func() error) (time.Duration, error) {
		var a, b syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &a); err != nil {
			return 0, err
		}
		err := f()
		if err2 := syscall.Getrusage(syscall.RUSAGE_SELF, &b); err2 != nil {
			return 0, err2
		}
		return time.Duration(b.Utime.Nano() + b.Stime.Nano() - a.Utime.Nano() - a.Stime.Nano()), err
	}
	idle, err := cost(func() error { time.Sleep(2 * time.Second); return nil })
	if err != nil {
		return err
	}
	before := loop.Stats().Removals[flow.CauseRouteChanged]
	busy, err := cost(func() error {
		begin := time.Now()
		_, err := l.Router.Run(ctx, "sh", "-c", "ip -batch - <<'EOF'\n"+lines+"EOF\n")
		time.Sleep(2*time.Second - time.Since(begin))
		return err
	})
	if err != nil {
		return err
	}
	if n := loop.Stats().Removals[flow.CauseRouteChanged] - before; n != 0 || loop.Stats().RulesInHW != 2*flows {
		return fmt.Errorf("changes of routes that no flow is on moved %d flows", n)
	}
	fmt.Printf("figure event_touching_none_us %.2f us\n", max(0, float64(busy-idle)/float64(time.Microsecond)/changes))
	return nil
}
