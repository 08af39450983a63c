package switchdev

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// build joins what was read. It is a function of s alone.
func (s *sight) build() *Inventory {
	inv := newInventory()
	inv.Problems, inv.links = slices.Clone(s.problems), maps.Clone(s.links)
	for _, i := range slices.Sorted(maps.Keys(s.silent)) {
		inv.Problems = append(inv.Problems, s.silent[i])
	}
	for i, l := range s.links {
		inv.byName[l.Name] = i
		if l.Master != 0 {
			inv.slaves[l.Master] = append(inv.slaves[l.Master], i)
		}
	}
	for _, list := range inv.slaves {
		slices.Sort(list)
	}
	joined := s.join(inv)
	for _, h := range slices.SortedFunc(maps.Keys(s.devs), Handle.Compare) {
		d := s.device(h)
		for k, p := range s.ports {
			if k.dev == h {
				d.Ports = append(d.Ports, s.port(p, joined[k]))
			}
		}
		slices.SortFunc(d.Ports, func(a, b Port) int { return cmp.Compare(a.Index, b.Index) })
		inv.identify(&d)
		for i, p := range d.Ports {
			if p.Ifindex != 0 {
				inv.ports[p.Ifindex] = portRef{len(inv.Devices), i}
			}
		}
		inv.Devices = append(inv.Devices, d)
	}
	return inv
}

func newInventory() *Inventory {
	return &Inventory{byName: map[string]hwif.Ifindex{}, ports: map[hwif.Ifindex]portRef{},
		slaves: map[hwif.Ifindex][]hwif.Ifindex{}, doubt: map[hwif.Ifindex]string{}}
}

// device is what devlink says of one.
func (s *sight) device(h Handle) Device {
	d := s.devs[h]
	out := Device{
		Handle: h, Driver: cmp.Or(d.info.Driver, s.drivers[h]), Board: d.info.Fixed["board.id"], Serial: d.info.Serial,
		Firmware: cmp.Or(d.info.Running["fw"], d.info.Running["fw.version"]),
		Mode:     ModeUnknown, Reloads: d.state.Reloads, Health: d.health,
	}
	if e := d.eswitch; d.noEswitch {
		out.Mode = ModeNone
	} else if e.HasMode {
		out.Mode = modeOf(e.Mode)
		if e.HasInline && e.Inline <= 3 {
			out.InlineMode = InlineNone + InlineMode(e.Inline)
		}
		if e.HasEncap && e.Encap <= 1 {
			out.EncapMode = EncapNone + EncapMode(e.Encap)
		}
	}
	return out
}

// modeOf is the mode of DEVLINK_ATTR_ESWITCH_MODE.
func modeOf(m uint16) Mode {
	if m > 2 {
		return ModeOther
	}
	return ModeLegacy + Mode(m)
}

// port is a devlink port with its interface, when l is one.
func (s *sight) port(p wire.Port, l Link) Port {
	out := Port{
		Device: p.Handle, Index: p.Index, Flavour: FlavourUnused, Kind: hwif.PortOther, External: p.External, Controller: p.Controller,
		PF: p.PF, VF: p.VF, SF: p.SF, Number: p.Number, FuncMAC: p.FuncMAC,
	}
	if p.HasFlavour {
		out.Flavour = Flavour(p.Flavour)
		out.Kind = out.Flavour.kind()
	}
	if p.HasState {
		switch {
		case p.State == 0:
			out.FuncState = FuncInactive
		case p.OpState == 0:
			out.FuncState = FuncActive
		default:
			out.FuncState = FuncAttached
		}
	}
	if l.Index == 0 {
		return out
	}
	out.Ifindex, out.Name, out.PhysPortName, out.SwitchID = l.Index, l.Name, l.PhysPortName, l.SwitchID
	out.MAC, out.MTU, out.Up, out.AdminUp, out.Master = l.MAC, l.MTU, l.Up(), l.AdminUp(), l.Master
	out.TCOffload = s.offload[l.Index]
	return out
}

// identify gives a device the switch id of its ports, the uplinks' first.
func (inv *Inventory) identify(d *Device) {
	for _, uplinks := range []bool{true, false} {
		for _, p := range d.Ports {
			if p.SwitchID == "" || (p.Kind == hwif.PortUplink) != uplinks {
				continue
			}
			if d.SwitchID == "" {
				d.SwitchID = p.SwitchID
			} else if d.SwitchID != p.SwitchID {
				inv.Problems = append(inv.Problems, fmt.Errorf("%s: its ports have different switch ids: %s of %s, and %s", d.Handle, p.SwitchID, p.Name, d.SwitchID))
			}
		}
	}
}
