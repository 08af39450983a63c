package hwif

import (
	"context"
	"errors"
	"iter"
	"time"
)

// NIC is a Device with everything around it that no driver should have to
// write: capability checks, batching, timing, and answers that are never left
// open. The same rules of use as for Device hold.
type NIC struct {
	dev  Device
	caps Caps
	opts NICOptions

	ops     []Op     // scratch of Apply: what passed the check
	where   []int    // scratch of Apply: position of ops[i] in the caller's slice
	results []Result // scratch of Apply
}

// NICOptions; zero values are defaults.
type NICOptions struct {
	// Clock times the calls; nil leaves durations zero.
	Clock func() time.Time
	// Observe is told after each call how long one batch took.
	Observe func(ops int, took time.Duration)
}

// NewNIC wraps a device.
func NewNIC(dev Device, opts NICOptions) *NIC {
	caps := dev.Caps()
	if caps.Batch < 1 {
		caps.Batch = 1
	}
	return &NIC{dev: dev, caps: caps, opts: opts}
}

// Caps is the device's, with Batch at least 1.
func (n *NIC) Caps() Caps { return n.caps }

// Ports is the device's.
func (n *NIC) Ports(ctx context.Context) ([]Port, error) { return n.dev.Ports(ctx) }

// Rules is the device's.
func (n *NIC) Rules(ctx context.Context) iter.Seq2[Installed, error] { return n.dev.Rules(ctx) }

// Counters is the device's.
func (n *NIC) Counters(ctx context.Context, into []Counted) ([]Counted, error) {
	return n.dev.Counters(ctx, into)
}

// Changed is the device's, or nil when it says nothing by itself.
func (n *NIC) Changed() <-chan struct{} {
	if w, ok := n.dev.(Notifier); ok {
		return w.Changed()
	}
	return nil
}

// Close is the device's.
func (n *NIC) Close(flush bool) error { return n.dev.Close(flush) }

var errNoAnswer = errors.New("the driver gave no answer")

// Apply carries out ops in order, in batches, and fills every result. A rule
// that the device cannot express is refused here and never sent. An install
// that the kernel did not put into hardware is taken back and reported as
// KindUnsupported: in software it would only cost.
func (n *NIC) Apply(ctx context.Context, ops []Op, results []Result) {
	n.ops, n.where = n.ops[:0], n.where[:0]
	for i := range ops {
		results[i] = Result{}
		if ops[i].Kind == OpInstall {
			if err := n.caps.Check(&ops[i].Rule); err != nil {
				results[i].Err = err
				continue
			}
		}
		n.ops = append(n.ops, ops[i])
		n.where = append(n.where, i)
	}
	for start := 0; start < len(n.ops); start += n.caps.Batch {
		end := min(start+n.caps.Batch, len(n.ops))
		for k, res := range n.batch(ctx, n.ops[start:end]) {
			results[n.where[start+k]] = res
		}
	}
}

// batch sends one batch; the slice it returns is valid until the next call.
func (n *NIC) batch(ctx context.Context, ops []Op) []Result {
	n.results = n.results[:0]
	for range ops {
		n.results = append(n.results, Result{Err: errNoAnswer})
	}
	var began time.Time
	if n.opts.Clock != nil {
		began = n.opts.Clock()
	}
	n.dev.Apply(ctx, ops, n.results)
	if n.opts.Observe != nil && n.opts.Clock != nil {
		n.opts.Observe(len(ops), n.opts.Clock().Sub(began))
	}
	for i := range ops {
		if ops[i].Kind == OpInstall && n.results[i].Err == nil && n.results[i].Presence != InHW {
			n.results[i] = n.takeBack(ctx, &ops[i], n.results[i].Presence)
		}
	}
	return n.results
}

// takeBack removes a rule that was accepted but is not in hardware.
func (n *NIC) takeBack(ctx context.Context, op *Op, p Presence) Result {
	undo := [1]Op{{Kind: OpRemove, Device: op.Device, Rule: op.Rule, Token: op.Token}}
	res := [1]Result{{Err: errNoAnswer}}
	n.dev.Apply(ctx, undo[:], res[:])
	err := &Error{Op: "install", Device: n.caps.Driver, Cookie: op.Rule.Cookie, Kind: KindUnsupported,
		Field: p.String(), Text: "accepted, but not in hardware; taken back"}
	if res[0].Err != nil {
		err.Err = res[0].Err
	}
	return Result{Err: err}
}
