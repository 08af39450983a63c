package hwif

import "math/bits"

// ActionKind is one thing that a rule can do. Actions run in the order of
// these constants, whatever order a caller thought of them in.
type ActionKind uint8

const (
	ActEthSrc   ActionKind = iota // pedit: set source MAC
	ActEthDst                     // pedit: set destination MAC
	ActDecTTL                     // pedit: TTL or hop limit - 1
	ActIPSrc                      // pedit: set source address
	ActIPDst                      // pedit: set destination address
	ActL4Src                      // pedit: set source port
	ActL4Dst                      // pedit: set destination port
	ActCsum                       // csum: IPv4 header and L4 checksums made right
	ActVLANPop                    // vlan pop: the matched tag
	ActVLANPush                   // vlan push: 802.1Q with Actions.VLAN
	ActRedirect                   // mirred egress redirect to OutPort
	ActDrop                       // gact drop
	ActTrap                       // gact trap: to the kernel
	numActions
)

var actionNames = [numActions]string{
	"set eth src", "set eth dst", "dec ttl", "set ip src", "set ip dst", "set l4 sport", "set l4 dport",
	"csum", "vlan pop", "vlan push", "mirred redirect", "drop", "trap",
}

func (a ActionKind) String() string {
	if a < numActions {
		return actionNames[a]
	}
	return "unknown action"
}

// ActionKinds lists every ActionKind, in order.
func ActionKinds() []ActionKind {
	out := make([]ActionKind, numActions)
	for i := range out {
		out[i] = ActionKind(i)
	}
	return out
}

// ActionSet is a set of ActionKind.
type ActionSet uint32

// ActionsOf builds a set.
func ActionsOf(as ...ActionKind) ActionSet {
	var s ActionSet
	for _, a := range as {
		s |= 1 << a
	}
	return s
}

// Has reports whether a is in the set.
func (s ActionSet) Has(a ActionKind) bool { return s&(1<<a) != 0 }

// Without is the set less a.
func (s ActionSet) Without(a ActionKind) ActionSet { return s &^ (1 << a) }

// First is the lowest action of a non-empty set, known or not.
func (s ActionSet) First() (ActionKind, bool) {
	if s == 0 {
		return 0, false
	}
	return ActionKind(bits.TrailingZeros32(uint32(s))), true
}

// Actions is what happens to a frame that matches. Members whose kind is not
// in Set are zero.
type Actions struct {
	Set              ActionSet
	EthSrc, EthDst   MAC
	IPSrc, IPDst     Addr // of the match's family
	SrcPort, DstPort uint16
	VLAN             VLAN
	OutPort          Ifindex
	// MTU is the largest L3 length in bytes that may leave by OutPort. A longer
	// frame must go to the kernel, which fragments or answers "too big". It is 0
	// for a device that is not Guarded: it could not tell, so the plan has made
	// sure that no longer frame can enter.
	MTU uint16
}

// Routed are the actions of every forwarded frame. NAT and VLAN add theirs.
const Routed = ActionSet(1<<ActEthSrc | 1<<ActEthDst | 1<<ActDecTTL | 1<<ActCsum | 1<<ActRedirect)
