//go:build netns

package e2e

import (
	"slices"
	"strconv"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// nft changes the router's ruleset.
func (s *stage) nft(args ...string) {
	s.Helper()
	if _, err := s.Router.Run(s.Context(), "nft", args...); err != nil {
		s.Fatal(err)
	}
}

// arrived counts frames at the server's first hop.
func (s *stage) arrived() uint64 {
	s.Helper()
	n, err := s.Received(lab.HopA)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// TestADropRuleStopsAnOffloadedFlowAtOnce: the flow leaves hardware with the
// commit, the kernel drops its packets, and it stays out for as long as it does.
func TestADropRuleStopsAnOffloadedFlowAtOnce(t *testing.T) {
	for _, version := range []int{4, 6} {
		t.Run("IPv"+strconv.Itoa(version), func(t *testing.T) {
			s := play(t, lab.Options{}, rig.DaemonOptions{})
			tr := s.steady(version, 14*time.Second)
			s.active(tr)
			s.nft("add", "chain", "inet", "lab", "first", "{ type filter hook forward priority -10 ; }")
			s.await(tr, "it is back after a change that lets it pass", rig.Active)
			s.nft("add", "rule", "inet", "lab", "first", "udp", "dport", strconv.Itoa(rig.ServerPort), "drop")
			time.Sleep(100 * time.Millisecond)
			before := s.arrived()
			time.Sleep(2 * time.Second) // 1000 datagrams
			if n := s.arrived() - before; n > 20 {
				t.Errorf("%d frames arrived after the rule to drop them", n)
			}
			f := s.await(tr, "it waits with the kernel for a packet that passes", func(f *shuntv1.Flow) bool {
				return rig.InKernel(f) && slices.Contains(f.Reasons, shuntv1.Reason_REASON_ROUTE_UNOBSERVED)
			})
			if !rig.Left(f, shuntv1.Cause_CAUSE_RULESET_CHANGED) {
				t.Errorf("history: %s", rig.History(f))
			}
			s.nft("flush", "chain", "inet", "lab", "first")
			s.await(tr, "it is back when the rule is gone", rig.Active)
		})
	}
}

// TestARulesetIsKept: with policy.ruleset keep, hardware goes on, whatever the rules.
func TestARulesetIsKept(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{Policy: []string{"ruleset: keep"}})
	tr := s.steady(4, 8*time.Second)
	s.active(tr)
	s.nft("add", "chain", "inet", "lab", "first", "{ type filter hook forward priority -10 ; policy drop ; }")
	before := s.arrived()
	time.Sleep(time.Second)
	if n := s.arrived() - before; n < 300 {
		t.Errorf("%d frames arrived", n)
	}
	if f := s.active(tr); f.Installs != 1 {
		t.Errorf("installed %d times: %s", f.Installs, rig.History(f))
	}
}

// TestARulesetChangeFlushes: a flow has to show its worth anew.
func TestARulesetChangeFlushes(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{Policy: []string{"ruleset: flush"}})
	tr := s.steady(4, 10*time.Second)
	s.active(tr)
	s.nft("add", "chain", "inet", "lab", "first", "{ type filter hook forward priority -10 ; }")
	f := s.await(tr, "it is out", rig.InKernel)
	if !rig.Left(f, shuntv1.Cause_CAUSE_RULESET_CHANGED) {
		t.Errorf("history: %s", rig.History(f))
	}
	s.await(tr, "it is back", func(f *shuntv1.Flow) bool { return rig.Active(f) && f.Installs == 2 })
}
