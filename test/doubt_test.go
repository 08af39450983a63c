//go:build netns

package e2e

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// first makes a chain ahead of the lab's own, with rules.
func (s *stage) first(rules ...string) {
	s.Helper()
	s.nft("add", "chain", "inet", "lab", "first", "{ type filter hook forward priority -10 ; }")
	for _, r := range rules {
		s.nft(append([]string{"add", "rule", "inet", "lab", "first"}, strings.Fields(r)...)...)
	}
}

// kept wants the transfer's flow to stay with the kernel for a while, for a reason.
func (s *stage) kept(tr *rig.Transfer, d time.Duration, r shuntv1.Reason, words string) {
	s.Helper()
	s.await(tr, "it is refused", func(f *shuntv1.Flow) bool { return slices.Contains(f.Reasons, r) && strings.Contains(f.Text, words) })
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if n := s.stats().RulesInHw; n != 0 {
			s.Fatalf("%d rules in hardware", n)
		}
	}
}

// TestWhatNetfilterDropsStaysOut: a flow that the ruleset cuts, by a rule that is older
// than all that the daemon knows of it, is not revived.
func TestWhatNetfilterDropsStaysOut(t *testing.T) {
	port := strconv.Itoa(rig.ServerPort)
	t.Run("new flow", func(t *testing.T) { // conntrack calls it assured before its replies are dropped
		t.Parallel()
		s := set(t, lab.Options{})
		s.first("udp sport " + port + " drop")
		s.daemon(rig.DaemonOptions{})
		tr := s.steady(4, 9*time.Second)
		s.kept(tr, 3*time.Second, shuntv1.Reason_REASON_ROUTE_UNOBSERVED, "no reply packet of it was seen to leave")
	})
	for name, rule := range map[string]string{"orig": "udp dport " + port + " drop", "reply": "udp sport " + port + " drop"} {
		t.Run("restart, "+name, func(t *testing.T) {
			t.Parallel()
			s := play(t, lab.Options{}, rig.DaemonOptions{})
			tr := s.steady(4, 14*time.Second)
			s.active(tr)
			if err := s.d.Stop(); err != nil {
				t.Fatal(err)
			}
			s.first(rule)
			if err := s.d.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.kept(tr, 4*time.Second, shuntv1.Reason_REASON_ROUTE_UNOBSERVED, "no "+name+" packet of it was seen to leave")
		})
	}
}

// TestWhatTheRulesetWritesStaysOut: a rule can't say what a mangling rule does.
func TestWhatTheRulesetWritesStaysOut(t *testing.T) {
	for name, rule := range map[string]string{"TOS": "ip dscp set cs3", "TTL": "ip ttl set 33"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, lab.Options{})
			s.first("udp dport " + strconv.Itoa(rig.ServerPort) + " " + rule)
			s.daemon(rig.DaemonOptions{})
			tr := s.steady(4, 8*time.Second)
			s.kept(tr, 3*time.Second, shuntv1.Reason_REASON_ROUTE_UNSUPPORTED, "the ruleset writes into orig packets")
			s.udpDone(tr, 0)
		})
	}
}

// TestASilentFlowStaysOut: nothing is known of what the kernel would do with its next
// packet.
func TestASilentFlowStaysOut(t *testing.T) {
	s := set(t, lab.Options{})
	tr := s.steady(4, 2*time.Second)
	<-tr.Ended()
	s.daemon(rig.DaemonOptions{})
	s.kept(tr, 3*time.Second, shuntv1.Reason_REASON_ROUTE_UNOBSERVED, "it is silent")
}

// TestLifeEnds: a set element that times out, of which nobody is told, ends a flow in
// hardware all the same.
func TestLifeEnds(t *testing.T) {
	s := set(t, lab.Options{})
	s.nft("add", "set", "inet", "lab", "ok", "{ type ipv4_addr ; flags timeout ; }")
	s.nft("add", "element", "inet", "lab", "ok", "{ "+lab.Client4.String()+" timeout 6s }")
	s.first("iifname " + lab.LANPort + " ip saddr != @ok drop")
	s.daemon(rig.DaemonOptions{Policy: []string{"life: 10s"}})
	tr := s.steady(4, 25*time.Second)
	s.active(tr)
	time.Sleep(11 * time.Second)
	f := s.await(tr, "it is out", rig.InKernel)
	if !rig.Left(f, shuntv1.Cause_CAUSE_LEASE_EXPIRED) {
		t.Errorf("history: %s", rig.History(f))
	}
	before := s.arrived()
	time.Sleep(time.Second)
	if n := s.arrived() - before; n > 5 {
		t.Errorf("%d frames still arrive", n)
	}
}
