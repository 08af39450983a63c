package flow

import "github.com/shunt-offload/shunt/hwif"

// Flow is one connection in the Table. It holds no pointer: a table of a
// million is one run of memory to the garbage collector.
//
// The first group is what conntrack said; the rest is the engine's. Owned by
// the engine's owner.
type Flow struct {
	Entry Entry
	Seen  Time   // latest message about it
	UID   uint64 // of this life; 0 marks a free place

	Created  Time
	Since    Time // in State since
	Seq      uint64
	Reasons  Reasons
	Until    Time    // no attempt before this time; 0 for none
	Hold     Reasons // why Until was set
	Counted  Time    // when Entry's counters were read, 0 for never
	Base     uint64  // packets that no longer speak for offloading it: they were counted before it last left for being idle
	Observed uint32  // packets of one direction that the observer saw leave; 0 when it has not said
	Full     uint32  // seconds: the largest time-out that the kernel gave it
	Stay     uint32  // its Stay in the table, 0 for none
	State    State
	Tries    uint8 // failures in a row, for the backoff
	Flags    Flag
}

// Flag is a property of a Flow that the engine keeps.
type Flag uint16

const (
	FlagQueued    Flag = 1 << iota // in the engine's work list
	FlagEnded                      // the connection is over; the place is freed when no rule is left
	FlagPinned                     // an operator's pin is on it
	FlagDenied                     // an operator's denial is on it
	FlagHeld                       // Until was set by an eviction
	FlagFullSet                    // Full came from an event, not from a listing
	FlagQuiet                      // left for being idle; the kernel has not seen it speak since
	FlagLooked                     // its counters were asked for once, beside the listings
	FlagOnTrial                    // admitted before its counters were known; judged again when they are
	FlagStarved                    // waiting for room in the table
	FlagDropped                    // netfilter was seen dropping it, and the verdict still holds
	FlagAlone                      // without a conntrack entry: known by its packets only
	FlagUntracked                  // alone, and to be forwarded: conntrack was told to leave it alone (notrack)
)

// Has reports whether a flag is set.
func (f *Flow) Has(g Flag) bool { return f.Flags&g != 0 }

// Set and Clear change flags.
func (f *Flow) Set(g Flag) { f.Flags |= g }

// Clear takes flags away.
func (f *Flow) Clear(g Flag) { f.Flags &^= g }

// Packets is what the kernel has forwarded of the flow, both directions.
func (f *Flow) Packets() uint64 { return f.Entry.Packets[Orig] + f.Entry.Packets[Reply] }

// Bytes is the same in L3 bytes.
func (f *Flow) Bytes() uint64 { return f.Entry.Bytes[Orig] + f.Entry.Bytes[Reply] }

// chunk is how many flows are allocated at once: big enough to be one
// allocation per some thousands, small enough not to copy or waste.
const chunk = 4096

// Table holds every flow that conntrack has told of, addressed by ID and by
// tuple. The zero value is not ready; use NewTable.
type Table struct {
	chunks  []*[chunk]Flow
	free    []ID
	byTuple map[Tuple]ID // orig tuple of every flow, reply tuple of those given to IndexReply
	len     int
	used    ID // places ever used: IDs below it are valid
	uid     uint64
}

// NewTable gives an empty table.
func NewTable() *Table { return &Table{byTuple: make(map[Tuple]ID)} }

// Len counts flows.
func (t *Table) Len() int { return t.len }

// Bound is one above the highest ID ever used; for walks.
func (t *Table) Bound() ID { return t.used }

// At gives the flow at a place. It is valid until Remove; UID 0 is a free place.
func (t *Table) At(id ID) *Flow { return &t.chunks[id/chunk][id%chunk] }

// Find looks a tuple up, of either direction as far as it is indexed.
func (t *Table) Find(tu Tuple) (ID, bool) {
	id, ok := t.byTuple[tu]
	return id, ok
}

// Add makes a place for e and indexes its orig tuple, taking the tuple from
// whoever held it.
func (t *Table) Add(e *Entry, now Time) (ID, *Flow) {
	var id ID
	if n := len(t.free); n > 0 {
		id = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		id = t.used
		t.used++
		if int(id/chunk) == len(t.chunks) {
			t.chunks = append(t.chunks, new([chunk]Flow))
		}
	}
	t.uid++
	t.len++
	f := t.At(id)
	*f = Flow{Entry: *e, Seen: now, UID: t.uid, Created: now, Since: now}
	t.byTuple[e.Orig] = id
	return id, f
}

