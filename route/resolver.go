package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// Options: zero values are defaults.
type Options struct {
	Log   *slog.Logger     // nil means silent
	Clock func() flow.Time // the daemon's clock; nil counts from Open
	// RcvBuf is the receive buffer of the notification socket in bytes, 16 MiB:
	// a routing daemon that replaces 10 000 routes sends about 10 MB at once.
	RcvBuf int
	// Recheck is how long it takes to ask about every flow once more, for what
	// the kernel changes silently; 30 s. Below zero turns it off.
	Recheck time.Duration
	// MarkIsConntrack declares that the ruleset sets each packet's mark to its
	// conntrack mark before routing, so that Query.Mark speaks for rules by
	// fwmark. Otherwise such rules make flows route_unobserved.
	MarkIsConntrack bool
	// WatchTC has changes of a port's queueing discipline noticed at once and not with
	// the next round. It costs whoever writes tc filters: not for a device that does.
	WatchTC bool
	// OwnXDP says that the XDP programs on the ports are the device's own. Others see
	// packets that hardware would take past them.
	OwnXDP bool
	deafTo int // a group that is left out, or the policies and the ruleset: tests show that it is missed
	// Observer shows the packets themselves; nil leaves it to the tables, which
	// answer for less. The Resolver runs it; its owner closes it after Run.
	Observer Observer
}

// deafToPolicies leaves out what is not of NETLINK_ROUTE.
const deafToPolicies = -1

func (o *Options) groups() []int {
	return slices.DeleteFunc(rtnl.Groups(o.WatchTC), func(g int) bool { return g == o.deafTo })
}

// Observer is *observe.Observer.
type Observer interface {
	// Ask wants the next packet of each direction told.
	Ask(orig, reply []flow.Tuple) error
	// Reset counts a direction anew.
	Reset(orig []flow.Tuple) error
	// SetPorts says where to look.
	SetPorts([]hwif.Port) error
	// Run tells what is seen until ctx ends.
	Run(ctx context.Context, emit func([]observe.Sight)) error
}

const (
	defaultRcvBuf  = 16 << 20
	defaultRecheck = 30 * time.Second
	policyRcvBuf   = 1 << 20 // XFRM policies change rarely
	rulesetRcvBuf  = 4 << 20 // a commit may tell of thousands of rules; one that does not fit counts as a change
)

// Resolver answers for routes. Run must be called once; every other method may
// be called from any goroutine, before, during and after it.
type Resolver struct {
	log     *slog.Logger
	clock   func() flow.Time
	recheck time.Duration

	observer Observer
	queue    queue
	done     chan struct{} // closed when Run has returned

	conn     *rtnl.Conn
	xfrm     *rtnl.Conn // nil without XFRM
	sysctls  *sysctlFiles
	monitors []*rtnl.Monitor
	stateMu  sync.Mutex
	started  bool
	closed   bool
	quit     chan struct{} // closed by Close

	statsMu sync.Mutex
	public  Stats

	core // owned by Run
}

