//go:build vm

package mlx5_test

import (
	"testing"

	"github.com/shunt-offload/shunt/drivers/flower/flowertest"
	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// hairpin are the two ports of one card in legacy mode: two functions with one
// serial.
func hairpin(t *testing.T, counters int) (map[string]*simnic.Card, []string) {
	t.Helper()
	cards, names := map[string]*simnic.Card{}, []string{}
	for id := range uint(2) {
		c := flowertest.Card(t, simnic.Options{ID: id, Profile: "mlx5", Mode: "legacy", Serial: 0xc0ffee, NoVFs: true, CounterM: counters})
		cards[c.Uplink(0)] = c
		names = append(names, c.Uplink(0))
	}
	return cards, names
}

// In legacy mode the two ports of a card are joined by hairpin, without VLANs.
func TestConformanceLegacy(t *testing.T) {
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness {
		cards, names := hairpin(t, -1)
		return flowertest.On(t, mlx5.New(), cards, names, nil, 0)
	})
}

// In switchdev mode two uplinks are never joined: no rule is even tried.
func TestTwoUplinks(t *testing.T) {
	var names []string
	for id := range uint(2) {
		c := flowertest.Card(t, simnic.Options{ID: id, Profile: "mlx5", Mode: "switchdev", Serial: 0xc0ffee})
		if err := c.Quieten(c.Uplink(0)); err != nil {
			t.Fatal(err)
		}
		names = append(names, c.Uplink(0))
	}
	dev, err := mlx5.New().Open(t.Context(), hwif.OpenOptions{Ports: names})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := dev.Close(true); err != nil {
			t.Error(err)
		}
	}()
	ports, err := dev.Ports(t.Context())
	if err != nil || len(ports) != 2 {
		t.Fatalf("%+v %v", ports, err)
	}
	if ports[0].Reaches(ports[1].Ifindex) || ports[1].Reaches(ports[0].Ifindex) {
		t.Errorf("uplinks are joined: %+v", ports)
	}
	if !ports[0].Reaches(ports[0].Ifindex) {
		t.Errorf("one uplink with two VLANs is not joined: %+v", ports[0])
	}
}

// Every cell of the probe's matrix is what the driver claims, and nothing is left.
func TestProbe(t *testing.T) {
	c := flowertest.Card(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	found, err := mlx5.New().Probe(t.Context(), hwif.OpenOptions{Ports: []string{c.Uplink(0), c.VF(0), c.VF(1)}})
	if err != nil || len(found) < 60 {
		t.Fatalf("%d findings, %v", len(found), err)
	}
	for _, f := range found {
		if f.Claimed != (f.Err == nil) {
			t.Errorf("%s from %s to %s: claimed %v, the card says %v", f.Feature, f.In, f.Out, f.Claimed, f.Err)
		}
	}
	if st, err := c.Stats(); err != nil || st.Used != 0 {
		t.Errorf("%d rules left, %v", st.Used, err)
	}
}
