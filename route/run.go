package route

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// tick paces the periodic round, and looks whether a round may begin.
const tick = 100 * time.Millisecond

// urgent is how many pieces of work that a notification made are done at a stretch:
// some 10 ms, in which no further notification is handled.
const urgent = 16

// notices is how many Notice may wait between the readers and Run.
const notices = 4

// Run lists, says Synced, and then answers and watches until ctx ends; then it
// returns nil. emit is called by Run's goroutine alone and may block; it must
// not call Explain. Any error is the end: no change would be noticed after it.
func (r *Resolver) Run(ctx context.Context, emit func(flow.Event)) error {
	if !r.start() {
		return errors.New("run route resolver: it has been run or closed before")
	}
	defer close(r.done)
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(ctx, r.Close)()
	notes := make(chan rtnl.Notice, notices)
	var readers sync.WaitGroup
	for _, m := range r.monitors {
		readers.Go(func() { read(ctx, m, notes, cancel) })
	}
	if r.observer != nil {
		readers.Go(func() { r.look(ctx) })
	}
	defer func() {
		cancel(nil)
		r.Close()
		readers.Wait()
		r.closeConns()
	}()
	r.emit = emit
	r.now = r.clock()
	begin := r.now
	if err := r.listAll(); err != nil {
		return err
	}
	emit(flow.Synced{Source: flow.SourceRoute, Begin: begin})
	err := r.loop(notes)
	if cause := context.Cause(ctx); err == nil && errors.Is(cause, errReader) {
		err = cause
	}
	return err
}

var errReader = errors.New("watch routes")

// read hands notifications to Run until the monitor is closed.
func read(ctx context.Context, m *rtnl.Monitor, notes chan<- rtnl.Notice, fail context.CancelCauseFunc) {
	for {
		n, err := m.Read(nil)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fail(fmt.Errorf("%w: %w", errReader, err))
			}
			return
		}
		select {
		case notes <- n:
		case <-ctx.Done():
			return
		}
	}
}

// look hands what the observer sees to Run. Without it Run goes on by the tables.
func (r *Resolver) look(ctx context.Context) {
	err := r.observer.Run(ctx, func(seen []observe.Sight) {
		seen = slices.Clone(seen)
		r.queue.call(func() error { r.sights(seen); return nil })
	})
	if err != nil {
		r.queue.call(func() error { r.blind(err); return nil })
	}
}

// loop handles what has been notified before anything else, then one piece of
// other work, and looks again.
func (r *Resolver) loop(notes <-chan rtnl.Notice) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	p := pace{r: r, last: time.Now()}
	for {
		busy, err := r.turn(&p)
		if err != nil {
			return err
		}
		r.share()
		if busy {
			select {
			case <-r.quit:
				return nil
			case n := <-notes:
				r.take(&n)
			case <-ticker.C:
				p.tick()
			default:
			}
			continue
		}
		select {
		case <-r.quit:
			return nil
		case n := <-notes:
			r.take(&n)
		case <-r.queue.wake:
		case <-ticker.C:
			p.tick()
		}
	}
}

func (r *Resolver) take(n *rtnl.Notice) {
	r.now = r.clock()
	r.notice(n)
}

// turn does one piece of work and reports whether more is waiting.
func (r *Resolver) turn(p *pace) (busy bool, err error) {
	r.now = r.clock()
	if r.stale != (stale{}) {
		lost, begin := r.stale.lost, r.now
		if err := r.freshen(); err != nil {
			return false, p.later(err)
		}
		if lost {
			p.syncing, p.begin = true, begin
		}
	}
	// Flows that a change may have moved come before those that are to be learnt.
	for n := 0; n < urgent && len(r.work) > 0 && err == nil; n++ {
		busy, err = r.step()
	}
	if !busy && err == nil {
		if busy, err = r.stepSeen(); !busy && err == nil {
			busy, err = r.step()
		}
	}
	if busy || err != nil {
		// Commands go on between the pieces of a long round.
		more, err2 := p.commands()
		return busy || more, errors.Join(err, err2)
	}
	if p.syncing && r.idle() {
		p.syncing = false
		r.emit(flow.Synced{Source: flow.SourceRoute, Begin: p.begin})
	}
	if p.listDue {
		p.listDue = false
		if err := r.listSilent(); err != nil {
			return false, p.later(err)
		}
	}
	busy, err = p.commands()
	return busy || len(r.await.ready) > 0, err // what was seen meanwhile is not left to the next tick
}

// listSilent lists what can change without a word: a device's IPv6 MTU, and
// IPv4 routes with a TOS that went with their link.
func (r *Resolver) listSilent() error {
	clear(r.used) // of next hops that are long forgotten
	if err := r.listLinks(); err != nil {
		return err
	}
	if len(r.view.tos.routes) > 0 {
		return r.listTOS()
	}
	return nil
}

// share makes the counters visible to Stats.
func (r *Resolver) share() {
	r.statsMu.Lock()
	r.publish(&r.public)
	r.statsMu.Unlock()
	if r.await.fault != nil {
		r.log.Warn("the observer fails; routes are learnt from the tables alone", "err", r.await.fault)
		r.await.fault = nil
	}
}

// setPorts takes the devices' ports, and looks at everything when one of them
// changed in what an answer rests on.
func (c *core) setPorts(ports []hwif.Port) {
	now := make(map[hwif.Ifindex]hwif.Port, len(ports))
	same := len(ports) == len(c.view.ports)
	for _, p := range ports {
		now[p.Ifindex] = p
		old, had := c.view.ports[p.Ifindex]
		same = same && had && old.Device == p.Device && old.Refused == p.Refused
	}
	c.view.ports = now
	if !same {
		c.sweepAll("the devices' ports changed")
	}
}