// Open makes the sockets, in the calling thread's network namespace, and
// subscribes. The caller must Run or Close what it gets.
func Open(opts Options) (*Resolver, error) {
	r := &Resolver{log: opts.Log, clock: opts.Clock, recheck: opts.Recheck, observer: opts.Observer,
		done: make(chan struct{}), quit: make(chan struct{})}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.clock == nil {
		start := time.Now()
		r.clock = func() flow.Time { return flow.Time(time.Since(start)) }
	}
	if r.recheck == 0 {
		r.recheck = defaultRecheck
	}
	r.queue.wake = make(chan struct{}, 1)
	if opts.RcvBuf <= 0 {
		opts.RcvBuf = defaultRcvBuf
	}
	m, err := rtnl.NewMonitor(opts.RcvBuf, opts.groups())
	if err != nil {
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	r.monitors = append(r.monitors, m)
	if r.conn, err = rtnl.NewConn(unix.NETLINK_ROUTE); err != nil {
		r.Close()
		return nil, fmt.Errorf("look up routes: %w", err)
	}
	r.core = newCore(r.conn.Lookup, opts.MarkIsConntrack)
	r.core.host = kernel{r.conn}
	r.sysctls = openSysctls()
	r.core.again.multipath = r.sysctls.read
	r.core.view.ownXDP = opts.OwnXDP
	if opts.Observer != nil {
		r.core.await.watcher = opts.Observer
	}
	if opts.deafTo == deafToPolicies {
		return r, nil
	}
	if err := r.openXFRM(); err != nil {
		r.Close()
		return nil, err
	}
	if err := r.openRuleset(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// openRuleset watches netfilter's rules. A kernel without nf_tables has none that
// are announced.
func (r *Resolver) openRuleset() error {
	m, err := rtnl.NewRulesetMonitor(rulesetRcvBuf)
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EPERM):
		r.log.Warn("changes of the ruleset can't be watched, which needs CAP_NET_ADMIN", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("watch the ruleset: %w", err)
	}
	r.monitors = append(r.monitors, m)
	return nil
}

// openXFRM watches IPsec policies. A kernel without XFRM has none; one that
// forbids watching leaves the policies unknown, and every flow refused.
func (r *Resolver) openXFRM() error {
	m, err := rtnl.NewPolicyMonitor(policyRcvBuf)
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT):
		return nil
	case errors.Is(err, unix.EPERM):
		r.view.ipsecFault = "watching them needs CAP_NET_ADMIN"
		r.log.Warn("IPsec policies can't be watched; nothing will be offloaded", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("watch IPsec policies: %w", err)
	}
	r.monitors = append(r.monitors, m)
	if r.xfrm, err = rtnl.NewConn(unix.NETLINK_XFRM); err != nil {
		return fmt.Errorf("list IPsec policies: %w", err)
	}
	return nil
}

// Resolve asks for routes and for word of their changes. It does not block.
// A query for an ID that is tracked takes the place of the earlier one.
func (r *Resolver) Resolve(qs []flow.Query) {
	r.queue.put(func(cs []command) []command {
		for i := range qs {
			cs = append(cs, command{kind: cmdResolve, query: qs[i]})
		}
		return cs
	})
}

// Forget ends the tracking of flows. It does not block. An Answer or Dirty that
// was on its way may still come.
func (r *Resolver) Forget(ids []flow.ID) {
	r.queue.put(func(cs []command) []command {
		for _, id := range ids {
			cs = append(cs, command{kind: cmdForget, query: flow.Query{ID: id}})
		}
		return cs
	})
}

// Recount has the observer count these tuples' packets from zero, so that it tells of
// them once more. It does not block.
func (r *Resolver) Recount(ts []flow.Tuple) {
	ts = append([]flow.Tuple(nil), ts...)
	r.queue.call(func() error {
		r.recount(ts)
		return nil
	})
}

// SetPorts says which interfaces are ports of devices. Before the first call
// there is none, and every flow is refused.
func (r *Resolver) SetPorts(ports []hwif.Port) {
	ports = append([]hwif.Port(nil), ports...)
	r.queue.call(func() error {
		r.setPorts(ports)
		if r.await.watcher != nil {
			if err := r.observer.SetPorts(ports); err != nil {
				r.log.Warn("not every port is watched by the observer", "err", err)
			}
		}
		return nil
	})
}

// Explain looks one flow up, tracks nothing and triggers nothing. When Run is
// not running, or ctx ends first, the answer is route_unobserved and says so.
func (r *Resolver) Explain(ctx context.Context, q flow.Query) flow.Answer {
	reply := make(chan flow.Answer, 1)
	r.queue.call(func() error {
		a, err := r.explain(&q)
		if err == nil {
			reply <- a
		}
		return err
	})
	unknown := flow.Answer{ID: q.ID, Gen: q.Gen, Reasons: flow.Of(flow.RouteUnobserved)}
	select {
	case a := <-reply:
		return a
	case <-r.done:
		unknown.Text = "the resolver has ended"
	case <-ctx.Done():
		unknown.Text = "the resolver gave no answer in time: " + context.Cause(ctx).Error()
	}
	return unknown
}

// Stats is the latest snapshot.
func (r *Resolver) Stats() Stats {
	r.statsMu.Lock()
	defer r.statsMu.Unlock()
	return r.public
}

// start claims the right to run.
func (r *Resolver) start() bool {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	ok := !r.started && !r.closed
	r.started = r.started || ok
	return ok
}

// Close releases a Resolver that was never run, and ends Run, which then
// returns nil. It may be called twice.
func (r *Resolver) Close() {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	r.queue.close()
	if r.closed {
		return
	}
	r.closed = true
	close(r.quit)
	for _, m := range r.monitors {
		m.Close()
	}
	if !r.started {
		r.closeConns()
		close(r.done)
	}
}

func (r *Resolver) closeConns() {
	for _, c := range []*rtnl.Conn{r.conn, r.xfrm} {
		if c != nil {
			c.Close()
		}
	}
	if r.sysctls != nil {
		r.sysctls.close()
	}
}
