//go:build netns

package e2e

import (
	"strings"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// flows is "flows VERB", the tuple of a transfer, and more.
func flows(verb string, tr *rig.Transfer, more ...string) []string {
	return append(append([]string{"flows", verb}, tr.Tuple()...), more...)
}

func TestAnEvictedFlowStaysOutForAsLongAsItWasTold(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.steady(4, 12*time.Second)
	f := s.active(tr)
	s.ctl(flows("evict", tr, "--for", "3s", "--note", "look at it with tcpdump")...)
	out := s.await(tr, "it is out", rig.InKernel)
	if !rig.Left(out, shuntv1.Cause_CAUSE_OPERATOR) || out.Installs != f.Installs {
		t.Errorf("evicted, it says: %s", rig.Describe(out))
	}
	if why := s.ctl(flows("explain", tr)...); !strings.Contains(why, "evicted by root: look at it with tcpdump") {
		t.Errorf("explain does not say who took it out and why:\n%s", why)
	}
	back := s.active(tr)
	if held := back.InstalledAt.AsTime().Sub(out.StateSince.AsTime()); held < 2*time.Second {
		t.Errorf("it came back after %v, held for 3s", held)
	}
	s.udpDone(tr, 20)
}

func TestAPinPutsAFlowInThatThePolicyWouldNot(t *testing.T) {
	// The policy asks for more packets than the flow will ever have.
	s := play(t, lab.Options{}, rig.DaemonOptions{MinPkts: 1_000_000})
	tr := s.steady(4, 10*time.Second)
	s.await(tr, "it is below the threshold", func(f *shuntv1.Flow) bool {
		return strings.Contains(rig.ReasonWords(f.Reasons), "below_threshold")
	})
	s.ctl(flows("pin", tr, "--lease", "3s", "--owner", "mona", "--note", "video of the meeting")...)
	f := s.active(tr)
	if !f.Pinned || f.Intent.GetOwner() != "mona" {
		t.Errorf("pinned, it says: %s, intent %v", rig.Describe(f), f.Intent)
	}
	// Another owner can't take it back; the lease can.
	if out, err := s.d.Ctl(t.Context(), flows("unpin", tr, "--owner", "lisa")...); err == nil {
		t.Errorf("lisa took mona's pin back: %s", out)
	} else if !strings.Contains(err.Error(), "mona") {
		t.Errorf("the refusal does not name the owner: %v", err)
	}
	f = s.await(tr, "the lease has ended", rig.InKernel)
	if f.Pinned || !rig.Left(f, shuntv1.Cause_CAUSE_LEASE_EXPIRED) {
		t.Errorf("after its lease, it says: %s", rig.Describe(f))
	}
	s.udpDone(tr, 20)
}

func TestAPinWaitsForItsConnection(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{MinPkts: 1_000_000})
	const from = "10.77.0.2:19999"
	s.ctl("flows", "pin", "udp", from, "198.51.100.10:5001", "--lease", "1m", "--owner", "mona")
	cmd := []string{"traffic", "udp", "--from", "19999", "--to", "198.51.100.10:5001", "--datagrams", "3000", "--rate", "500"}
	done := make(chan error, 1)
	go func() {
		_, err := s.Client.Run(t.Context(), programs.Demo, cmd...)
		done <- err
	}()
	s.eventually("the pinned flow is in the NIC", func() error {
		all, err := s.d.List(t.Context(), "pinned state=active")
		if err == nil && len(all) != 1 {
			err = errFew(uint64(len(all)))
		}
		return err
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.ctl("flows", "unpin", "udp", from, "198.51.100.10:5001", "--owner", "mona")
}

func TestADeniedFlowIsTheKernels(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.steady(6, 9*time.Second)
	s.active(tr)
	s.ctl(flows("deny", tr, "--lease", "3s", "--owner", "mona", "--note", "under inspection")...)
	f := s.await(tr, "it is denied", func(f *shuntv1.Flow) bool {
		return f.State == shuntv1.State_STATE_DENIED && rig.InKernel(f)
	})
	if !strings.Contains(rig.ReasonWords(f.Reasons), "denied_by_operator") {
		t.Errorf("denied, it says: %s", rig.Describe(f))
	}
	s.active(tr) // after the lease
	s.udpDone(tr, 20)
}