// IndexReply makes the flow findable by its reply tuple too.
func (t *Table) IndexReply(id ID) { t.byTuple[t.At(id).Entry.Reply] = id }

// Unindex makes the flow unfindable, so that a successor can take its tuples.
func (t *Table) Unindex(id ID) {
	f := t.At(id)
	for _, tu := range [2]Tuple{f.Entry.Orig, f.Entry.Reply} {
		if got, ok := t.byTuple[tu]; ok && got == id {
			delete(t.byTuple, tu)
		}
	}
}

// Remove frees the place.
func (t *Table) Remove(id ID) {
	t.Unindex(id)
	*t.At(id) = Flow{}
	t.free = append(t.free, id)
	t.len--
}

// Stay is the heavier record of a flow that has been wanted in hardware: its
// cached routes, where its rules stand and what they counted. It lasts until
// the flow ends.
type Stay struct {
	Flow     ID
	Gen      uint64 // of its rules' cookies
	Ask      uint64 // number of the question last put to the resolver
	Routes   [2]Route
	Nexthop  [2]hwif.Addr
	Evidence [2]Evidence
	RoutedAt Time            // 0: no valid routes
	AskedAt  Time            // when the outstanding question was put, 0 for none
	Moved    Time            // when a hardware counter last moved
	InAt     Time            // both rules in hardware since
	EventAt  Time            // the event that the current change answers, 0 for none
	Expires  Time            // when the kernel's own timer would end the entry, as last known
	NIC      [2]hwif.Counter // all stays together
	Last     [2]hwif.Counter // the current rules' own counters
	NICAt    Time
	Rate     [2]uint32 // packets per second, by Dir, between the last two readings that moved
	History  [HistoryLen]Step
	Refusal  Reasons // the resolver's or the planner's no, empty for none
	Retry    Time    // a removal that failed is tried again then
	Installs uint32
	Verdict  Verdict // of the rules that are there, or on their way
	Dirs     uint8   // bit by Dir: the directions that have rules
	DropDirs uint8   // the same: directions that netfilter was seen dropping
	DropIn   [2]hwif.Ifindex
	DropEnd  Time  // the kernel is asked again then
	Cause    Cause // why it is leaving hardware
	Device   hwif.DeviceID
	Rules    [2]RuleState
	Steps    uint8 // valid entries of History
	Stage    Stage
	// RelearnOnly says that it was admitted before and is out only until its
	// route is known again: the policy is not asked.
	RelearnOnly bool
}

// BothDirs has the bits of both directions.
const BothDirs = 1<<Orig | 1<<Reply

// Wants reports whether a direction has a rule, or is to have one.
func (s *Stay) Wants(d int) bool { return s.Dirs&(1<<d) != 0 }

// All reports whether the rules of every direction that has one are in a state.
func (s *Stay) All(r RuleState) bool {
	for d, have := range s.Rules {
		if s.Wants(d) && have != r {
			return false
		}
	}
	return true
}

// HistoryLen is how many steps a flow remembers.
const HistoryLen = 8

// Step is one change in a flow's life.
type Step struct {
	At    Time
	Took  Time // on leaving hardware: from the event that was the cause until the device had done it
	State State
	Cause Cause
}

// Stage is how far an attempt has come.
type Stage uint8

const (
	StageIdle     Stage = iota // nothing asked
	StageAsked                 // route asked for
	StageRouted                // route known
	StagePrepping              // conntrack asked to prepare the entry
	StageReady                 // entry prepared; rules may go in
)

// Remember appends to the history, dropping the oldest.
func (s *Stay) Remember(st Step) {
	if int(s.Steps) == HistoryLen {
		copy(s.History[:], s.History[1:])
		s.Steps--
	}
	s.History[s.Steps] = st
	s.Steps++
}

// RuleState is where one direction's rule stands. It moves forward only:
//
//	none ─▶ sent ─▶ in_hw ─▶ leaving ─▶ none
//	          └───▶ refused ─▶ none
//
// and leaving returns to in_hw when a removal failed.
type RuleState uint8

const (
	RuleNone    RuleState = iota // not wanted, not there
	RuleSent                     // install on its way
	RuleInHW                     // the kernel said in_hw
	RuleLeaving                  // removal on its way
	RuleRefused                  // the device said no
)

func (s RuleState) String() string {
	return [...]string{"none", "sent", "in_hw", "leaving", "refused"}[s]
}
