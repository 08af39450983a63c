package kernel

import (
	"net/netip"
	"sync"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/sim"
)

// Options of a Kernel.
type Options struct {
	NIC *sim.NIC // required; its clock is the kernel's
}

// Kernel is one router.
type Kernel struct {
	nic   *sim.NIC
	clock *sim.Clock

	mu         sync.Mutex
	links      []*Link
	routes     []Route
	neighbours map[neighbour]hwif.MAC
	masquerade map[string]netip.Addr // by link name

	conns   map[flow.Tuple]*conn // by both tuples
	order   []*conn              // oldest first
	soonest flow.Time            // no entry expires before
	lastID  uint32
	watched map[flow.ID]*watch
	ports   []hwif.Port
	stats   Stats
	outbox  [flow.NumSources]outbox
}

// New makes a router without links.
func New(opts Options) *Kernel {
	k := &Kernel{
		nic:        opts.NIC,
		clock:      opts.NIC.Clock(),
		neighbours: map[neighbour]hwif.MAC{},
		masquerade: map[string]netip.Addr{},
		conns:      map[flow.Tuple]*conn{},
		watched:    map[flow.ID]*watch{},
	}
	for i := range k.outbox {
		k.outbox[i].wake = make(chan struct{}, 1)
	}
	return k
}

// NIC is the card in front.
func (k *Kernel) NIC() *sim.NIC { return k.nic }

// Stats is what the slow path and conntrack have done since New.
type Stats struct {
	Forwarded hwif.Counter // by the slow path, L3 bytes
	NIC       hwif.Counter // by the card
	Conns     int          // entries now
	Created   uint64
	Expired   uint64 // entries that nobody refreshed
	// What the slow path did not forward.
	NotOurs, NoRoute, NoNeighbour, TTLExpired, TooBig, Invalid, ForUs uint64
	// Lost frames were dropped by the card: a drop rule, or a port that is down.
	Lost uint64
	// Wrong frames left the card otherwise than the kernel would have sent them
	// just then; WrongText tells of the latest.
	Wrong     uint64
	WrongText string
}

// Stats gives the counts so far.
func (k *Kernel) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.stats
	s.Conns = len(k.order)
	return s
}
