package drivers

import (
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/drivers/bnxt"
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/drivers/ice"
	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/drivers/nfp"
	simdrv "github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/drivers/xdp"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

// All gives every driver, in the order in which they are named to people.
func All() []hwif.Driver {
	return []hwif.Driver{
		mlx5.New(),                 // NVIDIA ConnectX and BlueField
		ice.New(),                  // Intel E800: drop and plain redirect
		nfp.New(),                  // Netronome Agilio
		bnxt.New(),                 // Broadcom: recognised and refused
		flower.New(flower.Generic), // other switchdev cards, as far as probes prove
		xdp.Driver{},               // ordinary interfaces, rules in eBPF
		simdrv.New(),               // a card in memory
	}
}

// ByName finds a driver. Its error names those that there are.
func ByName(name string) (hwif.Driver, error) {
	var names []string
	for _, d := range All() {
		if d.Name() == name {
			return d, nil
		}
		names = append(names, d.Name())
	}
	return nil, fmt.Errorf("there is no driver %q; there are: %s", name, strings.Join(names, ", "))
}

// For finds the driver of a card that devlink knows, by its kernel driver; false
// when there is none of its own, and the generic one may be tried.
func For(dev *switchdev.Device) (hwif.Driver, bool) {
	for _, d := range All() {
		if f, ok := d.(*flower.Driver); ok && f.Accepts(dev) {
			return d, true
		}
	}
	return nil, false
}
