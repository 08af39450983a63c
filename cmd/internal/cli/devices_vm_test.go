//go:build vm

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/sim/simnic"
)

// plugged makes a card that goes with the test.
func plugged(t *testing.T, o simnic.Options) *simnic.Card {
	t.Helper()
	c, err := simnic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// shuntctl runs the command line.
func shuntctl(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs}
	code = a.run(ctx, args, func(string) string { return "" })
	return code, out.String(), errs.String()
}

// leftBehind is what a probe should not leave: rules in the card, qdiscs.
func leftBehind(t *testing.T, c *simnic.Card) {
	t.Helper()
	rules, err := c.Rules()
	if err != nil || len(rules) != 0 {
		t.Errorf("rules left in the card: %v, %v", rules, err)
	}
	for _, p := range c.Ports() {
		if out, _ := exec.Command("tc", "qdisc", "show", "dev", p, "clsact").Output(); strings.Contains(string(out), "clsact") {
			t.Errorf("%s keeps a qdisc: %s", p, out)
		}
	}
}

// asks gives the answers of a probe by feature, in and out.
func asks(t *testing.T, args ...string) map[string]probeJSON {
	t.Helper()
	code, out, errs := shuntctl(t.Context(), append([]string{"devices", "probe", "-o", "json"}, args...)...)
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	all := map[string]probeJSON{}
	for line := range strings.Lines(out) {
		var p probeJSON
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		all[p.Feature+" "+p.In+" "+p.Out] = p
	}
	return all
}

