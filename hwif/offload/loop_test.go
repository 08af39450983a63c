package offload_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// tray is a device that keeps rules on a tray.
type tray struct {
	mu    sync.Mutex
	rules map[hwif.Match]hwif.Installed
	ports []hwif.Port
	stuck error // what every reading fails with

	changed chan struct{} // nil for a device that says nothing by itself
	listed  int           // how often its rules were
	slow    time.Duration // how long listing them takes
}

func (d *tray) Changed() <-chan struct{} { return d.changed }

func newTray() *tray {
	return &tray{rules: map[hwif.Match]hwif.Installed{}, ports: []hwif.Port{
		{Ifindex: 1, Name: "lan", Up: true}, {Ifindex: 2, Name: "wan", Up: true}}}
}

func (d *tray) Caps() hwif.Caps { return allCaps(100) }

func (d *tray) Ports(context.Context) ([]hwif.Port, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ports, d.stuck
}

func (d *tray) Apply(_ context.Context, ops []hwif.Op, results []hwif.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, op := range ops {
		held, ok := d.rules[op.Rule.Match]
		switch {
		case op.Kind == hwif.OpInstall && ok:
			results[i].Err = hwif.ErrExist
		case op.Kind == hwif.OpInstall:
			d.rules[op.Rule.Match] = hwif.Installed{Rule: op.Rule, Presence: hwif.InHW}
			results[i] = hwif.Result{Presence: hwif.InHW}
		case !ok || held.Rule.Cookie != op.Rule.Cookie:
			results[i].Err = hwif.ErrNotExist
		default:
			delete(d.rules, op.Rule.Match)
			results[i] = hwif.Result{Final: held.Counter}
		}
	}
}

func (d *tray) Rules(context.Context) iter.Seq2[hwif.Installed, error] {
	return func(yield func(hwif.Installed, error) bool) {
		d.mu.Lock()
		d.listed++
		rules, slow := maps.Clone(d.rules), d.slow
		d.mu.Unlock()
		time.Sleep(slow)
		for _, in := range rules {
			if !yield(in, nil) {
				return
			}
		}
	}
}

func (d *tray) Counters(_ context.Context, into []hwif.Counted) ([]hwif.Counted, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for m, in := range d.rules {
		in.Counter.Packets++
		d.rules[m] = in
		into = append(into, hwif.Counted{Cookie: in.Rule.Cookie, Counter: in.Counter})
	}
	return into, d.stuck
}

func (d *tray) Close(bool) error { return nil }

func (d *tray) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.rules)
}

// kernel is a tracker and a resolver that say yes to everything.
type kernel struct {
	src  flow.Source
	fail chan error
	mu   sync.Mutex
	out  func(flow.Event)
}

func newKernel(src flow.Source) *kernel { return &kernel{src: src, fail: make(chan error, 1)} }

func (k *kernel) Run(ctx context.Context, emit func(flow.Event)) error {
	k.mu.Lock()
	k.out = emit
	k.mu.Unlock()
	emit(flow.Synced{Source: k.src})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-k.fail:
		return err
	}
}

func (k *kernel) say(ev flow.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.out != nil {
		go k.out(ev)
	}
}

func (k *kernel) Prepare(ps []flow.Prepare) {
	for _, p := range ps {
		k.say(flow.Prepared{ID: p.ID, Gen: p.Gen, Entry: entry(int(p.EntryID) - 1)})
	}
}
func (k *kernel) Touch([]flow.Touch)   {}
func (k *kernel) Relist()              {}
func (k *kernel) Forget([]flow.ID)     {}
func (k *kernel) Recount([]flow.Tuple) {}
func (k *kernel) SetPorts([]hwif.Port) {}
func (k *kernel) Resolve(qs []flow.Query) {
	for _, q := range qs {
		k.say(flow.Answer{ID: q.ID, Gen: q.Gen, Routes: routes})
	}
}

// rig is a running loop over a tray, in virtual time.
type rig struct {
	dev    *tray
	ct, rt *kernel
	loop   *offload.Loop
	stop   context.CancelFunc
	ended  chan error
}

func start(opts offload.LoopOptions) *rig { return startOver(newTray(), opts) }

