//go:build vm

package drivers_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/drivers/flower/flowertest"
	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim/simnic"
)

func tcRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "tc", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("tc %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// actionIndex numbers a namespace's actions as they come.
var actionIndex = regexp.MustCompile(`index \d+ ref`)

// What tc prints of the guards.
func guards(t *testing.T, port string) string {
	t.Helper()
	return actionIndex.ReplaceAllString(tcRun(t, "filter", "show", "dev", port, "ingress", "pref", "10"), "index N ref")
}

// Guards are the same after the next start, in each shape of them; and one that is
// taken away comes again, with the next look at the counters.
func TestGuards(t *testing.T) {
	for _, x := range []struct {
		name    string
		driver  *flower.Driver
		options simnic.Options
	}{
		{"flower", flower.New(flower.Generic), simnic.Options{Profile: "flower", Mode: "switchdev"}},
		{"mlx5", mlx5.New(), simnic.Options{Profile: "mlx5", Mode: "switchdev"}},
		{"mlx5 legacy", mlx5.New(), simnic.Options{Profile: "mlx5", Mode: "legacy", NoVFs: true}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := flowertest.Card(t, x.options)
			port := c.Uplink(0)
			open := func() hwif.Device {
				d, err := x.driver.Open(t.Context(), hwif.OpenOptions{Ports: []string{port}})
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			d := open()
			first := guards(t, port)
			if strings.Count(first, "in_hw in_hw_count") != 4 {
				t.Fatalf("not four guards in hardware:\n%s", first)
			}
			if err := d.Close(false); err != nil {
				t.Fatal(err)
			}
			before, err := c.Stats()
			if err != nil {
				t.Fatal(err)
			}
			d = open()
			defer func() {
				if err := d.Close(true); err != nil {
					t.Error(err)
				}
			}()
			if again := guards(t, port); again != first {
				t.Errorf("other guards:\n%s\nand were\n%s", again, first)
			}
			if after, err := c.Stats(); err != nil || after.Used != before.Used {
				t.Errorf("the table holds %d rules, and held %d: %v", after.Used, before.Used, err)
			}
			tcRun(t, "filter", "del", "dev", port, "ingress", "pref", "10")
			if left := guards(t, port); strings.Contains(left, "in_hw") {
				t.Fatalf("tc left\n%s", left)
			}
			if _, err := d.Counters(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if mended := guards(t, port); mended != first {
				t.Errorf("after the loss:\n%s\nwant\n%s", mended, first)
			}
		})
	}
}
