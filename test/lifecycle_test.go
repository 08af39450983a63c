//go:build netns

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/traffic"
)

func errFew(n uint64) error { return fmt.Errorf("%d until now", n) }

func TestADeletedConntrackEntryTakesItsRulesAlong(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	// Another flow, to see that only the one that is meant goes.
	bystander := s.steady(6, 8*time.Second)
	tr := s.steady(4, 4*time.Second)
	s.active(bystander)
	old := s.active(tr)
	// The client falls silent, so that the kernel has nothing to make a new entry of.
	s.udpDone(tr, 5)
	if n := s.used(); n != 4 {
		t.Fatalf("%d rules for two flows", n)
	}
	if _, err := s.Router.Run(t.Context(), "conntrack", "-D", "-p", "udp", "--orig-port-src", strconv.Itoa(int(tr.Port))); err != nil {
		t.Fatal(err)
	}
	s.eventually("the rules are gone", func() error {
		if n := s.used(); n != 2 {
			return fmt.Errorf("%d rules in the device, want the bystander's 2", n)
		}
		return nil
	})
	if f, err := s.d.Get(t.Context(), tr); err == nil && f.Uid == old.Uid && !f.Gone {
		t.Errorf("the flow still lives: %s", rig.Describe(f))
	}
	causes := map[shuntv1.Cause]uint64{}
	for _, c := range s.stats().Removals {
		causes[c.Cause] = c.Count
	}
	if causes[shuntv1.Cause_CAUSE_CONNTRACK_DESTROYED] != 1 {
		t.Errorf("removals by cause: %v", causes)
	}
	f := s.active(bystander)
	if f.Installs != 1 {
		t.Errorf("the bystander was moved: %s", rig.Describe(f))
	}
}

func TestADeletedEntryUnderTrafficMakesANewFlow(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.steady(6, 8*time.Second)
	old := s.active(tr)
	if _, err := s.Router.Run(t.Context(), "conntrack", "-D", "-f", "ipv6", "-p", "udp", "--orig-port-src", strconv.Itoa(int(tr.Port))); err != nil {
		t.Fatal(err)
	}
	s.await(tr, "a new flow is in the NIC", func(f *shuntv1.Flow) bool { return f.Uid != old.Uid && rig.Active(f) })
	if n := s.used(); n != 2 {
		t.Errorf("the device holds %d rules for one flow", n)
	}
	s.udpDone(tr, 20)
}

func TestTheDaemonIsKilledAndTheTransferGoesOn(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.tcp(4, long)
	s.active(tr)
	if err := s.d.Kill(); err != nil {
		t.Fatal(err)
	}
	// Its table went with it: the packets are the kernel's.
	before, err := s.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("the kernel forwards", func() error {
		now, err := s.Forwarded(t.Context())
		if err == nil && now.Packets()-before.Packets() < 1000 {
			err = errFew(now.Packets() - before.Packets())
		}
		return err
	})
	if err := s.d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.active(tr)
	if n := s.used(); n != 2 {
		t.Errorf("the device holds %d rules for one flow", n)
	}
	s.tcpDone(tr)
}

func TestPinnedRulesOutliveTheDaemonAndAreAdopted(t *testing.T) {
	s := set(t, lab.Options{})
	s.daemon(rig.DaemonOptions{Settings: "{pin: " + s.bpffs() + "/shunt}"})
	tr := s.tcp(4, long)
	s.active(tr)
	if err := s.d.Kill(); err != nil {
		t.Fatal(err)
	}
	// The NIC goes on: the kernel's counters stand still while bytes arrive.
	kernel, err := s.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wire, err := s.Wire()
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("packets pass without the daemon", func() error {
		now, err := s.Wire()
		if err == nil && now.Packets-wire.Packets < 5000 {
			err = errFew(now.Packets - wire.Packets)
		}
		return err
	})
	now, err := s.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := now.Packets() - kernel.Packets(); n > 50 {
		t.Errorf("the kernel forwarded %d packets meanwhile", n)
	}
	if err := s.d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.active(tr)
	if n := s.used(); n != 2 {
		t.Errorf("the device holds %d rules for one flow", n)
	}
	if st := s.stats(); st.Adopted+st.Ghosts == 0 {
		t.Errorf("the rules that were there were neither adopted nor cleared: %v", st)
	}
	s.tcpDone(tr)
}

func TestARestartClearsRulesWhoseFlowEndedMeanwhile(t *testing.T) {
	s := set(t, lab.Options{})
	s.daemon(rig.DaemonOptions{Settings: "{pin: " + s.bpffs() + "/shunt}"})
	tr := s.steady(4, 5*time.Second) // UDP is assured after two
	s.active(tr)
	if err := s.d.Kill(); err != nil {
		t.Fatal(err)
	}
	s.udpDone(tr, 5)
	if _, err := s.Router.Run(t.Context(), "conntrack", "-F"); err != nil {
		t.Fatal(err)
	}
	if err := s.d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.eventually("the ghosts are cleared", func() error {
		if st := s.stats(); st.Ghosts != 2 || st.RulesInHw != 0 {
			return fmt.Errorf("%d ghosts removed, %d rules in hardware", st.Ghosts, st.RulesInHw)
		}
		return nil
	})
}

func TestAStopGivesEveryFlowBackAndLeavesNothing(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.tcp(4, traffic.TCPRequest{Bytes: 60_000_000, Rate: 10_000_000, Direction: traffic.Both, Seed: 3})
	s.active(tr)
	if err := s.d.Stop(); err != nil {
		t.Fatalf("%v\n%s", err, s.d.Tail(20))
	}
	for _, port := range []string{lab.LANPort, lab.WANPort} {
		out, err := s.Router.Run(t.Context(), "ip", "-d", "link", "show", port)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "xdp") {
			t.Errorf("a program is left on %s: %s", port, out)
		}
	}
	if _, err := os.Stat(s.d.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	s.tcpDone(tr)
	f, err := s.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f.Invalid.Packets != 0 {
		t.Errorf("conntrack called %d packets invalid after they came back", f.Invalid.Packets)
	}
}

// bpffs mounts a file system for BPF objects of this test alone.
func (s *stage) bpffs() string {
	s.Helper()
	dir := s.TempDir()
	if out, err := exec.Command("mount", "-t", "bpf", "bpf", dir).CombinedOutput(); err != nil {
		s.Fatalf("mount bpffs: %v: %s", err, out)
	}
	s.Cleanup(func() {
		// Lazily: the daemon ends with the lab, which is closed after this.
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			s.Errorf("umount bpffs: %v: %s", err, out)
		}
	})
	return dir
}
