package switchdev

import (
	"slices"

	"github.com/shunt-offload/shunt/hwif"
)

// Assemble makes an Inventory of what is given, for those who test what they do
// with one. Ports with an Ifindex get a Link if links has none for them.
func Assemble(devices []Device, links []Link) *Inventory {
	inv := newInventory()
	inv.Devices = slices.Clone(devices)
	inv.links = map[hwif.Ifindex]Link{}
	for _, l := range links {
		inv.links[l.Index] = l
	}
	for d := range inv.Devices {
		for p, port := range inv.Devices[d].Ports {
			if port.Ifindex == 0 {
				continue
			}
			inv.ports[port.Ifindex] = portRef{d, p}
			if _, ok := inv.links[port.Ifindex]; !ok {
				inv.links[port.Ifindex] = Link{Index: port.Ifindex, Name: port.Name}
			}
		}
	}
	for i, l := range inv.links {
		inv.byName[l.Name] = i
		if l.Master != 0 {
			inv.slaves[l.Master] = append(inv.slaves[l.Master], i)
		}
	}
	return inv
}
