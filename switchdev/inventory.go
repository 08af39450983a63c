package switchdev

import (
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// Link is one interface as RTM_NEWLINK tells it.
type Link = wire.Link

// Inventory is one look at devices, ports and interfaces. It never changes, and
// may be read by any number of goroutines. What it hands out must not be
// written to.
type Inventory struct {
	Devices []Device // by handle; ports of devices in other namespaces are not here
	// Problems are contradictions and refused questions: the rest is true without
	// what they name.
	Problems []error

	links  map[hwif.Ifindex]Link
	byName map[string]hwif.Ifindex
	ports  map[hwif.Ifindex]portRef
	slaves map[hwif.Ifindex][]hwif.Ifindex // by IFLA_MASTER
	doubt  map[hwif.Ifindex]string         // interfaces about which the kernel contradicts itself
}

type portRef struct{ dev, port int }

// Device finds a device by its handle.
func (inv *Inventory) Device(h Handle) (*Device, bool) {
	for i := range inv.Devices {
		if inv.Devices[i].Handle == h {
			return &inv.Devices[i], true
		}
	}
	return nil, false
}

// ByIfindex finds the port that an interface stands for.
func (inv *Inventory) ByIfindex(i hwif.Ifindex) (*Port, bool) {
	r, ok := inv.ports[i]
	if !ok {
		return nil, false
	}
	return &inv.Devices[r.dev].Ports[r.port], true
}

// ByName finds a port by the name of its interface.
func (inv *Inventory) ByName(name string) (*Port, bool) {
	i, ok := inv.byName[name]
	if !ok {
		return nil, false
	}
	return inv.ByIfindex(i)
}

// DeviceOf finds the device whose port an interface stands for.
func (inv *Inventory) DeviceOf(i hwif.Ifindex) (*Device, bool) {
	r, ok := inv.ports[i]
	if !ok {
		return nil, false
	}
	return &inv.Devices[r.dev], true
}

// GroupOf is the group of the port that an interface stands for.
func (inv *Inventory) GroupOf(i hwif.Ifindex) (Group, bool) {
	d, ok := inv.DeviceOf(i)
	if !ok {
		return Group{}, false
	}
	p, _ := inv.ByIfindex(i)
	return Group{p.SwitchID, d.Handle}, true
}

// SameGroup reports whether two interfaces are ports of one eswitch.
func (inv *Inventory) SameGroup(a, b hwif.Ifindex) bool {
	ga, ok := inv.GroupOf(a)
	gb, okb := inv.GroupOf(b)
	return ok && okb && ga == gb
}

// Link finds an interface, port or not.
func (inv *Inventory) Link(i hwif.Ifindex) (Link, bool) {
	l, ok := inv.links[i]
	return l, ok
}

// LinkByName finds an interface by name, port or not.
func (inv *Inventory) LinkByName(name string) (Link, bool) {
	return inv.Link(inv.byName[name])
}

// Links are all interfaces by number.
func (inv *Inventory) Links() []Link {
	out := make([]Link, 0, len(inv.links))
	for _, l := range inv.links {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Link) int { return int(a.Index) - int(b.Index) })
	return out
}
