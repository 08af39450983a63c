package offload

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// View is what a reader sees of one flow: a copy, never touched again by the
// engine.
type View struct {
	UID  uint64 // of this flow's life; never given twice by one daemon
	Seq  uint64 // of its last change
	Gone bool   // the connection has ended; this is its last view

	Entry   flow.Entry // as conntrack last told it
	State   flow.State
	Since   flow.Time    // in State since
	Reasons flow.Reasons // why it is not in hardware; empty exactly when it is, or is on its way in
	Text    string       // the words behind the reasons: the kernel's, the driver's, the resolver's
	Pinned  bool
	// Untracked says that conntrack was told to leave it alone: Entry has its tuple and
	// nothing else, and the reply direction means nothing.
	Untracked bool
	Intent    Intent // the pin or denial in force; Kind IntentNone when none is

	HasRoutes bool
	Routes    [2]flow.Route // by flow.Dir
	Nexthop   [2]hwif.Addr  // by flow.Dir, of the flow's family
	Evidence  [2]flow.Evidence
	RoutedAt  flow.Time // when they were learnt

	Verdict   flow.Verdict // of its rules, those that are there or would be
	Device    hwif.DeviceID
	Rules     [2]RuleState // by flow.Dir
	Cookies   [2]hwif.Cookie
	Installed flow.Time // when both rules were last in hardware, 0 if never
	Installs  uint32    // how often it went into hardware

	// What has been forwarded, by flow.Dir. Kernel is conntrack's own account,
	// NIC is the sum over every stay in hardware.
	Kernel   [2]hwif.Counter
	KernelAt flow.Time // age of Kernel; 0 if the kernel does not account
	NIC      [2]hwif.Counter
	NICAt    flow.Time

	Created flow.Time // first heard of
	Again   flow.Time // in StateBackoff: when it is tried again
	History []Change  // the latest changes, oldest first, at most 8
}

// Change is one step in a flow's history.
type Change struct {
	At    flow.Time
	Took  flow.Time // on leaving hardware: from the event that was the cause until the device had done it
	State flow.State
	Cause flow.Cause // why it left hardware, on the way out
	Text  string
}

// RuleState is where one direction's rule stands.
type RuleState = flow.RuleState

// The rule states, by their short names here.
const (
	RuleNone    = flow.RuleNone
	RuleSent    = flow.RuleSent
	RuleInHW    = flow.RuleInHW
	RuleLeaving = flow.RuleLeaving
	RuleRefused = flow.RuleRefused
)

// Delta is one change in the order of Seq. A flow that changed often since a
// reader last asked comes once, as it is now.
type Delta struct {
	Seq  uint64
	View View
}

// Stage is one stage's word on a tuple.
type Stage struct {
	Name    string // "flow", "eligible", "intent", "route", "policy", "plan", "rules", "history", "result"
	OK      bool
	Reasons flow.Reasons
	Text    string // one line
}

// Explanation is every stage's word on one tuple. Nothing was installed for it.
type Explanation struct {
	Found  bool
	View   View // when Found
	Stages []Stage
}

// DeviceView is one device as the engine sees it.
type DeviceView struct {
	ID        hwif.DeviceID
	Caps      hwif.Caps
	Ports     []hwif.Port
	Used      int // rules in hardware or on their way
	Strangers int // rules that are not ours
	Failed    string
}

// Stats are the engine's counters since its start. Slices are indexed by the
// closed list that they are named for.
type Stats struct {
	Now        flow.Time
	Flows      [16]int       // by flow.State
	NotOffload [64]int       // flows by flow.Reason; one flow may count in several
	Removals   [32]uint64    // by flow.Cause
	Removed    [32]Histogram // by flow.Cause: from the event until the device had removed both rules
	Rulesets   uint64        // changes of netfilter's rules that were heard of
	Installs   uint64        // rules that went in
	Refusals   [16]uint64    // rules that did not, by hwif.Kind
	RuleErrors [16]uint64    // removals and listings that failed, by hwif.Kind
	Losses     [2]uint64     // by flow.Source
	Listings   [2]uint64     // by flow.Source
	Events     [4]uint64     // by flow.ConnKind
	Own        uint64        // reserved for the source: own changes ignored
	KernelPath hwif.Counter  // forwarded by the kernel, of flows known to the engine
	NICPath    hwif.Counter  // forwarded by hardware
	NICDrops   hwif.Counter  // dropped by hardware, and in neither of the two above
	RulesInHW  int
	RuleLimit  int       // sum over devices, 0 if unknown
	Ghosts     uint64    // rules of ours without a flow, removed
	Adopted    uint64    // rules found at start and kept
	Tracked    int       // flows in the table
	Synced     [2]bool   // by flow.Source
	Latency    Histogram // event to hardware: from the event that made a flow ready, or doubtful, until the device had done it
	Pins       int
	Denials    int
	Paused     bool
}

// Histogram has fixed bounds in seconds, HistogramBounds; Counts[i] is the
// number of samples ≤ bound i, not cumulated; the last is what is above all.
type Histogram struct {
	Counts [len(HistogramBounds) + 1]uint64
	Sum    float64 // seconds
	Count  uint64
}

// HistogramBounds are upper bounds in seconds: 100 µs to 10 s.
var HistogramBounds = [...]float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}

// Observe adds one sample.
func (h *Histogram) Observe(seconds float64) {
	i := 0
	for i < len(HistogramBounds) && seconds > HistogramBounds[i] {
		i++
	}
	h.Counts[i]++
	h.Sum += seconds
	h.Count++
}
