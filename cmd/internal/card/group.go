package card

import (
	"slices"

	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

// Group is what one daemon could serve: ports that one driver may be able to join.
type Group struct {
	Driver  *flower.Driver
	Devices []*switchdev.Device
	Ports   []Port   // that take rules
	Unfit   []string // why others do not, each with what mends it
}

// perKind is how many ports of a kind stand for all of them: with two, a pair of
// the same kind can be asked for.
const perKind = 2

// Groups finds what can be served on this host. Of each kind of port (uplink, VF,
// …) of each device it takes the first two.
func Groups(inv *switchdev.Inventory) (out []Group) {
	for i := range inv.Devices {
		d := &inv.Devices[i]
		f := Of(d)
		if f == nil || f.Profile.Refuse != "" || d.Mode == switchdev.ModeNone {
			continue
		}
		at := slices.IndexFunc(out, func(g Group) bool { return g.joins(f, d) })
		if at < 0 {
			out = append(out, Group{Driver: f})
			at = len(out) - 1
		}
		out[at].add(inv, d)
	}
	return out
}

// joins reports whether a device may be served together with the group's.
func (g *Group) joins(f *flower.Driver, d *switchdev.Device) bool {
	first := g.Devices[0]
	return g.Driver.Name() == f.Name() && !f.Profile.OneDevice && d.SwitchID != "" && d.SwitchID == first.SwitchID && d.Mode == first.Mode
}

func (g *Group) add(inv *switchdev.Inventory, d *switchdev.Device) {
	g.Devices = append(g.Devices, d)
	taken := map[hwif.PortKind]int{}
	for i := range d.Ports {
		p := &d.Ports[i]
		if p.Ifindex == 0 || taken[p.Kind] == perKind {
			continue
		}
		look := Look(inv, p.Name)
		if text := Unfit(g.Driver, &look); text != "" {
			g.Unfit = append(g.Unfit, text)
			continue
		}
		taken[p.Kind]++
		g.Ports = append(g.Ports, look)
	}
}

// Named are the ports by their names.
func (g *Group) Named() []string {
	out := make([]string, len(g.Ports))
	for i := range g.Ports {
		out[i] = g.Ports[i].Name
	}
	return out
}
