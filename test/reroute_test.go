//go:build netns

package e2e

import (
	"strings"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// long is a transfer of some 12 seconds.
var long = traffic.TCPRequest{Bytes: 120_000_000, Rate: 10_000_000, Direction: traffic.Up, Seed: 3}

func TestARouteIsReplacedUnderATransfer(t *testing.T) {
	for _, version := range []int{4, 6} {
		t.Run(map[int]string{4: "masquerade", 6: "IPv6"}[version], func(t *testing.T) {
			s := play(t, lab.Options{}, rig.DaemonOptions{})
			tr := s.tcp(version, long)
			f := s.active(tr)
			if got, want := f.Orig.Route.Nexthop, hop(lab.HopA, version); got != want {
				t.Fatalf("next hop %s, want %s", got, want)
			}
			if err := s.UseHop(t.Context(), lab.HopB); err != nil {
				t.Fatal(err)
			}
			f = s.await(tr, "it is in the NIC by way of hop B", func(f *shuntv1.Flow) bool {
				return rig.Active(f) && f.Orig.Route.Nexthop == hop(lab.HopB, version)
			})
			s.leftBeforeItCameBack(f, shuntv1.Cause_CAUSE_ROUTE_CHANGED)
			s.onlyBy(lab.HopB)
			if out := s.ctl(append([]string{"flows", "explain"}, tr.Tuple()...)...); !strings.Contains(out, "route_changed") {
				t.Errorf("explain does not name route_changed:\n%s", out)
			}
			s.tcpDone(tr)
		})
	}
}

func TestTheNextHopGetsANewMACUnderATransfer(t *testing.T) {
	for _, version := range []int{4, 6} {
		t.Run(map[int]string{4: "masquerade", 6: "IPv6"}[version], func(t *testing.T) {
			s := play(t, lab.Options{}, rig.DaemonOptions{})
			tr := s.tcp(version, long)
			s.active(tr)
			const mac = "02:00:00:00:0a:0b"
			if err := s.ChangeMAC(t.Context(), lab.HopA, mac); err != nil {
				t.Fatal(err)
			}
			f := s.await(tr, "it is in the NIC with the new MAC", func(f *shuntv1.Flow) bool {
				return rig.Active(f) && f.Orig.Route.DstMac == mac
			})
			s.leftBeforeItCameBack(f, shuntv1.Cause_CAUSE_NEIGHBOUR_CHANGED)
			if out := s.ctl(append([]string{"flows", "explain"}, tr.Tuple()...)...); !strings.Contains(out, "neighbour_changed") {
				t.Errorf("explain does not name neighbour_changed:\n%s", out)
			}
			s.tcpDone(tr)
		})
	}
}

func TestALinkGoesDownUnderAFlow(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	// IPv6: of masqueraded flows the kernel drops the entries with the link.
	tr := s.steady(6, 8*time.Second)
	s.active(tr)
	if _, err := s.Router.Run(t.Context(), "ip", "link", "set", lab.WANPort, "down"); err != nil {
		t.Fatal(err)
	}
	s.await(tr, "no rule is left on a link that is down", rig.InKernel)
	if n := s.used(); n != 0 {
		t.Errorf("the device still holds %d rules", n)
	}
}

func hop(h lab.Hop, version int) string {
	if version == 6 {
		return h.Addr6().String()
	}
	return h.Addr4().String()
}

// leftBeforeItCameBack holds the flow's history to the order: out for the cause,
// and only then in again.
func (s *stage) leftBeforeItCameBack(f *shuntv1.Flow, cause shuntv1.Cause) {
	s.Helper()
	out, in := -1, -1
	for i, c := range f.History {
		switch {
		case c.Cause == cause && out < 0:
			out = i
		case c.State == shuntv1.State_STATE_INSTALLED:
			in = i
		}
	}
	if out < 0 || in < out {
		s.Errorf("its history does not say that it left for %s and came back: %s", cause, rig.History(f))
	}
	if n := s.used(); n != 2 {
		s.Errorf("the device holds %d rules for one flow", n)
	}
}

// onlyBy wants new frames of the transfer by one hop alone.
func (s *stage) onlyBy(want lab.Hop) {
	s.Helper()
	other := lab.HopA
	if want == lab.HopA {
		other = lab.HopB
	}
	read := func(h lab.Hop) uint64 {
		n, err := s.Received(h)
		if err != nil {
			s.Fatal(err)
		}
		return n
	}
	wantBefore, otherBefore := read(want), read(other)
	s.eventually("frames arrive by hop "+want.String(), func() error {
		if n := read(want) - wantBefore; n < 1000 {
			return errFew(n)
		}
		return nil
	})
	// ARP and neighbour discovery go on.
	if n := read(other) - otherBefore; n > 20 {
		s.Errorf("%d frames still went by hop %s", n, other)
	}
}
