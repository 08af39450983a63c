package offload

import (
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/plan"
	"github.com/shunt-offload/shunt/hwif/policy"
)

// Options of an Engine; zero values are defaults.
type Options struct {
	Policy policy.Policy // nil lets every established flow in

	// Idle is how long a flow may be silent in hardware before it is taken out;
	// 30 s, as nf_flowtable_tcp_timeout. Pinned flows stay.
	Idle time.Duration
	// Round is how often counters are read; a time-out is refreshed while at
	// least three rounds of it are left. 1 s.
	Round time.Duration
	// BackoffMin and BackoffMax bound the wait after a refusal, which doubles
	// with each one in a row. 5 s and 5 min.
	BackoffMin, BackoffMax time.Duration
	// TCPTimeout and UDPTimeout are the kernel's full time-outs in seconds, for
	// flows whose own was never announced. 432000 and 120, the kernel's defaults.
	TCPTimeout, UDPTimeout uint32
	// Marks are bits of the conntrack mark that decide over a flow.
	Marks Marks
	// Life is how long a flow is forwarded by hardware before packets of it have to be
	// seen again: some verdicts of the kernel change without a word. 0 is for ever.
	Life time.Duration
	// Untracked is for flows without a conntrack entry.
	Untracked Untracked
	// DropLife is how long a flow that netfilter was seen dropping is dropped by
	// hardware before the kernel is asked again; 10 s.
	DropLife time.Duration
	// DropCeiling is the most flows that are dropped by hardware at once; 0 lets none.
	DropCeiling int
	// Ruleset is what a change of netfilter's rules means for flows that are known.
	Ruleset RulesetPolicy
	// Grace is how long rules found at the start wait for their flow before they
	// count as ghosts. 10 s after both sources have listed everything.
	Grace time.Duration
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Idle, 30*time.Second)
	def(&o.Round, time.Second)
	def(&o.BackoffMin, 5*time.Second)
	def(&o.BackoffMax, 5*time.Minute)
	def(&o.Grace, 10*time.Second)
	def(&o.DropLife, 10*time.Second)
	def(&o.Untracked.Life, 5*time.Minute)
	if o.TCPTimeout == 0 {
		o.TCPTimeout = 432000
	}
	if o.UDPTimeout == 0 {
		o.UDPTimeout = 120
	}
	if o.Policy == nil {
		o.Policy = &policy.Threshold{}
	}
	return o
}

// Engine decides. The zero value is not ready; use New. It is owned by one
// goroutine at a time.
type Engine struct {
	opts  Options
	table *flow.Table
	stays flow.Stays
	byGen map[uint64]flow.ID // generation of a cookie → flow, while any rule of it is not RuleNone
	texts map[flow.ID]string // the words behind a flow's reasons
	// refusals are the resolver's words, while it refuses: others may speak up in between.
	refusals map[flow.ID]string
	intents  map[flow.Tuple]Intent

	devices  []device
	ports    map[hwif.Ifindex]hwif.Port
	portsSeq uint64                        // rises with each change of ports
	found    map[hwif.Match]hwif.Installed // rules of ours found at the start, waiting for their flow
	foundBy  map[flow.Tuple]hwif.Match     // the same, by the tuple of the packets that they take
	reapAt   flow.Time                     // when found rules become ghosts, 0 while a source is not synced

	now     flow.Time
	ruledAt flow.Time // when packets begin to show what the latest ruleset lets pass; 0 before any change
	eventAt flow.Time // of the event being stepped; now outside of one
	gen     uint64    // last generation given to cookies
	ask     uint64    // last number given to a question
	synced  [flow.NumSources]bool
	acct    bool   // the kernel accounts: some entry had counters
	paused  string // who and why; empty when not paused
	closing bool

	work        []flow.ID // flows to advance
	starved     []flow.ID // flows waiting for room, oldest first
	timers      timers
	lastIdle    flow.Time
	ready       Ready
	touches     []flow.Touch // for the next Ready
	recounts    []flow.Tuple // for the next Ready
	ghosts      []ghost      // to be removed: ours, without a flow
	ghostOps    int          // removals of ghosts on their way
	dump        bool         // for the next Ready
	pair        plan.Pair
	order       [33][]flow.ID // scratch of hottest
	log         changeLog
	stats       Stats
	resident    int
	kept        bool         // the ruleset was changed under RulesetKeep
	unconnected int          // flows that conntrack was told to leave alone
	dropping    int          // of them, those that hardware drops
	input       policy.Input // scratch of verdict
}

// device is one device's state.
type device struct {
	caps      hwif.Caps
	ports     []hwif.Port
	listed    bool // its rules have been listed once
	used      int  // rules sent, in hardware or leaving, and those found
	strangers int
	failed    string
}

// New gives an engine without devices, flows or time.
func New(opts Options) *Engine {
	return &Engine{
		opts:     opts.withDefaults(),
		table:    flow.NewTable(),
		byGen:    make(map[uint64]flow.ID),
		texts:    make(map[flow.ID]string),
		refusals: make(map[flow.ID]string),
		intents:  make(map[flow.Tuple]Intent),
		ports:    make(map[hwif.Ifindex]hwif.Port),
		found:    make(map[hwif.Match]hwif.Installed),
		foundBy:  make(map[flow.Tuple]hwif.Match),
	}
}

