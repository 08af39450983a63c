package switchdev

import (
	"cmp"
	"maps"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
)

// diff is what happened between two looks. What takes something away comes
// before what adds, and a device before its ports when it appears, after them
// when it vanishes.
func diff(was, is *Inventory) (out []Event) {
	for i := range is.Devices {
		d := &is.Devices[i]
		if old, ok := was.Device(d.Handle); ok && old.Mode != d.Mode {
			out = append(out, ModeChanged{d.Handle, old.Mode, d.Mode})
		}
	}
	for _, p := range was.joined() {
		if q, ok := is.ByIfindex(p.Ifindex); !ok || !samePlace(p, q) {
			out = append(out, PortVanished{*p})
		}
	}
	for i := range was.Devices {
		if _, ok := is.Device(was.Devices[i].Handle); !ok {
			out = append(out, DeviceVanished{was.Devices[i].Handle})
		}
	}
	for i := range is.Devices {
		if _, ok := was.Device(is.Devices[i].Handle); !ok {
			out = append(out, DeviceAppeared{is.Devices[i].Handle})
		}
	}
	var changed []Event
	for _, q := range is.joined() {
		p, ok := was.ByIfindex(q.Ifindex)
		if !ok || !samePlace(p, q) {
			out = append(out, PortAppeared{*q})
		} else if c := compare(p, q); c != 0 {
			changed = append(changed, PortChanged{*p, *q, c})
		}
	}
	out = append(out, changed...)
	for i := range is.Devices {
		if old, ok := was.Device(is.Devices[i].Handle); ok {
			out = append(out, health(old, &is.Devices[i])...)
		}
	}
	return append(out, stacks(was, is)...)
}

// joined are the ports that have an interface, by its number.
func (inv *Inventory) joined() []*Port {
	out := make([]*Port, 0, len(inv.ports))
	for _, r := range inv.ports {
		out = append(out, &inv.Devices[r.dev].Ports[r.port])
	}
	slices.SortFunc(out, func(a, b *Port) int { return cmp.Compare(a.Ifindex, b.Ifindex) })
	return out
}

// samePlace reports whether two ports are one in devlink's eyes.
func samePlace(p, q *Port) bool { return p.Device == q.Device && p.Index == q.Index }

// compare says what differs between two looks at one port.
func compare(p, q *Port) (c Change) {
	for _, x := range []struct {
		bit  Change
		same bool
	}{
		{ChangedName, p.Name == q.Name},
		{ChangedCarrier, p.Up == q.Up},
		{ChangedAdmin, p.AdminUp == q.AdminUp},
		{ChangedMTU, p.MTU == q.MTU},
		{ChangedMAC, p.MAC == q.MAC},
		{ChangedMaster, p.Master == q.Master},
		{ChangedTCOffload, p.TCOffload == q.TCOffload},
		{ChangedSwitchID, p.SwitchID == q.SwitchID && p.PhysPortName == q.PhysPortName},
		{ChangedFunction, p.FuncMAC == q.FuncMAC && p.FuncState == q.FuncState},
		{ChangedNumbers, p.Flavour == q.Flavour && p.External == q.External && p.Controller == q.Controller && p.PF == q.PF &&
			p.VF == q.VF && p.SF == q.SF && p.Number == q.Number},
	} {
		if !x.same {
			c |= x.bit
		}
	}
	return c
}

// health compares the reporters and the count of reloads.
func health(was, is *Device) (out []Event) {
	known := map[string]Reporter{}
	for _, r := range was.Health {
		known[r.Key()] = r
	}
	var reset []Event
	for _, r := range is.Health {
		old, ok := known[r.Key()]
		if old == r {
			continue
		}
		out = append(out, HealthChanged{is.Handle, old, r})
		if ok && r.Recoveries > old.Recoveries && resets(r) {
			reset = append(reset, DeviceReset{is.Handle, "health reporter " + r.Name + " recovered"})
		}
	}
	if is.Reloads > was.Reloads {
		reset = append(reset, DeviceReset{is.Handle, "devlink reload"})
	}
	return append(out, reset...)
}

// resets reports whether a recovery may have emptied the hardware's tables.
// Recovery of a queue does not; of the rest nobody promises that it does not.
func resets(r Reporter) bool {
	return !r.OfPort && !slices.Contains([]string{"tx", "rx", "vnic"}, r.Name)
}

// shape is what Resolve looks at, apart from ports.
type shape struct {
	kind          string
	lower, master hwif.Ifindex
	foreign       bool
	tag           Tag
	mode          uint8
	active        hwif.Ifindex
	backup        bool
}

func shapeOf(l *Link) shape {
	return shape{l.Kind, l.Lower, l.Master, l.LowerForeign, Tag{l.VLANProto, l.VLAN, l.EgressQoS}, l.BondMode, l.BondActive, l.SlaveBackup}
}

// carries reports whether an interface may lie above a port, or beside one below
// the same master.
func carries(l *Link) bool {
	return l.Master != 0 || slices.Contains([]string{"vlan", "macvlan", "macvtap", "bond", "team", "bridge"}, l.Kind)
}

// stacks compares the interfaces that are no ports, and what bonds think of
// ports. A port's own coming, going and change of master are told as such.
func stacks(was, is *Inventory) (out []Event) {
	all := maps.Clone(was.links)
	maps.Copy(all, is.links)
	for _, i := range slices.Sorted(maps.Keys(all)) {
		l, before := was.links[i]
		m, after := is.links[i]
		_, portBefore := was.ports[i]
		_, portAfter := is.ports[i]
		if portBefore || portAfter {
			if before && after && l.Master == m.Master && l.SlaveBackup != m.SlaveBackup {
				out = append(out, StackChanged{i})
			}
			continue
		}
		if (before && carries(&l) || after && carries(&m)) && (before != after || shapeOf(&l) != shapeOf(&m)) {
			out = append(out, StackChanged{i})
		}
	}
	return out
}