// TestProbeCards: what each make takes, in its own words, and that its driver
// claims no more and no less.
func TestProbeCards(t *testing.T) {
	for profile, no := range map[string]map[string]string{
		"flower": {},
		"mlx5":   {"vlan pop and push VF VF": "EOPNOTSUPP simnic: can't forward from a VF to itself"},
		"nfp":    {"trap UP ": "EOPNOTSUPP simnic: unsupported offload: unsupported action in action list"},
		"ice": {
			"trap UP ": "EINVAL simnic: Unsupported action in switchdev mode", "match tcp_flags UP VF": "EOPNOTSUPP simnic: Unsupported key used",
			"routed ipv4 VF UP": "EOPNOTSUPP simnic: Unsupported key used", "vlan push UP VF": "EOPNOTSUPP simnic: Unsupported key used",
		},
	} {
		t.Run(profile, func(t *testing.T) {
			c := plugged(t, simnic.Options{Profile: profile, Mode: "switchdev", SFs: 1})
			if profile == "ice" {
				for _, p := range c.Ports() {
					if out, err := exec.Command("ethtool", "-K", p, "hw-tc-offload", "on").CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
			}
			all := asks(t)
			leftBehind(t, c)
			for _, p := range all {
				if p.Card != "simnic/simnic0" || p.Driver != profile || p.OK != p.Claimed {
					t.Errorf("%+v", p)
				}
			}
			name := strings.NewReplacer("UP", c.Uplink(0), "VF", c.VF(0))
			for q, want := range no {
				if p := all[name.Replace(q)]; p.OK || p.Errno+" "+p.Text != want {
					t.Errorf("%s: %+v, want %s", q, p, want)
				}
			}
			for _, q := range []string{"drop UP ", "drop VF ", "redirect UP VF", "redirect VF UP", "match dst_mac " + c.VF(1) + " VF"} {
				if p := all[name.Replace(q)]; !p.OK {
					t.Errorf("%s: %+v", q, p)
				}
			}
			if p := all["redirect "+c.SF(0)+" "+c.VF(0)]; !p.OK || p.InKind != "sf" || p.OutKind != "vf" {
				t.Errorf("from an SF: %+v", p)
			}
			_, out, _ := shuntctl(t.Context(), "devices", "probe")
			for _, want := range []string{"card      simnic/simnic0, kernel driver simnic, mode switchdev, board simnic-" + profile, "driver    " + profile,
				"claims    the card takes and refuses what its driver says"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}

// TestProbePairs: two functions of one ConnectX, in both modes.
func TestProbePairs(t *testing.T) {
	a := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev", Serial: 0xabc})
	b := plugged(t, simnic.Options{ID: 1, Profile: "mlx5", Mode: "switchdev", Serial: 0xabc})
	up := "redirect " + a.Uplink(0) + " " + b.Uplink(0)
	all := asks(t, "--ports", a.Uplink(0)+","+b.Uplink(0)+","+a.VF(0)+","+b.VF(0))
	if p := all[up]; p.OK || p.Claimed || p.Text != "simnic: devices are not the same uplink, can't offload forwarding" {
		t.Errorf("uplink to uplink: %+v", p)
	}
	if p := all["redirect "+a.VF(0)+" "+b.VF(0)]; !p.OK {
		t.Errorf("between two functions' VFs: %+v", p)
	}
	leftBehind(t, a)
	for _, c := range []*simnic.Card{a, b} {
		if code, out, errs := shuntctl(t.Context(), "devices", "mode", "legacy", c.Uplink(0), "--yes"); code != 0 || !strings.Contains(out, "is in legacy mode; its ports: "+c.Uplink(0)) {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
	}
	all = asks(t, "--nic", "mlx5", "--ports", a.Uplink(0)+","+b.Uplink(0))
	if p := all[up]; !p.OK || !p.Claimed {
		t.Errorf("by hairpin: %+v", p)
	}
	if p := all["vlan push "+a.Uplink(0)+" "+b.Uplink(0)]; p.OK || p.Claimed {
		t.Errorf("a tag by hairpin: %+v", p)
	}
}

// TestProbeSaysNo: what cannot be asked is named, with what mends it.
func TestProbeSaysNo(t *testing.T) {
	refused := func(want string, args ...string) {
		t.Helper()
		code, out, errs := shuntctl(t.Context(), append([]string{"devices", "probe"}, args...)...)
		if code == 0 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d, %q, %q; want %q", args, code, out, errs, want)
		}
	}
	refused("no card to ask: devlink knows none")
	c := plugged(t, simnic.Options{Profile: "ice", Mode: "switchdev"})
	refused("hw-tc-offload is off; run: ethtool -K "+c.Uplink(0)+" hw-tc-offload on", "--ports", c.Uplink(0))
	refused("run: ethtool -K " + c.VF(0) + " hw-tc-offload on")
	refused("whose driver is ice, and not mlx5", "--nic", "mlx5", "--ports", c.Uplink(0))
	refused("simnic/simnic0 is a card for driver ice", "--nic", "mlx5")
	b := plugged(t, simnic.Options{ID: 1, Profile: "bnxt"})
	refused("ignores TCP flags", "--ports", b.Uplink(0))
}

// TestProbeInterrupted: a probe that is broken off takes out what it has put in.
func TestProbeInterrupted(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev", VFs: 2})
	if err := c.Slow(20 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if code, out, errs := shuntctl(ctx, "devices", "probe"); code == 0 || out != "" || !strings.Contains(errs, "simnic/simnic0: ") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	leftBehind(t, c)
}

// TestMode changes a card's mode when it is told to, and only then.
func TestMode(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "legacy"})
	mode := func(args ...string) (int, string) {
		code, out, errs := shuntctl(t.Context(), append([]string{"devices", "mode"}, args...)...)
		return code, out + errs
	}
	if code, said := mode("switchdev", "simnic/simnic0"); code != exitUsage || !strings.Contains(said, "is in legacy mode; to change it") || simnic.Index(c.VF(0)) != 0 {
		t.Errorf("without a yes: %d %s", code, said)
	}
	if code, said := mode("switchdev", c.Uplink(0), "--yes"); code != 0 || !strings.Contains(said, "is in switchdev mode; its ports: "+strings.Join(c.Ports(), ", ")) {
		t.Errorf("%d %s", code, said)
	}
	if code, said := mode("switchdev", "simnic/simnic0"); code != 0 || !strings.Contains(said, "in switchdev mode already") {
		t.Errorf("once more: %d %s", code, said)
	}
	if code, said := mode("legacy", "simnic/simnic9", "--yes"); code != exitFailed || !strings.Contains(said, "there are: simnic/simnic0") {
		t.Errorf("another card: %d %s", code, said)
	}
	// Rules are in the way, and the kernel says so.
	for _, line := range []string{"tc qdisc add dev " + c.VF(0) + " clsact", "tc filter add dev " + c.VF(0) + " ingress pref 3 protocol ip flower skip_sw dst_ip 192.0.2.1 action drop"} {
		f := strings.Fields(line)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	if code, said := mode("legacy", "simnic/simnic0", "--yes"); code != exitFailed || !strings.Contains(said, "E-Switch is busy") || !strings.Contains(said, "remove the rules first") {
		t.Errorf("with rules: %d %s", code, said)
	}
	// nfp's mode is fixed.
	plugged(t, simnic.Options{ID: 1, Profile: "nfp"})
	if code, said := mode("legacy", "simnic/simnic1", "--yes"); code != exitFailed || !strings.Contains(said, "not supported") {
		t.Errorf("nfp: %d %s", code, said)
	}
	if _, err := os.Stat("/sys/class/net/" + c.VF(0)); err != nil {
		t.Errorf("a refusal changed something: %v", err)
	}
}
