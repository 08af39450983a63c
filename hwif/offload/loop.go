package offload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// LoopOptions: zero values are defaults, but for Clock, Tracker and Resolver,
// which must be given.
type LoopOptions struct {
	NICs     []*hwif.NIC
	Tracker  Tracker
	Resolver Resolver
	// Clock is the daemon's monotonic clock; always above 0, and the same one
	// that Tracker and Resolver stamp their events with.
	Clock  func() flow.Time
	Count  time.Duration // between counter rounds; 1 s
	Relist time.Duration // between conntrack listings; 5 s
	Audit  time.Duration // between listings of the devices; 30 s
	Keep   bool          // leave rules in a persistent device at the end
	Log    *slog.Logger
}

// Loop is the one goroutine that owns an Engine, and beside it two for each
// device: a writer, which has at most one batch in hand, and a reader.
type Loop struct {
	eng  *Engine
	opts LoopOptions

	events  chan flow.Event
	do      chan func(*Engine)
	dones   chan batch
	reads   chan reading
	nudges  chan *worker // of devices that have something to show
	failed  chan error
	workers []*worker

	stats   atomic.Pointer[Stats]
	changed atomic.Pointer[chan struct{}]
	seq     uint64
	ended   chan struct{} // closed when Run has returned

	report report
	debug  bool // the log takes debug lines
	keep   bool
}

// eventQueue is how many batches may wait; when it is full, the sources wait,
// and the kernel's socket buffer holds what comes meanwhile.
const eventQueue = 1024

// tick is how often time passes for the engine: fine enough for every time-out
// that it keeps, and cheap.
const tick = 50 * time.Millisecond

// stopPatience bounds the wait for devices to give everything back.
const stopPatience = 10 * time.Second

// NewLoop makes the loop of e and makes the devices known to it.
func NewLoop(e *Engine, opts LoopOptions) *Loop {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&opts.Count, time.Second)
	def(&opts.Relist, 5*time.Second)
	def(&opts.Audit, 30*time.Second)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	l := &Loop{eng: e, opts: opts, keep: opts.Keep,
		events: make(chan flow.Event, eventQueue),
		do:     make(chan func(*Engine)),
		dones:  make(chan batch),
		reads:  make(chan reading),
		nudges: make(chan *worker),
		failed: make(chan error, 2),
		ended:  make(chan struct{}),
	}
	for _, n := range opts.NICs {
		dev := e.AddDevice(n.Caps())
		l.workers = append(l.workers, newWorker(dev, n))
	}
	l.publish()
	return l
}

// ErrStopped is returned by Do when the loop has ended.
var ErrStopped = errors.New("the daemon is stopping")

