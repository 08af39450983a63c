package flow

import "github.com/shunt-offload/shunt/hwif"

// Event is one thing that happened outside the engine. The set is closed:
// Conns, Answer, Dirty, Heavy, Dropped, Ruleset, Prepared, Loss, Synced.
type Event interface{ event() }

// ConnKind is what a conntrack message says of an entry.
type ConnKind uint8

const (
	ConnNew     ConnKind = iota // NFNLGRP_CONNTRACK_NEW: created
	ConnUpdate                  // NFNLGRP_CONNTRACK_UPDATE: changed
	ConnDestroy                 // NFNLGRP_CONNTRACK_DESTROY: gone
	ConnListed                  // part of a listing
)

func (k ConnKind) String() string {
	switch k {
	case ConnNew:
		return "new"
	case ConnUpdate:
		return "update"
	case ConnDestroy:
		return "destroy"
	}
	return "listed"
}

// Conn is one conntrack entry and what became of it. Sources pass a batch at a
// time; the slice and its entries belong to the receiver.
type Conn struct {
	Kind  ConnKind
	Entry Entry
	At    Time // when the message was read
}

// Conns is a batch of Conn, in the order in which the kernel sent them.
type Conns []Conn

// Prepared answers a Prepare: the entry exists, is the one that was meant and
// has been made ready, or Err says why not.
type Prepared struct {
	ID    ID
	Gen   uint64
	Gone  bool   // there is no such entry any more
	Entry Entry  // as it was read back, when not Gone and Err is empty
	Err   string // what failed, empty when nothing did
}

// Heavy says that the observer has seen so many packets of one direction leave.
type Heavy struct {
	Orig    Tuple // of the connection
	Dir     Dir
	Packets uint64
	At      Time
	Alone   bool // conntrack was told to leave it alone: there is no connection, and no other direction
}

// Dropped says that netfilter drops one direction's packets at a high rate. The
// connection may have no entry: a first packet that is dropped leaves none.
type Dropped struct {
	Orig, Reply Tuple
	Dir         Dir
	In          hwif.Ifindex // L3 interface where they come in
	Packets     uint64       // within the last second
	At          Time
}

// Ruleset says that netfilter's rules have changed: what was let through may be
// dropped now, and the other way round.
type Ruleset struct {
	At   Time
	Text string // who changed it
}

// Source names an event source.
type Source uint8

const (
	SourceConntrack Source = iota
	SourceRoute
	NumSources
)

func (s Source) String() string {
	if s == SourceRoute {
		return "route"
	}
	return "conntrack"
}

// Loss says that a source lost events; it will list everything again and say
// Synced. Until then nothing new is offloaded from it.
type Loss struct {
	Source Source
	Text   string
}

// Synced says that a source has delivered a whole listing. Conntrack entries
// that were not in it are gone: Begin is the time at which the listing began,
// and an entry not seen since then has ended.
type Synced struct {
	Source Source
	Begin  Time
}

func (Conns) event()    {}
func (Answer) event()   {}
func (Dirty) event()    {}
func (Heavy) event()    {}
func (Dropped) event()  {}
func (Ruleset) event()  {}
func (Prepared) event() {}
func (Loss) event()     {}
func (Synced) event()   {}

// Prepare asks conntrack's keeper to make an entry ready for hardware: TCP gets
// be_liberal in both directions and loses its unacknowledged-data mark, and the
// time-out is written in full. Answered by Prepared.
type Prepare struct {
	ID  ID
	Gen uint64
	// Orig, Reply and EntryID are what the entry must still be.
	Orig, Reply Tuple
	EntryID     uint32
	Timeout     uint32 // seconds to write
}

// Touch refreshes one entry's time-out because its packets are seen by
// hardware (Timeout is the full value), or hands it back when the flow leaves
// hardware (Release; Timeout is what the kernel would have left).
type Touch struct {
	Orig    Tuple
	EntryID uint32
	Timeout uint32
	Release bool // also make TCP window tracking liberal again for the way back
}
