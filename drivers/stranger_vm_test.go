//go:build vm

package drivers_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// What others hang at our ports outlives us: at egress, of other kinds, and at the
// pref of probes.
func TestStrangersStay(t *testing.T) {
	f := newFaulty(t)
	up := f.h.Ports[1].Name
	kept := [][]string{
		{"ingress", "pref", "2", "protocol", "all", "matchall", "action", "continue"},
		{"egress", "pref", "1", "protocol", "ip", "flower", "dst_ip", "192.0.2.1", "action", "drop"},
		{"ingress", "pref", "14", "protocol", "all", "flower", "src_mac", "02:00:00:00:00:99", "action", "drop"},
	}
	for _, k := range kept {
		tcRun(t, append([]string{"filter", "add", "dev", up}, k...)...)
	}
	f.install(2)
	if _, err := mlx5.New().Probe(t.Context(), hwif.OpenOptions{Ports: []string{f.h.Ports[0].Name, up}}); err != nil {
		t.Error(err)
	}
	if f.used() != 2*guardRules+2+1 { // the stranger's drop is in the card as well
		t.Errorf("%d rules in the card after the probe", f.used())
	}
	if err := f.dev.Close(true); err != nil {
		t.Error(err)
	}
	for _, k := range kept {
		if out := tcRun(t, "filter", "show", "dev", up, k[0], k[1], k[2]); !strings.Contains(out, k[5]) {
			t.Errorf("gone: %s", strings.Join(k, " "))
		}
	}
	if f.used() != 1 {
		t.Errorf("%d rules are left in the card, want the stranger's", f.used())
	}
	tcRun(t, "qdisc", "del", "dev", up, "clsact")
	f.dev = f.h.Open(hwiftest.Options{}) // for the end of the test
}

// A port that is renamed while rules are on it: they can be removed, and nothing is
// left at the end.
func TestRenamed(t *testing.T) {
	f := newFaulty(t)
	f.install(2)
	name := f.h.Ports[0].Name
	rename := func(from, to string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", "ip link set "+from+" name "+to+
			" || { ip link set "+from+" down; ip link set "+from+" name "+to+"; ip link set "+to+" up; }").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	rename(name, "renamed")
	defer rename("renamed", name)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ports, err := f.dev.Ports(t.Context())
		f.must(err)
		if len(ports) == 2 && ports[0].Name == "renamed" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", ports)
		}
	}
	for i, r := range f.apply(t.Context(), f.ops(hwif.OpRemove, 2)) {
		if r.Err != nil {
			t.Errorf("rule %d: %v", i, r.Err)
		}
	}
	if f.used() != 2*guardRules {
		t.Errorf("%d rules in the card", f.used())
	}
}

// What an earlier start left at other prefs is taken out, and a card that was reset
// between two starts has its guards again.
func TestAnotherStart(t *testing.T) {
	f := newFaulty(t)
	f.install(2)
	f.must(f.dev.Close(false))
	f.must(f.Forget(1 << 20)) // as a reset does that nobody has heard of
	names := []string{f.h.Ports[0].Name, f.h.Ports[1].Name}
	var err error
	if f.dev, err = mlx5.New().Open(t.Context(), hwif.OpenOptions{Ports: names}); err != nil {
		t.Fatal(err)
	}
	if f.used() != 2*guardRules {
		t.Errorf("%d rules in the card, want the guards", f.used())
	}
	f.must(f.dev.Close(false))
	if f.dev, err = mlx5.New().Open(t.Context(), hwif.OpenOptions{Ports: names, Settings: map[string]string{"prio": "1"}}); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if out := tcRun(t, "filter", "show", "dev", n, "ingress"); strings.Contains(out, "pref 10 ") || strings.Contains(out, "pref 11 ") {
			t.Errorf("left at the old prefs:\n%s", out)
		}
	}
	if f.used() != 2*guardRules {
		t.Errorf("%d rules in the card with other prefs", f.used())
	}
}
