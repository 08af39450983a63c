package flow

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// ID names a flow among those alive: its place in the table. Places are used
// again; Gen tells the users apart.
type ID uint32

// Route is how one direction of a flow leaves. It is what the kernel would do
// with the next packet: 36 bytes, comparable, no pointer.
type Route struct {
	In      hwif.Ifindex // port where the direction's packets enter (the bottom device)
	Out     hwif.Ifindex // port where they leave (the bottom device)
	InVLAN  hwif.VLAN    // tag on entry, 0 for none
	OutVLAN hwif.VLAN    // tag on exit, 0 for none
	InMAC   hwif.MAC     // the router's own MAC on the ingress L3 interface: what frames are sent to
	SrcMAC  hwif.MAC     // the router's own MAC on the egress L3 interface
	DstMAC  hwif.MAC     // the next hop's MAC
	MTU     uint16       // largest L3 packet that the route takes, bytes
	InMTU   uint16       // MTU of the ingress L3 interface, bytes
	TTL     uint8        // TTL or hop limit with which the direction's packets arrive, 0 when none was seen
}

func (r Route) String() string {
	s := fmt.Sprintf("in %d", r.In)
	if r.InVLAN != 0 {
		s += fmt.Sprintf(" vlan %d", r.InVLAN)
	}
	s += fmt.Sprintf(" mac %s out %d", r.InMAC, r.Out)
	if r.OutVLAN != 0 {
		s += fmt.Sprintf(" vlan %d", r.OutVLAN)
	}
	return s + fmt.Sprintf(" src %s dst %s mtu %d", r.SrcMAC, r.DstMAC, r.MTU)
}

// Query asks for both directions of a flow's route, and for word of every
// change to them until Forget.
type Query struct {
	ID          ID
	Gen         uint64 // comes back in the Answer
	Orig, Reply Tuple  // as conntrack has them; the resolver undoes the NAT
	Mark        uint32 // conntrack mark, for policy routing by mark where that is declared
	// Proof asks for packets of both directions that were seen to pass after this
	// time: the tables alone do not show what a ruleset lets pass. 0 for none.
	Proof Time
	// Verdict is what is to become of the packets: of those that are dropped only
	// the ingress matters.
	Verdict Verdict
	// Trust has the tables' word taken although no packet was seen: hardware that an
	// earlier daemon left forwards it, so that none can be.
	Trust bool
	// Alone asks for the direction of Orig alone, of packets that conntrack was told to
	// leave alone: one of them has to be seen.
	Alone bool
	In    [2]hwif.Ifindex // by Dir, L3 interface where dropped packets were seen to come in; 0 where none was
}

// Answer is what a resolver found for a Query. Reasons is empty when both
// routes are good; otherwise Text says in one sentence what was met.
type Answer struct {
	ID       ID
	Gen      uint64
	Routes   [2]Route // by Dir
	Nexthop  [2]hwif.Addr
	Evidence [2]Evidence
	Reasons  Reasons
	Text     string
}

// Evidence is what one direction's route rests on, besides its next hop.
type Evidence struct {
	Seen  Time         // when a packet was seen to leave so; 0 when the tables alone were asked
	L3In  hwif.Ifindex // interface with the ingress IP configuration
	L3Out hwif.Ifindex // interface that the kernel routes to
	Mark  uint32       // packet mark with which it was looked up
	VRF   hwif.Ifindex // that L3In belongs to, 0 for none
	Legs  uint16       // nexthops of the multipath route of which the packet took one; 0 for a single way
}

// Learnt is how the route became known.
func (e *Evidence) Learnt() Learnt {
	if e.Seen != 0 {
		return LearntPacket
	}
	return LearntTables
}

// Learnt is how a route became known: a closed list.
type Learnt uint8

const (
	LearntTables Learnt = iota // the kernel's tables were asked, and were certain
	LearntPacket               // a packet was seen to leave so, and the tables agreed
	numLearnt
)

func (l Learnt) String() string {
	if l < numLearnt {
		return [...]string{"tables", "packet"}[l]
	}
	return "unknown"
}

// Verdict is what becomes of a flow's packets: a closed list.
type Verdict uint8

const (
	Forward Verdict = iota // they go on
	Drop                   // they end here
	numVerdicts
)

func (v Verdict) String() string {
	if v < numVerdicts {
		return [...]string{"forward", "drop"}[v]
	}
	return "unknown"
}

// Dirty says that the answers given for these flows no longer hold.
type Dirty struct {
	IDs   []ID
	Cause Cause  // route_changed, neighbour_changed, link_down, mtu_changed …
	Text  string // what was changed: "route 10.1.0.0/16 replaced"
	At    Time   // when the notification arrived; 0 if unknown
}