// Do runs f on the loop's goroutine and waits for it. f must be quick and must
// not keep e or slices that it got from it.
func (l *Loop) Do(ctx context.Context, f func(e *Engine)) error {
	ran := make(chan struct{})
	select {
	case l.do <- func(e *Engine) { f(e); close(ran) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ended:
		return ErrStopped
	}
	<-ran
	return nil
}

// Stats is the latest snapshot, at most some ticks old. Never nil; not to be
// written to.
func (l *Loop) Stats() *Stats { return l.stats.Load() }

// Changed gives a channel that is closed at the next change of any flow.
func (l *Loop) Changed() <-chan struct{} { return *l.changed.Load() }

// Run goes until ctx ends or a source fails, and returns after every flow was
// given back to the kernel (unless Keep).
func (l *Loop) Run(ctx context.Context) (err error) {
	defer close(l.ended)
	var group sync.WaitGroup
	defer group.Wait()
	// Sources and workers outlive ctx: giving flows back needs them.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	l.eng.Tick(l.opts.Clock())
	for _, w := range l.workers {
		if err := l.firstLook(inner, w); err != nil {
			return err
		}
	}
	l.portsChanged()
	for _, w := range l.workers {
		group.Go(func() { w.write(inner, l.dones) })
		group.Go(func() { w.read(inner, l.opts.Clock, l.reads) })
		group.Go(func() { w.heed(inner, l.nudges) })
	}
	emit := func(ev flow.Event) {
		select {
		case l.events <- ev:
		case <-inner.Done():
		}
	}
	source := func(name string, run func(context.Context, func(flow.Event)) error) {
		if err := run(inner, emit); err != nil && inner.Err() == nil {
			l.failed <- fmt.Errorf("%s: %w", name, err)
		}
	}
	group.Go(func() { source("conntrack", l.opts.Tracker.Run) })
	group.Go(func() { source("route", l.opts.Resolver.Run) })
	return l.turn(ctx)
}

// turn is the loop itself.
func (l *Loop) turn(ctx context.Context) (err error) {
	l.debug = l.opts.Log.Enabled(ctx, slog.LevelDebug)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var next struct{ count, relist, audit flow.Time }
	now := l.eng.Now()
	next.count, next.relist, next.audit = now+flow.Time(l.opts.Count), now+flow.Time(l.opts.Relist), now+flow.Time(l.opts.Audit)
	quit, deadline := ctx.Done(), flow.Time(0)
	for {
		select {
		case ev := <-l.events:
			l.eng.Tick(l.opts.Clock())
			l.step(ev)
			l.drain()
		case b := <-l.dones:
			l.eng.Tick(l.opts.Clock())
			l.eng.Done(b.dones)
			b.w.finished(b)
		case r := <-l.reads:
			l.eng.Tick(l.opts.Clock())
			l.took(r)
		case w := <-l.nudges:
			l.eng.Tick(l.opts.Clock())
			if at := l.nudged(w); at != 0 {
				next.audit = min(next.audit, at)
			}
		case f := <-l.do:
			l.eng.Tick(l.opts.Clock())
			f(l.eng)
		case <-ticker.C:
			now := l.opts.Clock()
			l.eng.Tick(now)
			if due(&next.count, now, l.opts.Count) {
				l.ask(readCounters | readPorts)
			}
			if due(&next.audit, now, l.opts.Audit) {
				l.ask(readRules)
			}
			if due(&next.relist, now, l.opts.Relist) {
				l.opts.Tracker.Relist()
			}
			l.publish()
			l.debug = l.opts.Log.Enabled(ctx, slog.LevelDebug)
			l.report.tell(l.opts.Log, l.Stats())
		case err = <-l.failed:
			l.opts.Log.Error("a source failed; giving every flow back to the kernel", "err", err)
			quit, deadline = nil, l.stop()
		case <-quit:
			quit, deadline = nil, l.stop()
		}
		l.flush()
		if deadline == 0 {
			continue
		}
		if l.idle() && (l.keep || l.eng.Stopped()) {
			l.publish()
			return err
		}
		if l.eng.Now() > deadline {
			l.publish()
			return errors.Join(err, fmt.Errorf("stop: %d rules still in hardware after %s", l.eng.Stats().RulesInHW, stopPatience))
		}
	}
}

func due(at *flow.Time, now flow.Time, every time.Duration) bool {
	if now < *at {
		return false
	}
	*at = now + flow.Time(every)
	return true
}

// stop begins the end and says until when it is waited for.
func (l *Loop) stop() flow.Time {
	if !l.keep {
		l.eng.Stop()
	}
	return l.eng.Now() + flow.Time(stopPatience)
}

// drain takes what else is waiting, so that one round answers many events.
func (l *Loop) drain() {
	for range eventQueue {
		select {
		case ev := <-l.events:
			l.step(ev)
		default:
			return
		}
	}
}

// flush carries out what the engine wants.
func (l *Loop) flush() {
	r := l.eng.Ready()
	if len(r.Forget) > 0 {
		l.opts.Resolver.Forget(r.Forget)
	}
	if len(r.Recount) > 0 {
		l.opts.Resolver.Recount(r.Recount)
	}
	if len(r.Lookups) > 0 {
		l.opts.Resolver.Resolve(r.Lookups)
	}
	if len(r.Prepare) > 0 {
		l.opts.Tracker.Prepare(r.Prepare)
	}
	if len(r.Touch) > 0 {
		l.opts.Tracker.Touch(r.Touch)
	}
	for _, op := range r.Ops {
		l.workers[op.Device].add(op)
		if l.debug {
			l.logOp(&op)
		}
	}
	for _, w := range l.workers {
		w.start()
	}
	if r.Dump {
		l.ask(readRules)
	}
	if s := l.eng.Seq(); s != l.seq {
		l.seq = s
		old := l.changed.Load()
		fresh := make(chan struct{})
		l.changed.Store(&fresh)
		close(*old)
	}
}

func (l *Loop) publish() {
	if l.changed.Load() == nil {
		fresh := make(chan struct{})
		l.changed.Store(&fresh)
	}
	st := l.eng.Stats()
	l.stats.Store(&st)
}

func (l *Loop) idle() bool {
	for _, w := range l.workers {
		if !w.idle() {
			return false
		}
	}
	return true
}
