//go:build netns || vm

package e2e

import (
	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
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
	tr := s.tcp(version, req)
	s.active(tr)
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
