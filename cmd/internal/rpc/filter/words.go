package filter

import (
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

type test = func(*offload.View) bool

// word finds s in a closed list.
func word[T fmt.Stringer](s string, all []T) (T, *flaw) {
	for _, v := range all {
		if v.String() == s {
			return v, nil
		}
	}
	var zero T
	return zero, unknown(s, names(all))
}

func unknown(s string, all []string) *flaw {
	if near := nearest(s, all); near != "" {
		return &flaw{fmt.Sprintf("unknown word %q", s), fmt.Sprintf("did you mean %q?", near)}
	}
	return &flaw{fmt.Sprintf("unknown word %q", s), "words are " + strings.Join(all, ", ")}
}

func names[T fmt.Stringer](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = v.String()
	}
	return out
}

func stateWords() []string  { return names(flow.States()) }
func reasonWords() []string { return names(flow.AllReasons()) }
func causeWords() []string  { return names(flow.Causes()) }
func ruleWords() []string   { return names(ruleStates) }
func familyWords() []string { return names(families) }
func protoWords() []string  { return []string{"tcp", "udp", "icmp", "icmpv6", "gre", "sctp"} }
func natWords() []string    { return []string{"none", "any", "snat", "dnat"} }

func tcpWords() []string {
	out := make([]string, 0, len(tcpStates))
	for _, s := range tcpStates {
		out = append(out, strings.ToLower(s.String()))
	}
	return out
}

var (
	families   = []hwif.Family{hwif.IPv4, hwif.IPv6}
	ruleStates = []offload.RuleState{offload.RuleNone, offload.RuleSent, offload.RuleInHW, offload.RuleLeaving, offload.RuleRefused}
	tcpStates  = []flow.TCPState{flow.TCPSynSent, flow.TCPSynRecv, flow.TCPEstablished, flow.TCPFinWait, flow.TCPCloseWait,
		flow.TCPLastAck, flow.TCPTimeWait, flow.TCPClose, flow.TCPSynSent2}
)

func parseState(_ Env, s string) (test, *flaw) {
	want, err := word(s, flow.States())
	return func(v *offload.View) bool { return v.State == want }, err
}

func parseReason(_ Env, s string) (test, *flaw) {
	want, err := word(s, flow.AllReasons())
	return func(v *offload.View) bool { return v.Reasons.Has(want) }, err
}

func parseCause(_ Env, s string) (test, *flaw) {
	want, err := word(s, flow.Causes())
	return func(v *offload.View) bool { return lastCause(v) == want }, err
}

// lastCause is why v last left hardware, as far as its history reaches.
func lastCause(v *offload.View) flow.Cause {
	for i := len(v.History) - 1; i >= 0; i-- {
		if c := v.History[i].Cause; c != flow.CauseNone {
			return c
		}
	}
	return flow.CauseNone
}

func parseRule(_ Env, s string) (test, *flaw) {
	want, err := word(s, ruleStates)
	return func(v *offload.View) bool { return v.Rules[0] == want || v.Rules[1] == want }, err
}

func parseFamily(_ Env, s string) (test, *flaw) {
	want, err := word(s, families)
	return func(v *offload.View) bool { return v.Entry.Orig.Family == want }, err
}

func parseTCP(_ Env, s string) (test, *flaw) {
	for _, want := range tcpStates {
		if strings.EqualFold(want.String(), s) {
			return func(v *offload.View) bool { return v.Entry.TCPState == want }, nil
		}
	}
	return nil, unknown(s, tcpWords())
}

func parseNAT(_ Env, s string) (test, *flaw) {
	var want func(snat, dnat bool) bool
	switch s {
	case "none":
		want = func(snat, dnat bool) bool { return !snat && !dnat }
	case "any":
		want = func(snat, dnat bool) bool { return snat || dnat }
	case "snat":
		want = func(snat, _ bool) bool { return snat }
	case "dnat":
		want = func(_, dnat bool) bool { return dnat }
	default:
		return nil, unknown(s, natWords())
	}
	return func(v *offload.View) bool { return want(v.Entry.NAT()) }, nil
}
