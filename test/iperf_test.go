//go:build netns

package e2e

import (
	"encoding/json"
	"errors"
	"os/exec"
	"testing"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// Connections of a program that is not ours: several at a time, both ways.
func TestIperf3GoesThroughTheNIC(t *testing.T) {
	if _, err := exec.LookPath("iperf3"); err != nil {
		t.Skip("iperf3 is not installed (apt-get install iperf3):", err)
	}
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	if _, err := s.Server.Start(exec.Command("iperf3", "-s", "-B", lab.Server4.String())); err != nil {
		t.Fatal(err)
	}
	type result struct {
		Error string // told with exit status 0 by some versions when nobody listens yet
		End   struct {
			SumSent     struct{ Bytes float64 } `json:"sum_sent"`
			SumReceived struct{ Bytes float64 } `json:"sum_received"`
		}
	}
	var res result
	s.eventually("iperf3 connects", func() error {
		res = result{}
		out, err := s.Client.Run(t.Context(), "iperf3", "-J", "-c", lab.Server4.String(), "-P", "4", "-t", "4", "--bidir", "-b", "50M")
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(out), &res); err != nil {
			return err
		}
		if res.Error != "" {
			return errors.New(res.Error)
		}
		return nil
	})
	st := s.stats()
	nic, kernel := st.Nic.GetPackets(), st.Kernel.GetPackets()
	t.Logf("%.0f MB sent, %d packets by the NIC, %d by the kernel", res.End.SumSent.Bytes/1e6, nic, kernel)
	if nic < 50_000 || nic < 20*kernel {
		t.Errorf("%d packets by the NIC, %d by the kernel", nic, kernel)
	}
	if res.End.SumReceived.Bytes < 0.9*res.End.SumSent.Bytes {
		t.Errorf("of %.0f bytes %.0f arrived", res.End.SumSent.Bytes, res.End.SumReceived.Bytes)
	}
}
