package flow

import (
	"iter"
	"math/bits"
	"slices"
)

// Reason is one word for why a flow is not in hardware. The list is closed and
// spelled alike in logs, metrics, API and command line. Several may hold.
type Reason uint8

const (
	ReasonNone Reason = iota
	// policy
	DisabledByPolicy
	DeniedByOperator
	BelowThreshold
	CeilingReached
	// connection
	NotEstablished
	Local
	HelperAttached
	SeqAdjusted
	NATClash
	ProtocolUnsupported
	Fragmented
	IPOptions
	Multicast
	IPsec
	Untracked
	Bridged
	KernelOffloaded
	Closing
	// route
	NoRoute
	RouteUnobserved
	NeighbourUnresolved
	RouteDirty
	RouteUnsupported
	MTUMismatch
	Multipath
	Asymmetric
	// device
	PortNotOffloadable
	OffloadDisabledOnPort
	DifferentEswitch
	LAGUnsupported
	MatchUnsupported
	ActionUnsupported
	DeviceRejected
	// resource
	TableFull
	RateLimited
	Backoff
	Outranked
	AgentPaused
	numReasons
)

var reasonNames = [numReasons]string{
	"none",
	"disabled_by_policy", "denied_by_operator", "below_threshold", "ceiling_reached",
	"not_established", "local", "helper_attached", "seq_adjusted", "nat_clash", "protocol_unsupported",
	"fragmented", "ip_options", "multicast", "ipsec", "untracked", "bridged", "kernel_offloaded", "closing",
	"no_route", "route_unobserved", "neighbour_unresolved", "dirty", "route_unsupported", "mtu_mismatch",
	"multipath", "asymmetric",
	"port_not_offloadable", "offload_disabled_on_port", "different_eswitch", "lag_unsupported",
	"match_unsupported", "action_unsupported", "device_rejected",
	"table_full", "rate_limited", "backoff", "outranked", "agent_paused",
}

func (r Reason) String() string {
	if r < numReasons {
		return reasonNames[r]
	}
	return "unknown"
}

// AllReasons lists every Reason but ReasonNone.
func AllReasons() []Reason {
	out := make([]Reason, 0, numReasons-1)
	for r := ReasonNone + 1; r < numReasons; r++ {
		out = append(out, r)
	}
	return out
}

// Reasons is a set of Reason.
type Reasons uint64

// Of builds a set.
func Of(rs ...Reason) Reasons {
	var s Reasons
	for _, r := range rs {
		s = s.With(r)
	}
	return s
}

// With adds r; ReasonNone adds nothing.
func (s Reasons) With(r Reason) Reasons {
	if r == ReasonNone {
		return s
	}
	return s | 1<<r
}

// Without takes r out.
func (s Reasons) Without(r Reason) Reasons { return s &^ (1 << r) }

// Has reports whether r is in the set.
func (s Reasons) Has(r Reason) bool { return s&(1<<r) != 0 }

// Len counts the set.
func (s Reasons) Len() int { return bits.OnesCount64(uint64(s)) }

// All walks the set in the order of the constants.
func (s Reasons) All() iter.Seq[Reason] {
	return func(yield func(Reason) bool) {
		for v := uint64(s); v != 0; v &= v - 1 {
			if !yield(Reason(bits.TrailingZeros64(v))) {
				return
			}
		}
	}
}

// List gives the set in the order of the constants.
func (s Reasons) List() []Reason { return slices.AppendSeq(make([]Reason, 0, s.Len()), s.All()) }

// Cause is one word for why a flow was taken out of hardware; a closed list.
type Cause uint8

const (
	CauseNone Cause = iota
	CauseIdle
	CauseTCPClose
	CauseConntrackDestroyed
	CauseTupleReused
	CauseRouteChanged
	CauseNeighbourChanged
	CauseLinkDown
	CauseMTUChanged
	CauseRulesetChanged
	CauseMarkChanged
	CausePolicyChanged
	CauseOperator
	CauseOutranked
	CauseLeaseExpired
	CauseDeviceReset
	CauseAuditMismatch
	CauseFenced
	CauseShutdown
	numCauses
)

var causeNames = [numCauses]string{
	"none", "idle", "tcp_close", "conntrack_destroyed", "tuple_reused", "route_changed", "neighbour_changed",
	"link_down", "mtu_changed", "ruleset_changed", "mark_changed", "policy_changed", "operator", "outranked",
	"lease_expired", "device_reset", "audit_mismatch", "fenced", "shutdown",
}

func (c Cause) String() string {
	if c < numCauses {
		return causeNames[c]
	}
	return "unknown"
}

// Causes lists every Cause but CauseNone.
func Causes() []Cause {
	out := make([]Cause, 0, numCauses-1)
	for c := CauseNone + 1; c < numCauses; c++ {
		out = append(out, c)
	}
	return out
}

// State is where a flow stands. One function of the engine moves it.
type State uint8

const (
	StateNone      State = iota
	StateCandidate       // eligible or on its way to it; its packets are the kernel's
	StatePending         // route known, rules on their way to the device
	StateInstalled       // the kernel said in_hw for both rules
	StateActive          // and a hardware counter has moved
	StateDirty           // its route is in doubt; on its way out to be learnt again
	StateRemoving        // rules on their way out
	StateRejected        // cannot be offloaded as it is
	StateBackoff         // will be tried again at a known time
	StateDenied          // an operator said no
	StateGone            // the connection has ended
	numStates
)

var stateNames = [numStates]string{
	"none", "candidate", "pending", "installed", "active", "dirty", "removing", "rejected", "backoff", "denied", "gone",
}

func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return "unknown"
}

// States lists every State but StateNone.
func States() []State {
	out := make([]State, 0, numStates-1)
	for s := StateNone + 1; s < numStates; s++ {
		out = append(out, s)
	}
	return out
}

// InHardware reports whether both rules are in hardware in this state.
func (s State) InHardware() bool { return s == StateInstalled || s == StateActive }
