//go:build netns || vm

package e2e

import (
	"strings"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// carries makes a transfer and holds the NIC to 99 % of the frames on the client's
// cable. It gives that share in percent.
func (s *stage) carries(version int, req traffic.TCPRequest) float64 {
	s.Helper()
	events, err := s.ConntrackEvents()
	if err != nil {
		s.Fatal(err)
	}
	before, err := s.Wire()
	if err != nil {
		s.Fatal(err)
	}
	hits := s.hits()
	tr := s.tcp(version, req)
	s.active(tr)
	s.lookAt(tr)
	res := s.tcpDone(tr)
	// The last counters come with the removal of the rules.
	f := s.await(tr, "the close has taken it out of the NIC", func(f *shuntv1.Flow) bool {
		return rig.InKernel(f) && rig.Left(f, shuntv1.Cause_CAUSE_TCP_CLOSE)
	})
	wire, err := s.Wire()
	if err != nil {
		s.Fatal(err)
	}
	forwarded, err := s.Forwarded(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	frames, nic := wire.Packets-before.Packets, rig.NIC(f).Packets
	if s.Card() != nil {
		// An mlx5 card tells its counters once a second, and the last of them with the
		// removal: what it forwarded in its last moments nobody is told but by itself.
		nic = s.hits() - hits
	}
	// The connection's own count of its segments must agree with the cable's; a
	// retransmitted one may have been lost before it was on the cable.
	if diff := int64(res.Segments) - int64(frames); max(diff, -diff) > 100+int64(res.Retrans) {
		s.Errorf("TCP sent and received %d segments, the cable carried %d frames", res.Segments, frames)
	}
	share := 100 * float64(nic) / float64(frames)
	s.Logf("IPv%d: %.0f Mbit/s; of %d frames %d by the NIC (%.2f %%), %d by the kernel; %d retransmits",
		version, res.MbitPerS, frames, nic, share, forwarded.Packets(), res.Retrans)
	if share < 99 || nic > frames {
		s.Logf("the flow at its end: %s", rig.Describe(f))
		s.Errorf("the NIC counted %d of %d frames, %.2f %%: want 99 to 100", nic, frames, share)
	}
	if 100*forwarded.Packets() >= frames {
		s.Errorf("the kernel forwarded %d of %d frames: want less than 1 %%", forwarded.Packets(), frames)
	}
	if forwarded.Invalid.Packets != 0 {
		s.Errorf("conntrack called %d packets invalid", forwarded.Invalid.Packets)
	}
	s.eventually("the connection closes as TCP does", func() error {
		return events.InOrder(tr.Port, s.closes...)
	})
	return share
}

// hits is what the emulated card has forwarded of both directions; 0 without one.
func (s *stage) hits() uint64 {
	s.Helper()
	if s.Card() == nil {
		return 0
	}
	st, err := s.Card().Stats()
	if err != nil {
		s.Fatal(err)
	}
	return st.Ports[lab.LANPort].Hit + st.Ports[lab.WANPort].Hit
}

// lookAt is a look at a transfer through a card in its middle.
func (s *stage) lookAt(*rig.Transfer) {
	s.Helper()
	if s.Card() == nil {
		return
	}
	time.Sleep(time.Second) // what was on its way before the rules has arrived
	s.inHW()
	s.untouched(2 * time.Second)
}

// inHW runs tc on both ports and wants one rule of the flow on each.
func (s *stage) inHW() {
	s.Helper()
	for _, port := range []string{lab.LANPort, lab.WANPort} {
		out, err := s.Router.Run(s.Context(), "tc", "-s", "filter", "show", "dev", port, "ingress", "pref", "11")
		if err != nil {
			s.Fatal(err)
		}
		if !strings.Contains(out, "skip_sw") || !strings.Contains(out, "in_hw in_hw_count 1") || strings.Contains(out, "not_in_hw") {
			s.Errorf("tc filter show dev %s:\n%s", port, out)
		}
	}
}

// untouched wants the kernel to forward nothing for a while of a running transfer.
func (s *stage) untouched(d time.Duration) {
	s.Helper()
	before, err := s.Forwarded(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	cards, err := s.Card().Stats()
	if err != nil {
		s.Fatal(err)
	}
	time.Sleep(d)
	after, err := s.Forwarded(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	later, err := s.Card().Stats()
	if err != nil {
		s.Fatal(err)
	}
	hits := later.Ports[lab.LANPort].Hit - cards.Ports[lab.LANPort].Hit
	s.Logf("in %s the card forwarded %d frames from %s, the kernel %d packets", d, hits, lab.LANPort, after.Packets()-before.Packets())
	if n := after.Packets() - before.Packets(); n != 0 || hits == 0 {
		s.Errorf("the kernel forwarded %d packets and the card %d while the flow was offloaded", n, hits)
	}
}
