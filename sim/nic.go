package sim

import (
	"sync"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// NIC is one card: ports, a table of rules and a pipeline.
type NIC struct {
	clock *Clock // immutable
	caps  hwif.Caps
	name  string

	mu     sync.Mutex
	ports  []hwif.Port // in the order given
	table  table
	faults Faults
	nth    int // installs and removals so far, for Faults.Refuse
	stats  Stats
	shown  snapshot
}

// Options; zero values are defaults.
type Options struct {
	Name  string // in String and errors; "sim"
	Ports []hwif.Port
	// MaxRules is the table's size in rules; DefaultMaxRules when zero.
	MaxRules int
	// Clock times lagging counters and slow answers; by default one that stands at
	// zero.
	Clock *Clock
	// Caps makes the card a lesser one: a pipeline that lacks fields, actions,
	// counters or guards. Its MaxRules is ignored. Nil is DefaultCaps.
	Caps *hwif.Caps
}

// DefaultMaxRules is small enough to be filled in a test, and large enough for a
// demonstration.
const DefaultMaxRules = 1024

// DefaultCaps is a card that can do everything that package hwif has a word for.
func DefaultCaps() hwif.Caps {
	return hwif.Caps{
		Driver:   "sim",
		Fields:   hwif.FieldsOf(hwif.Fields()...),
		Actions:  hwif.ActionsOf(hwif.ActionKinds()...),
		Batch:    64,
		Counters: hwif.CountersFull,
		Guarded:  true,
		Notes:    []string{"simulated: frames are forwarded in memory, no real packet is"},
	}
}

// New makes a card with an empty table.
func New(opts Options) *NIC {
	n := &NIC{clock: opts.Clock, name: opts.Name, ports: append([]hwif.Port(nil), opts.Ports...)}
	if n.clock == nil {
		n.clock = NewClock(0)
	}
	if n.name == "" {
		n.name = "sim"
	}
	n.caps = DefaultCaps()
	if opts.Caps != nil {
		n.caps = *opts.Caps
	}
	n.caps.MaxRules = opts.MaxRules
	if opts.MaxRules <= 0 {
		n.caps.MaxRules = DefaultMaxRules
	}
	n.table = newTable()
	return n
}

// Name is Options.Name.
func (n *NIC) Name() string { return n.name }

// Clock is the card's clock.
func (n *NIC) Clock() *Clock { return n.clock }

// Caps is what the card can do.
func (n *NIC) Caps() hwif.Caps { return n.caps }

// Stats is what has happened to a card since New. It outlives resets.
type Stats struct {
	Rules    int // in the table now
	MaxRules int // the most that were ever in the table
	Installs uint64
	Removes  uint64
	Refused  uint64 // installs and removals that were answered with an error
	// Frames by what became of them.
	ToKernel, Forwarded, Dropped uint64
	// Lost frames had a rule, but its port was down or gone. They are among
	// Dropped.
	Lost uint64
}

// Stats gives the counts so far.
func (n *NIC) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.stats
	s.Rules = n.table.len()
	return s
}

// Install puts a rule into the table. Errors are *hwif.Error; after one, the
// table is as it was.
func (n *NIC) Install(r hwif.Rule) (hwif.Presence, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, err := n.install(&r)
	if err != nil {
		n.stats.Refused++
		return hwif.PresenceUnknown, err
	}
	n.stats.Installs++
	n.stats.MaxRules = max(n.stats.MaxRules, n.table.len())
	return p, nil
}

func (n *NIC) install(r *hwif.Rule) (hwif.Presence, error) {
	if err := n.check(r); err != nil {
		return 0, err
	}
	if err := n.faults.refuse(n, hwif.OpInstall, r); err != nil {
		return 0, err
	}
	if n.table.find(&r.Match) != nil {
		return 0, n.fail("install", r, hwif.KindExist, "an equal match is in the table")
	}
	if n.table.len() >= n.caps.MaxRules || n.faults.Full {
		return 0, n.fail("install", r, hwif.KindFull, "no free slot")
	}
	e := n.table.add(r)
	if n.faults.NotInHW {
		e.software = true
		return hwif.NotInHW, nil
	}
	return hwif.InHW, nil
}

// Remove takes out the rule with r's match and cookie and gives its last
// counters. Errors are *hwif.Error.
func (n *NIC) Remove(r hwif.Rule) (hwif.Counter, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.faults.refuse(n, hwif.OpRemove, &r)
	e := n.table.find(&r.Match)
	if err == nil && (e == nil || e.rule.Cookie != r.Cookie) {
		err = n.fail("remove", &r, hwif.KindNotExist, "no rule with this match and cookie")
	}
	if err != nil {
		n.stats.Refused++
		return hwif.Counter{}, err
	}
	n.stats.Removes++
	final := n.told(e.counter)
	n.table.remove(e)
	return final, nil
}

// Flush removes every rule of ours and leaves strangers.
func (n *NIC) Flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.table.removeIf(func(e *entry) bool { return e.rule.Cookie.Ours() })
}

// Rules lists the table in the order of installation.
func (n *NIC) Rules() []hwif.Installed {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]hwif.Installed, 0, n.table.len())
	for e := range n.table.all() {
		p := hwif.InHW
		if e.software {
			p = hwif.NotInHW
		}
		out = append(out, hwif.Installed{Rule: e.rule, Presence: p, Counter: n.counter(e)})
	}
	return out
}

// AddStranger puts in a rule as somebody else would: without our cookie, past
// every check and fault but the table's size. It reports whether there was room.
func (n *NIC) AddStranger(m hwif.Match, a hwif.Actions) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.table.len() >= n.caps.MaxRules || n.table.find(&m) != nil {
		return false
	}
	n.table.add(&hwif.Rule{Match: m, Actions: a})
	n.stats.MaxRules = max(n.stats.MaxRules, n.table.len())
	return true
}

// Now is the clock's time.
func (n *NIC) Now() flow.Time { return n.clock.Now() }
