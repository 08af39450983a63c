//go:build vm

package drivers_test

import (
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/drivers"
	"github.com/shunt-offload/shunt/drivers/flower/flowertest"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim/simnic"
	"github.com/shunt-offload/shunt/switchdev"
)

// The card is recognised by its kernel driver, and refused with the reason.
func TestBnxtIsRefused(t *testing.T) {
	c := flowertest.Card(t, simnic.Options{Profile: "bnxt"})
	inv, err := switchdev.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dev, ok := inv.DeviceOf(hwif.Ifindex(simnic.Index(c.Uplink(0))))
	if !ok {
		t.Fatalf("no device: %+v", inv.Devices)
	}
	d, ok := drivers.For(dev)
	if !ok || d.Name() != "bnxt" {
		t.Fatalf("driver %v of %+v", d, dev)
	}
	_, err = d.Open(t.Context(), hwif.OpenOptions{Ports: []string{c.Uplink(0), c.VF(0)}})
	if hwif.KindOf(err) != hwif.KindUnsupported || !strings.Contains(err.Error(), "TTL") {
		t.Errorf("%v", err)
	}
}