func startOver(dev *tray, opts offload.LoopOptions) *rig {
	r := &rig{dev: dev, ct: newKernel(flow.SourceConntrack), rt: newKernel(flow.SourceRoute), ended: make(chan error, 1)}
	epoch := time.Now().Add(-time.Minute)
	opts.NICs = []*hwif.NIC{hwif.NewNIC(r.dev, hwif.NICOptions{})}
	opts.Tracker, opts.Resolver = r.ct, r.rt
	opts.Clock = func() flow.Time { return flow.Time(time.Since(epoch)) }
	r.loop = offload.NewLoop(offload.New(offload.Options{}), opts)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- r.loop.Run(ctx) }()
	return r
}

func (r *rig) flows(n int) {
	conns := flow.Conns{}
	for i := range n {
		conns = append(conns, flow.Conn{Kind: flow.ConnUpdate, Entry: entry(i)})
	}
	r.ct.say(conns)
}

func TestLoopOffloadsAndGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(offload.LoopOptions{})
		time.Sleep(100 * time.Millisecond)
		changed := r.loop.Changed()
		r.flows(10)
		time.Sleep(2 * time.Second)
		select {
		case <-changed:
		default:
			t.Error("ten flows came and Changed says nothing")
		}
		if st := r.loop.Stats(); r.dev.len() != 20 || st.Flows[flow.StateActive] != 10 {
			t.Errorf("%d rules, %d flows active; want 20 and 10", r.dev.len(), st.Flows[flow.StateActive])
		}
		var listed int
		if err := r.loop.Do(t.Context(), func(e *offload.Engine) {
			views, _, _ := e.List(0, 100, nil, nil)
			listed = len(views)
		}); err != nil || listed != 10 {
			t.Errorf("Do listed %d flows: %v", listed, err)
		}
		r.stop()
		if err := <-r.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if r.dev.len() != 0 {
			t.Errorf("%d rules left after a stop", r.dev.len())
		}
		if err := r.loop.Do(context.Background(), func(*offload.Engine) {}); !errors.Is(err, offload.ErrStopped) {
			t.Errorf("Do after the end: %v", err)
		}
	})
}

func TestLoopKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(offload.LoopOptions{Keep: true})
		time.Sleep(100 * time.Millisecond)
		r.flows(3)
		time.Sleep(time.Second)
		r.stop()
		if err := <-r.ended; err != nil || r.dev.len() != 6 {
			t.Errorf("%d rules kept, want 6: %v", r.dev.len(), err)
		}
	})
}

// TestLoopSourceFails: without its eyes the daemon must not leave rules behind.
func TestLoopSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(offload.LoopOptions{})
		time.Sleep(100 * time.Millisecond)
		r.flows(3)
		time.Sleep(time.Second)
		boom := errors.New("socket gone")
		r.rt.fail <- boom
		if err := <-r.ended; !errors.Is(err, boom) {
			t.Errorf("Run returned %v", err)
		}
		if r.dev.len() != 0 {
			t.Errorf("%d rules left after a source failed", r.dev.len())
		}
	})
}

// TestLoopPortVanishes: a port that is gone takes its flows out, and the log
// says so without being asked for debug lines.
func TestLoopPortVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := start(offload.LoopOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
		time.Sleep(100 * time.Millisecond)
		r.flows(3)
		time.Sleep(time.Second)
		r.dev.mu.Lock()
		r.dev.ports = r.dev.ports[:1]
		r.dev.mu.Unlock()
		time.Sleep(3 * time.Second)
		if r.dev.len() != 0 || r.loop.Stats().NotOffload[flow.PortNotOffloadable] != 3 {
			t.Errorf("%d rules left, %d flows say port_not_offloadable", r.dev.len(), r.loop.Stats().NotOffload[flow.PortNotOffloadable])
		}
		r.ct.say(flow.Loss{Source: flow.SourceConntrack, Text: "ENOBUFS"})
		time.Sleep(6 * time.Second)
		r.stop()
		<-r.ended
		for _, want := range []string{`"port is gone" port=wan`, `"flows left hardware" fenced=3`, `"events lost; listing everything again" source=conntrack`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not say %s:\n%s", want, log.String())
			}
		}
	})
}
