//go:build netns || vm

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// stage is one test's lab, with the server in it and (unless a test starts it
// itself) shuntd on the router.
type stage struct {
	*testing.T
	*lab.Lab
	d   *rig.Daemon
	dir string
	// closes are the states in which conntrack has to see a TCP connection end.
	closes []string
}

// set makes a stage without a daemon.
func set(t *testing.T, opts lab.Options) *stage {
	t.Helper()
	l, err := lab.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, Lab: l, dir: t.TempDir(), closes: []string{"FIN_WAIT", "TIME_WAIT"}}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		s.keepLogs()
	})
	if _, err := rig.Serve(l, programs.Demo); err != nil {
		t.Fatal(err)
	}
	return s
}

// play makes a stage with a daemon.
func play(t *testing.T, lo lab.Options, do rig.DaemonOptions) *stage {
	t.Helper()
	s := set(t, lo)
	s.daemon(do)
	return s
}

func (s *stage) daemon(do rig.DaemonOptions) {
	s.Helper()
	do.Dir = s.dir
	var err error
	if s.d, err = rig.Start(s.Context(), s.Lab, programs, do); err != nil {
		s.Fatal(err)
	}
}

// keepLogs saves the daemon's log of a test that failed.
func (s *stage) keepLogs() {
	if !s.Failed() || s.d == nil {
		return
	}
	base := os.Getenv("SHUNT_LOGS")
	if base == "" {
		base = filepath.Join(os.TempDir(), "shunt-e2e-logs")
	}
	to := filepath.Join(base, strings.ReplaceAll(s.Name(), "/", "_")+".log")
	b, err := os.ReadFile(s.d.Log)
	if err == nil {
		err = os.MkdirAll(base, 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	s.Logf("shuntd's log is in %s (%v); its end:\n%s", to, err, s.d.Tail(60))
}

// tcp and udp start a transfer.
func (s *stage) tcp(version int, req traffic.TCPRequest) *rig.Transfer {
	s.Helper()
	t, err := rig.TCP(s.Context(), s.Lab, programs.Demo, version, req)
	if err != nil {
		s.Fatal(err)
	}
	return t
}

func (s *stage) udp(version int, req traffic.UDPRequest) *rig.Transfer {
	s.Helper()
	t, err := rig.UDP(s.Context(), s.Lab, programs.Demo, version, req)
	if err != nil {
		s.Fatal(err)
	}
	return t
}

// steady is a UDP pair of streams that goes on for about the given time.
func (s *stage) steady(version int, d time.Duration) *rig.Transfer {
	s.Helper()
	const rate = 500
	return s.udp(version, traffic.UDPRequest{Datagrams: int(d.Seconds() * rate), Size: 200, Rate: rate, Direction: traffic.Both, Seed: 4})
}

// await waits for a condition of the transfer's flow.
func (s *stage) await(t *rig.Transfer, what string, ok func(*shuntv1.Flow) bool) *shuntv1.Flow {
	s.Helper()
	f, err := s.d.Await(s.Context(), t, what, ok)
	if err != nil {
		s.Fatal(err)
	}
	return f
}

// active waits until the NIC forwards the transfer.
func (s *stage) active(t *rig.Transfer) *shuntv1.Flow {
	s.Helper()
	return s.await(t, "the NIC forwards it", rig.Active)
}

// tcpDone waits for the end of a transfer and holds it to its payload.
func (s *stage) tcpDone(t *rig.Transfer) traffic.TCPResult {
	s.Helper()
	res, err := t.TCPResult()
	if err != nil {
		s.Fatal(err)
	}
	if !res.Verified || !res.Closed {
		s.Fatalf("%s: %+v", t, res)
	}
	return res
}

// udpDone waits for the end of a pair of streams. At most lose datagrams may be
// missing in each direction.
func (s *stage) udpDone(t *rig.Transfer, lose uint64) traffic.UDPResult {
	s.Helper()
	res, err := t.UDPResult()
	if err != nil {
		s.Fatal(err)
	}
	if res.LostUp > lose || res.LostDown > lose {
		s.Fatalf("%s: lost %d up and %d down, at most %d may be: %+v", t, res.LostUp, res.LostDown, lose, res)
	}
	return res
}

// ctl runs shuntctl and wants it to succeed.
func (s *stage) ctl(args ...string) string {
	s.Helper()
	out, err := s.d.Ctl(s.Context(), args...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// used is the number of rules that the device holds.
func (s *stage) used() uint32 {
	s.Helper()
	res, err := s.d.Agent.ListDevices(s.Context(), &shuntv1.ListDevicesRequest{})
	if err != nil {
		s.Fatal(err)
	}
	n := uint32(0)
	for _, dev := range res.Devices {
		n += dev.Used
	}
	return n
}

// stats are the daemon's counters.
func (s *stage) stats() *shuntv1.Stats {
	s.Helper()
	res, err := s.d.Agent.GetStats(s.Context(), &shuntv1.GetStatsRequest{})
	if err != nil {
		s.Fatal(err)
	}
	return res.Stats
}

// eventually tries for a minute: a bound for what is broken, not a claim.
func (s *stage) eventually(what string, f func() error) {
	s.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	s.Fatalf("%s: %v", what, err)
}
