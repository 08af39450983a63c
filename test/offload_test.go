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

// bulk is 200 MB at 40 MB/s: one in a hundred packets is 50 ms, which the scheduler
// of a busy machine may take from the daemon; at full speed it would be 10 ms.
var bulk = traffic.TCPRequest{Bytes: 200_000_000, Rate: 40_000_000, Direction: traffic.Up, Seed: 1}

func Test200MBWithMasqueradeGoThroughTheNIC(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	s.carries(4, bulk)
}

func Test200MBOverIPv6GoThroughTheNIC(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	s.carries(6, bulk)
}

func Test200MBGoThroughTheNICInGenericMode(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{Settings: "{mode: generic}"})
	s.carries(4, bulk)
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
