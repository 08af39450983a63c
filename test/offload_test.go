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

func Test200MBWithMasqueradeGoThroughTheNIC(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	s.carries(4)
}

func Test200MBOverIPv6GoThroughTheNIC(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	s.carries(6)
}

func Test200MBGoThroughTheNICInGenericMode(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{Settings: "{mode: generic}"})
	s.carries(4)
}

// carries transfers 200 MB and holds the NIC to 99 % of the frames on the
// client's cable.
func (s *stage) carries(version int) {
	s.Helper()
	events, err := s.ConntrackEvents()
	if err != nil {
		s.Fatal(err)
	}
	before, err := s.Wire()
	if err != nil {
		s.Fatal(err)
	}
	// 40 MB/s: one in a hundred packets is 50 ms, which the scheduler of a busy
	// machine may take from the daemon; at full speed it would be 10 ms.
	tr := s.tcp(version, traffic.TCPRequest{Bytes: 200_000_000, Rate: 40_000_000, Direction: traffic.Up, Seed: 1})
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
		return events.InOrder(tr.Port, "FIN_WAIT", "TIME_WAIT")
	})
}

func TestUDPLivesLongerThanItsTimeoutInTheKernel(t *testing.T) {
	// The kernel sees no packet of the flow: without shunt's refresh the entry,
	// and with it the masquerade, would be gone after 5 s.
	s := play(t, lab.Options{UDPTimeout: 5}, rig.DaemonOptions{})
	transfers := []*rig.Transfer{s.steady(4, 14*time.Second), s.steady(6, 14*time.Second)}
	first := make([]*shuntv1.Flow, len(transfers))
	for i, tr := range transfers {
		first[i] = s.active(tr)
	}
	before, err := s.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, tr := range transfers {
		<-tr.Ended()
		s.udpDone(tr, 5) // a few are on their way while rules go in
		f, err := s.d.Get(t.Context(), tr)
		if err != nil {
			t.Fatal(err)
		}
		if f.Uid != first[i].Uid || f.Installs != first[i].Installs {
			t.Errorf("%s: left the NIC meanwhile: %s", tr, rig.Describe(f))
		}
	}
	after, err := s.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := after.Packets() - before.Packets(); n > 100 {
		t.Errorf("the kernel forwarded %d packets of flows that the NIC had", n)
	}
}

func TestAnIdleFlowGoesBackToTheKernel(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{Idle: 5 * time.Second})
	tr := s.steady(4, 3*time.Second)
	s.active(tr)
	s.udpDone(tr, 5)
	f := s.await(tr, "it has become idle", rig.InKernel)
	if !rig.Left(f, shuntv1.Cause_CAUSE_IDLE) {
		t.Errorf("it left for another cause: %s", rig.History(f))
	}
	if n := s.used(); n != 0 {
		t.Errorf("the device still holds %d rules", n)
	}
	// And the kernel knows the flow still: its entry was not left to die.
	lines, err := s.Conntrack(t.Context(), "-p", "udp")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(lines, "\n"), "ASSURED") {
		t.Errorf("conntrack has lost the flow: %q", lines)
	}
}
