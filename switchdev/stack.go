package switchdev

import (
	"github.com/shunt-offload/shunt/hwif"
)

// Stack is what lies below an interface: the places where its frames enter and
// leave, and how they look there.
type Stack struct {
	Ifindex hwif.Ifindex // the one that was asked for
	Name    string
	Legs    []Leg        // one; several below a bond, a team or a bridge
	Bond    *Bond        // the bond or team on the way down, nil without one
	Bridge  hwif.Ifindex // the bridge on the way down: which leg a frame takes is the FDB's choice
	// Masters are what the interface itself belongs to (a bond whose slave it is,
	// a bridge whose port it is, a VRF), the nearest first.
	Masters []hwif.Ifindex
	Refused Refusal // why there is no leg at all
}

// Leg is one interface at the bottom of a stack.
type Leg struct {
	Ifindex hwif.Ifindex
	Name    string
	Port    *Port // nil when the interface is no port of a device
	// Tags are the VLAN tags on the wire, the outermost first.
	Tags []Tag
	// Via are the interfaces from the one that was asked for (included) down to
	// this one (not included).
	Via []hwif.Ifindex
	// Backup is true for a slave that its bond does not send by at present.
	Backup  bool
	Refused Refusal // why Port is nil
}

// Tag is one VLAN tag.
type Tag struct {
	Proto uint16 // ETH_P_8021Q 0x8100 or ETH_P_8021AD 0x88a8
	ID    hwif.VLAN
	// EgressQoS is true when the priority follows the packet's
	// (IFLA_VLAN_EGRESS_QOS), which a rule can't.
	EgressQoS bool
}

// Bond is a bond or team that a stack goes through.
type Bond struct {
	Ifindex hwif.Ifindex
	Name    string
	Kind    string       // "bond" or "team"
	Mode    BondMode     // ModeTeam for a team, whose runner lives in user space
	Active  hwif.Ifindex // IFLA_BOND_ACTIVE_SLAVE, 0 when the mode has none or it is not known
}

// BondMode is IFLA_BOND_MODE.
type BondMode uint8

const (
	BondRoundRobin   BondMode = 0
	BondActiveBackup BondMode = 1
	BondXOR          BondMode = 2
	BondBroadcast    BondMode = 3
	Bond8023AD       BondMode = 4
	BondTLB          BondMode = 5
	BondALB          BondMode = 6
	BondTeam         BondMode = 7 // not a bond's: a team
)

func (m BondMode) String() string {
	return name([]string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb", "team"}, uint8(m))
}

// RefusalCode is why an interface can't be followed down to a port.
type RefusalCode uint8

const (
	RefusedNot       RefusalCode = iota // it can
	RefusedUnknown                      // no such interface
	RefusedNotPort                      // an ordinary NIC, no port of a devlink device
	RefusedVeth                         // a veth: its other end is a network namespace, not a wire
	RefusedTunnel                       // a tunnel: below it is a route, not an interface
	RefusedVirtual                      // dummy, tap, loopback and other kinds with nothing below them
	RefusedNetns                        // what is below it is in another network namespace
	RefusedEmpty                        // a bond, team or bridge without members
	RefusedLoop                         // interfaces that lie on each other in a circle
	RefusedDepth                        // more than MaxDepth interfaces on each other
	RefusedDuplicate                    // two interfaces claim to be the same devlink port, or two ports one interface
)

func (c RefusalCode) String() string {
	return name([]string{"", "unknown", "not_a_port", "veth", "tunnel", "virtual", "other_netns", "empty", "loop", "too_deep", "contradiction"}, uint8(c))
}

// Refusal is a code and a sentence; the zero value is none.
type Refusal struct {
	Code    RefusalCode
	Ifindex hwif.Ifindex // the interface that stopped it
	Text    string
}

func (r Refusal) String() string { return r.Text }

// MaxDepth is how many interfaces may lie on each other. The kernel's own limit
// is 8 (MAX_NEST_DEV).
const MaxDepth = 16

// MaxLegs is how many legs are followed.
const MaxLegs = 4096

// OK reports whether every leg is a port of a device.
func (s *Stack) OK() bool { return len(s.Legs) > 0 && s.Why() == "" }

// Why is the first reason for OK being false, as a sentence.
func (s *Stack) Why() string {
	if s.Refused.Code != RefusedNot {
		return s.Refused.Text
	}
	for i := range s.Legs {
		if s.Legs[i].Refused.Code != RefusedNot {
			return s.Legs[i].Refused.Text
		}
	}
	return ""
}

// Ports are the ports at the bottom.
func (s *Stack) Ports() (out []*Port) {
	for i := range s.Legs {
		if p := s.Legs[i].Port; p != nil {
			out = append(out, p)
		}
	}
	return out
}
