package offload

import (
	"context"
	"fmt"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// worker is one device's hands. The loop's goroutine owns pending, busy and
// asked; the rest goes through channels.
type worker struct {
	dev     hwif.DeviceID
	nic     *hwif.NIC
	pending [2][]hwif.Op // removals, and installs
	busy    bool
	asked   readKind  // what the reader was asked and has not answered
	again   readKind  // asked for meanwhile
	listed  flow.Time // when its rules were last asked for
	cost    flow.Time // how long listing them took

	todo  chan []hwif.Op
	look  chan readKind
	spare []hwif.Op // the batch buffer that is not in hand
}

// batch is a finished batch of operations.
type batch struct {
	w     *worker
	ops   []hwif.Op
	dones []Done
}

type readKind uint8

const (
	readCounters readKind = 1 << iota
	readPorts
	readRules
)

// reading is what a reader found.
type reading struct {
	w        *worker
	kind     readKind
	began    flow.Time
	counters []hwif.Counted
	ports    []hwif.Port
	rules    []hwif.Installed
	err      error
}

func newWorker(dev hwif.DeviceID, nic *hwif.NIC) *worker {
	return &worker{dev: dev, nic: nic, todo: make(chan []hwif.Op, 1), look: make(chan readKind, 1)}
}

func (w *worker) add(op hwif.Op) {
	k := 0
	if op.Kind == hwif.OpInstall {
		k = 1
	}
	w.pending[k] = append(w.pending[k], op)
}

// idle reports whether there is nothing to do.
func (w *worker) idle() bool { return !w.busy && len(w.pending[0])+len(w.pending[1]) == 0 }

// installsAtOnce bounds how long a removal may wait behind installs.
const installsAtOnce = 512

// start hands pending operations to the writer if it is free: all removals, and
// installs only when there is none. Of two operations on one rule the second is
// wanted only once the first has been answered, so their order is safe.
func (w *worker) start() {
	if w.busy {
		return
	}
	ops := w.spare[:0]
	if len(w.pending[0]) > 0 {
		ops = append(ops, w.pending[0]...)
		w.pending[0] = w.pending[0][:0]
	} else {
		n := min(len(w.pending[1]), installsAtOnce)
		ops = append(ops, w.pending[1][:n]...)
		if w.pending[1] = w.pending[1][n:]; len(w.pending[1]) == 0 {
			w.pending[1] = nil
		}
	}
	if len(ops) == 0 {
		return
	}
	w.busy, w.spare = true, nil
	w.todo <- ops
}

// finished takes the buffer of a batch back.
func (w *worker) finished(b batch) {
	w.busy = false
	w.spare = b.ops[:0]
}

// write applies batches until ctx ends.
func (w *worker) write(ctx context.Context, out chan<- batch) {
	var results []hwif.Result
	for {
		select {
		case <-ctx.Done():
			return
		case ops := <-w.todo:
			results = slices.Grow(results[:0], len(ops))[:len(ops)]
			w.nic.Apply(ctx, ops, results)
			dones := make([]Done, len(ops))
			for i := range ops {
				dones[i] = Done{Op: ops[i], Result: results[i]}
			}
			select {
			case out <- batch{w: w, ops: ops, dones: dones}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// read answers questions about the device until ctx ends.
func (w *worker) read(ctx context.Context, clock func() flow.Time, out chan<- reading) {
	for {
		select {
		case <-ctx.Done():
			return
		case kind := <-w.look:
			r := w.reading(ctx, kind, clock())
			select {
			case out <- r:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *worker) reading(ctx context.Context, kind readKind, began flow.Time) reading {
	r := reading{w: w, kind: kind, began: began}
	if kind&readPorts != 0 {
		if r.ports, r.err = w.nic.Ports(ctx); r.err != nil {
			r.err = fmt.Errorf("list ports: %w", r.err)
			return r
		}
	}
	if kind&readCounters != 0 {
		if r.counters, r.err = w.nic.Counters(ctx, nil); r.err != nil {
			r.err = fmt.Errorf("read counters: %w", r.err)
			return r
		}
	}
	if kind&readRules != 0 {
		for in, err := range w.nic.Rules(ctx) {
			if err != nil {
				r.err = fmt.Errorf("list rules: %w", err)
				return r
			}
			r.rules = append(r.rules, in)
		}
	}
	return r
}

// ask asks every reader.
func (l *Loop) ask(kind readKind) {
	for _, w := range l.workers {
		l.askOne(w, kind)
	}
}

// askOne asks one reader; when it is still at it, it is asked again afterwards.
func (l *Loop) askOne(w *worker, kind readKind) {
	if kind&readRules != 0 {
		w.listed = l.eng.Now()
	}
	if w.asked != 0 {
		w.again |= kind
		return
	}
	w.asked = kind
	w.look <- kind
}

// took brings a reading to the engine.
func (l *Loop) took(r reading) {
	w := r.w
	w.asked = 0
	if w.again != 0 {
		w.asked, w.again = w.again, 0
		w.look <- w.asked
	}
	if r.err != nil {
		l.opts.Log.Error("device does not answer", "device", w.nic.Caps().Driver, "err", r.err)
		l.eng.SetFailed(w.dev, r.err.Error())
		return
	}
	l.eng.SetFailed(w.dev, "")
	if r.kind&readPorts != 0 {
		before, old := l.eng.portsSeq, l.eng.devices[w.dev].ports
		l.eng.SetPorts(w.dev, r.ports)
		if l.eng.portsSeq != before {
			logPorts(l.opts.Log, old, r.ports)
			l.portsChanged()
		}
	}
	if r.kind&readCounters != 0 {
		l.eng.Count(r.counters)
	}
	if r.kind&readRules != 0 {
		w.cost = l.eng.Now() - r.began
		l.eng.Observe(w.dev, r.began, r.rules)
	}
}

// firstLook lists a device's ports and rules before anything is decided.
func (l *Loop) firstLook(ctx context.Context, w *worker) error {
	r := w.reading(ctx, readPorts|readRules, l.opts.Clock())
	if r.err != nil {
		return fmt.Errorf("%s: %w", w.nic.Caps().Driver, r.err)
	}
	l.eng.SetPorts(w.dev, r.ports)
	l.eng.Observe(w.dev, r.began, r.rules)
	return nil
}

// portsChanged tells the resolver which interfaces are ports now.
func (l *Loop) portsChanged() {
	var ports []hwif.Port
	for _, d := range l.eng.Devices() {
		ports = append(ports, d.Ports...)
	}
	l.opts.Resolver.SetPorts(ports)
}
