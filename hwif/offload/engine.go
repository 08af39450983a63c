package offload

import (
	"context"
	"log/slog"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Engine decides. (Being written: the signatures stand.)
type Engine struct{}

// Ready is what the outside is to do next. Slices are valid until the next call.
type Ready struct {
	Ops     []hwif.Op // removals first
	Lookups []flow.Query
	Forget  []flow.ID
	Prepare []flow.Prepare
	Touch   []flow.Touch
}

// Pin, Deny: in.Kind is set by the method. Errors are *Refusal.
func (e *Engine) Pin(in Intent) error                     { return nil }
func (e *Engine) Unpin(t flow.Tuple, owner string) error  { return nil }
func (e *Engine) Deny(in Intent) error                    { return nil }
func (e *Engine) Undeny(t flow.Tuple, owner string) error { return nil }

// Evict takes the flow out of hardware and keeps it out for hold.
func (e *Engine) Evict(t flow.Tuple, owner, note string, hold time.Duration) error { return nil }
func (e *Engine) Pause(owner, note string)                                         {}
func (e *Engine) Resume(owner string)                                              {}

func (e *Engine) Now() flow.Time { return 0 }

// Get finds a flow by either direction's tuple.
func (e *Engine) Get(t flow.Tuple) (View, bool) { return View{}, false }

// List appends up to max views with a UID above after, in order of UID, that
// keep says yes to (nil keeps all). It looks at no more than 8192 flows a call;
// next is where to go on, and done says that the end was reached.
func (e *Engine) List(after uint64, max int, keep func(*View) bool, out []View) (views []View, next uint64, done bool) {
	return out, 0, true
}

// Seq is the number of the latest change.
func (e *Engine) Seq() uint64 { return 0 }

// Since appends up to max changes after seq. ok is false when the log no longer
// reaches back to seq: list again.
func (e *Engine) Since(seq uint64, max int, out []Delta) (deltas []Delta, next uint64, ok bool) {
	return out, seq, true
}

func (e *Engine) Explain(t flow.Tuple) Explanation { return Explanation{} }
func (e *Engine) Stats() Stats                     { return Stats{} }
func (e *Engine) Devices() []DeviceView            { return nil }
func (e *Engine) Intents() []Intent                { return nil }

// Tracker is conntrack as the loop needs it.
type Tracker interface {
	Run(ctx context.Context, emit func(flow.Event)) error
	Prepare([]flow.Prepare) // answered by emit(flow.Prepared); never blocks long
	Touch([]flow.Touch)
	Relist() // asks for a new listing, which ends with flow.Synced
}

// Resolver is routing as the loop needs it.
type Resolver interface {
	Run(ctx context.Context, emit func(flow.Event)) error
	Resolve([]flow.Query) // answered by emit(flow.Answer)
	Forget([]flow.ID)
	SetPorts([]hwif.Port)
}

// LoopOptions: zero values are defaults.
type LoopOptions struct {
	NICs     []*hwif.NIC
	Tracker  Tracker
	Resolver Resolver
	Clock    func() flow.Time
	Count    time.Duration // between counter rounds, 1s
	Relist   time.Duration // between conntrack listings, 5s
	Keep     bool          // leave rules in a persistent device at the end
	Log      *slog.Logger
}

// Loop is the one goroutine that owns an Engine, and those that talk to devices.
type Loop struct{}

func NewLoop(e *Engine, opts LoopOptions) *Loop { return &Loop{} }

// Run ends when ctx does, after every flow was given back to the kernel (unless Keep).
func (l *Loop) Run(ctx context.Context) error { return nil }

// Do runs f on the loop's goroutine and waits. f must not keep e.
func (l *Loop) Do(ctx context.Context, f func(e *Engine)) error { return nil }

// Stats is the latest snapshot, at most a tick old. Never nil.
func (l *Loop) Stats() *Stats { return &Stats{} }

// Changed gives a channel that is closed at the next change of any flow.
func (l *Loop) Changed() <-chan struct{} { return nil }
