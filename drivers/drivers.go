package drivers

import (
	"fmt"
	"strings"

	simdrv "github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/drivers/xdp"
	"github.com/shunt-offload/shunt/hwif"
)

// All gives every driver, in the order in which they are named to people.
func All() []hwif.Driver {
	return []hwif.Driver{
		xdp.Driver{}, // ordinary interfaces, rules in eBPF
		simdrv.New(), // a card in memory
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