// Ready is what the outside is to do next, in this order. Its slices are valid
// until the engine's next call.
type Ready struct {
	Ops     []hwif.Op      // removals first, then installs
	Forget  []flow.ID      // routes that need no watching any more
	Recount []flow.Tuple   // without a connection; to be told of anew when they are heavy
	Lookups []flow.Query   // routes to learn
	Prepare []flow.Prepare // conntrack entries to make ready
	Touch   []flow.Touch   // conntrack time-outs to write
	Dump    bool           // list the devices' rules: something does not fit
}

// Done is one operation with its answer.
type Done struct {
	Op     hwif.Op
	Result hwif.Result
}

// Now is the time of the last Tick.
func (e *Engine) Now() flow.Time { return e.now }

// SetOptions changes policy and times at run time. What is in hardware stays;
// new decisions use the new numbers.
func (e *Engine) SetOptions(opts Options) {
	e.opts = opts.withDefaults()
	if e.kept && e.opts.Ruleset != RulesetKeep {
		e.kept = false
		e.ruleset(&flow.Ruleset{At: e.now, Text: "the ruleset was changed while it was not to matter"})
	}
	e.queueAll()
}

// AddDevice makes a device known; its number is its place in the order of calls.
func (e *Engine) AddDevice(caps hwif.Caps) hwif.DeviceID {
	e.devices = append(e.devices, device{caps: caps})
	e.stats.RuleLimit += caps.MaxRules
	return hwif.DeviceID(len(e.devices) - 1)
}

// Step takes in one event.
func (e *Engine) Step(ev flow.Event) {
	e.eventAt = e.now
	switch ev := ev.(type) {
	case flow.Conns:
		for i := range ev {
			e.conn(&ev[i])
		}
	case flow.Answer:
		e.answer(&ev)
	case flow.Dirty:
		e.dirty(&ev)
	case flow.Heavy:
		e.heavy(&ev)
	case flow.Dropped:
		e.dropped(&ev)
	case flow.Ruleset:
		e.ruleset(&ev)
	case flow.Prepared:
		e.prepared(&ev)
	case flow.Loss:
		e.stats.Losses[ev.Source]++
		e.setSynced(ev.Source, false)
	case flow.Synced:
		e.onSynced(&ev)
	}
	e.eventAt = e.now
}

// Tick brings the time. It never goes back: an earlier time is ignored.
func (e *Engine) Tick(now flow.Time) {
	if now <= e.now {
		return
	}
	e.now, e.eventAt = now, now
	for {
		id, uid, ok := e.timers.pop(now)
		if !ok {
			break
		}
		if e.table.At(id).UID == uid {
			e.queue(id)
		}
	}
	e.expireIntents()
	if now-e.lastIdle >= flow.Time(e.opts.Round) {
		e.lastIdle = now
		e.checkIdle()
	}
	e.reap()
}

// Ready advances every queued flow and gives what is to be done. Removals come
// first: a full table needs the room.
func (e *Engine) Ready() *Ready {
	r := &e.ready
	r.Forget, r.Lookups, r.Prepare = r.Forget[:0], r.Lookups[:0], r.Prepare[:0]
	r.Touch = append(r.Touch[:0], e.touches...)
	r.Recount = append(r.Recount[:0], e.recounts...)
	r.Dump = e.dump
	e.touches, e.recounts, e.dump = e.touches[:0], e.recounts[:0], false
	r.Ops = e.takeGhosts(r.Ops[:0])
	installs := len(r.Ops)
	for i := 0; i < len(e.work); i++ {
		before := len(r.Ops)
		e.advance(e.work[i])
		r.Ops = e.takeGhosts(r.Ops)
		// Removals change places with the first installs.
		for ; before < len(r.Ops); before++ {
			if r.Ops[before].Kind == hwif.OpRemove {
				r.Ops[before], r.Ops[installs] = r.Ops[installs], r.Ops[before]
				installs++
			}
		}
	}
	e.work = e.work[:0]
	return r
}

// Stop takes everything out of hardware, with cause shutdown, and lets nothing in.
func (e *Engine) Stop() {
	e.closing = true
	e.queueAll()
	e.reapFound()
}

// Stopped reports whether Stop has been carried out: no rule of a known flow is left.
func (e *Engine) Stopped() bool {
	return e.closing && e.resident == 0 && len(e.ghosts) == 0 && e.ghostOps == 0
}

func (e *Engine) queue(id flow.ID) {
	f := e.table.At(id)
	if f.UID != 0 && !f.Has(flow.FlagQueued) {
		f.Set(flow.FlagQueued)
		e.work = append(e.work, id)
	}
}

func (e *Engine) queueAll() {
	for id := flow.ID(0); id < e.table.Bound(); id++ {
		e.queue(id)
	}
}

// stay gives the flow's Stay, nil when it has none.
func (e *Engine) stay(f *flow.Flow) *flow.Stay {
	if f.Stay == 0 {
		return nil
	}
	return e.stays.At(f.Stay)
}
