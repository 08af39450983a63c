//go:build netns

package e2e

import (
	"strconv"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// notrack has conntrack leave the transfers alone.
func (s *stage) notrack() {
	s.Helper()
	s.nft("add", "chain", "inet", "lab", "alone", "{ type filter hook prerouting priority raw ; }")
	port := strconv.Itoa(rig.ServerPort)
	s.nft("add", "rule", "inet", "lab", "alone", "udp", "dport", port, "notrack")
	s.nft("add", "rule", "inet", "lab", "alone", "udp", "sport", port, "notrack")
	s.nft("insert", "rule", "inet", "lab", "forward", "ct", "state", "untracked", "accept")
}

// TestUntrackedFlows: conntrack is told to leave them alone, and each direction goes
// into the NIC by itself, by the packets that the observer saw.
func TestUntrackedFlows(t *testing.T) {
	s := play(t, lab.Options{NoNAT: true}, rig.DaemonOptions{MinPkts: 16, Idle: 5 * time.Second, Policy: []string{`untracked: "on"`}})
	s.notrack()
	tr := s.steady(4, 10*time.Second)
	in := func() (n int) {
		fs, err := s.d.List(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fs {
			if f.Untracked && rig.Active(f) && rig.InNIC(f.Orig) && !rig.InNIC(f.Reply) && f.Orig.Route.Learnt == shuntv1.Learnt_LEARNT_PACKET {
				n++
			}
		}
		return n
	}
	s.eventually("both directions are in the NIC, each by itself", func() error {
		if n := in(); n != 2 {
			return errFew(uint64(n))
		}
		return nil
	})
	if err := s.UseHop(t.Context(), lab.HopB); err != nil {
		t.Fatal(err)
	}
	s.eventually("the one whose route has changed follows", func() error {
		n, err := s.Received(lab.HopB)
		if err != nil || in() != 2 || n < 500 {
			return errFew(n)
		}
		return nil
	})
	s.udpDone(tr, 300)
	s.eventually("they are forgotten when nothing comes any more", func() error {
		if st := s.stats(); st.RulesInHw != 0 {
			return errFew(uint64(st.RulesInHw))
		}
		return nil
	})
}

// TestPinnedUntracked: one that was told of before it was pinned goes in all the same,
// and the others stay with the kernel.
func TestPinnedUntracked(t *testing.T) {
	s := play(t, lab.Options{NoNAT: true}, rig.DaemonOptions{MinPkts: 16, Policy: []string{"untracked: pinned"}})
	s.notrack()
	tr := s.steady(4, 8*time.Second)
	s.eventually("the observer has told of it", func() error {
		n, err := s.Received(lab.HopA)
		if err != nil || n < 500 {
			return errFew(n)
		}
		return nil
	})
	if st := s.stats(); st.RulesInHw != 0 {
		t.Fatalf("%d rules before the pin", st.RulesInHw)
	}
	s.ctl(append([]string{"flows", "pin"}, tr.Tuple()...)...)
	s.eventually("the pinned direction is in the NIC", func() error {
		if st := s.stats(); st.RulesInHw != 1 {
			return errFew(uint64(st.RulesInHw))
		}
		return nil
	})
	s.udpDone(tr, 300)
}
