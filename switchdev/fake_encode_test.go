package switchdev

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// attr finds an attribute, nil when it is not there.
func attr(b []byte, typ uint16) []byte {
	for len(b) >= 4 {
		n := int(binary.NativeEndian.Uint16(b))
		if binary.NativeEndian.Uint16(b[2:])&0x3fff == typ {
			return append([]byte{}, b[4:n]...)
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

func handleIn(b []byte) Handle {
	str := func(typ uint16) string {
		v := attr(b, typ)
		if len(v) == 0 {
			return ""
		}
		return string(v[:len(v)-1])
	}
	return Handle{Bus: str(unix.DEVLINK_ATTR_BUS_NAME), Name: str(unix.DEVLINK_ATTR_DEV_NAME)}
}

func (l klink) encode(i hwif.Ifindex) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(b[2:], unix.ARPHRD_ETHER)
	binary.NativeEndian.PutUint32(b[4:], uint32(i))
	binary.NativeEndian.PutUint32(b[8:], l.flags)
	b = wire.PutString(b, unix.IFLA_IFNAME, l.name)
	b = wire.PutU32(b, unix.IFLA_TXQLEN, 1000) // one that nobody asks for
	b = wire.PutU32(b, unix.IFLA_MTU, l.mtu)
	b = wire.Put(b, unix.IFLA_ADDRESS, l.mac[:])
	if l.lower != 0 {
		b = wire.PutU32(b, unix.IFLA_LINK, uint32(l.lower))
	}
	if l.foreign {
		b = wire.PutU32(b, unix.IFLA_LINK_NETNSID, 0)
	}
	if l.master != 0 {
		b = wire.PutU32(b, unix.IFLA_MASTER, uint32(l.master))
	}
	if l.event != 0 {
		b = wire.PutU32(b, unix.IFLA_EVENT, l.event)
	}
	if l.switchID != nil {
		b = wire.Put(b, unix.IFLA_PHYS_SWITCH_ID, l.switchID)
	}
	if l.portName != "" {
		b = wire.PutString(b, unix.IFLA_PHYS_PORT_NAME, l.portName)
	}
	if l.parent != (Handle{}) {
		b = wire.PutString(b, unix.IFLA_PARENT_DEV_NAME, l.parent.Name)
		b = wire.PutString(b, unix.IFLA_PARENT_DEV_BUS_NAME, l.parent.Bus)
	}
	if l.port != nil {
		b = wire.PutNest(b, unix.IFLA_DEVLINK_PORT, wire.PutU32(wire.PutHandle(nil, l.port.dev), unix.DEVLINK_ATTR_PORT_INDEX, l.port.index))
	}
	if l.kind == "" && l.slave == "" {
		return b
	}
	var info []byte
	if l.kind != "" {
		info = wire.PutString(info, unix.IFLA_INFO_KIND, l.kind)
		if l.data != nil {
			info = wire.PutNest(info, unix.IFLA_INFO_DATA, l.data)
		}
	}
	if l.slave != "" {
		info = wire.PutString(info, unix.IFLA_INFO_SLAVE_KIND, l.slave)
		if l.slaveDat != nil {
			info = wire.PutNest(info, unix.IFLA_INFO_SLAVE_DATA, l.slaveDat)
		}
	}
	return wire.PutNest(b, unix.IFLA_LINKINFO, info)
}

func (p kport) encode() []byte {
	b := wire.PutU32(wire.PutHandle(nil, p.dev), unix.DEVLINK_ATTR_PORT_INDEX, p.index)
	b = wire.PutU16(b, unix.DEVLINK_ATTR_PORT_TYPE, unix.DEVLINK_PORT_TYPE_ETH)
	if p.ifindex != 0 {
		b = wire.PutU32(b, unix.DEVLINK_ATTR_PORT_NETDEV_IFINDEX, uint32(p.ifindex))
	}
	b = wire.PutU16(b, unix.DEVLINK_ATTR_PORT_FLAVOUR, uint16(p.flavour))
	if p.flavour == FlavourPhysical {
		return wire.PutU32(b, unix.DEVLINK_ATTR_PORT_NUMBER, p.number)
	}
	b = wire.PutU32(b, unix.DEVLINK_ATTR_PORT_CONTROLLER_NUMBER, 0)
	b = wire.PutU16(b, unix.DEVLINK_ATTR_PORT_PCI_PF_NUMBER, p.pf)
	if p.flavour == FlavourVF {
		b = wire.PutU16(b, unix.DEVLINK_ATTR_PORT_PCI_VF_NUMBER, p.vf)
	}
	if p.flavour == FlavourSF {
		b = wire.PutU32(b, unix.DEVLINK_ATTR_PORT_PCI_SF_NUMBER, p.sf)
	}
	return wire.Put(b, unix.DEVLINK_ATTR_PORT_EXTERNAL, []byte{0})
}

func (d *kdev) encode(h Handle) []byte {
	entry := wire.PutU32(wire.Put(nil, unix.DEVLINK_ATTR_RELOAD_STATS_LIMIT, []byte{0}), unix.DEVLINK_ATTR_RELOAD_STATS_VALUE, d.reloads)
	action := wire.Put(nil, unix.DEVLINK_ATTR_RELOAD_ACTION, []byte{1})
	action = wire.PutNest(action, unix.DEVLINK_ATTR_RELOAD_ACTION_STATS, wire.PutNest(nil, unix.DEVLINK_ATTR_RELOAD_STATS_ENTRY, entry))
	stats := wire.PutNest(nil, unix.DEVLINK_ATTR_RELOAD_STATS, wire.PutNest(nil, unix.DEVLINK_ATTR_RELOAD_ACTION_INFO, action))
	b := wire.Put(wire.PutHandle(nil, h), unix.DEVLINK_ATTR_RELOAD_FAILED, []byte{0})
	return wire.PutNest(b, unix.DEVLINK_ATTR_DEV_STATS, stats)
}

func (d *kdev) info(h Handle) []byte {
	version := func(name, value string) []byte {
		return wire.PutString(wire.PutString(nil, unix.DEVLINK_ATTR_INFO_VERSION_NAME, name), unix.DEVLINK_ATTR_INFO_VERSION_VALUE, value)
	}
	b := wire.PutString(wire.PutHandle(nil, h), unix.DEVLINK_ATTR_INFO_DRIVER_NAME, d.driver)
	b = wire.PutString(b, unix.DEVLINK_ATTR_INFO_SERIAL_NUMBER, "SN-1")
	b = wire.PutNest(b, unix.DEVLINK_ATTR_INFO_VERSION_FIXED, version("board.id", d.board))
	b = wire.PutNest(b, unix.DEVLINK_ATTR_INFO_VERSION_FIXED, version("board.rev", "2"))
	return wire.PutNest(b, unix.DEVLINK_ATTR_INFO_VERSION_RUNNING, version("fw.version", "22.1"))
}

func encodeReporter(h Handle, r Reporter) []byte {
	b := wire.PutHandle(nil, h)
	if r.OfPort {
		b = wire.PutU32(b, unix.DEVLINK_ATTR_PORT_INDEX, r.Port)
	}
	u64 := func(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }
	in := wire.PutString(nil, unix.DEVLINK_ATTR_HEALTH_REPORTER_NAME, r.Name)
	if r.State != wire.HealthUnknown {
		in = wire.Put(in, unix.DEVLINK_ATTR_HEALTH_REPORTER_STATE, []byte{byte(r.State - wire.Healthy)})
	}
	in = wire.Put(in, unix.DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT, u64(r.Errors))
	in = wire.Put(in, unix.DEVLINK_ATTR_HEALTH_REPORTER_RECOVER_COUNT, u64(r.Recoveries))
	return wire.PutNest(b, unix.DEVLINK_ATTR_HEALTH_REPORTER, in)
}

func encodeParam(h Handle, name string) []byte {
	value := wire.PutU32(nil, unix.DEVLINK_ATTR_PARAM_VALUE_DATA, 15)
	value = wire.Put(value, unix.DEVLINK_ATTR_PARAM_VALUE_CMODE, []byte{1})
	p := wire.PutString(nil, unix.DEVLINK_ATTR_PARAM_NAME, name)
	p = wire.Put(p, unix.DEVLINK_ATTR_PARAM_TYPE, []byte{3})
	p = wire.PutNest(p, unix.DEVLINK_ATTR_PARAM_VALUES_LIST, wire.PutNest(nil, unix.DEVLINK_ATTR_PARAM_VALUE, value))
	return wire.PutNest(wire.PutHandle(nil, h), unix.DEVLINK_ATTR_PARAM, p)
}

// bondData and vlanData are IFLA_INFO_DATA.
func bondData(mode uint8, active hwif.Ifindex) []byte {
	b := wire.Put(nil, unix.IFLA_BOND_MODE, []byte{mode})
	if active != 0 {
		b = wire.PutU32(b, unix.IFLA_BOND_ACTIVE_SLAVE, uint32(active))
	}
	return b
}

func slaveData(backup byte) []byte { return wire.Put(nil, unix.IFLA_BOND_SLAVE_STATE, []byte{backup}) }

func vlanData(id hwif.VLAN, proto uint16) []byte {
	return wire.Put(wire.PutU16(nil, unix.IFLA_VLAN_ID, uint16(id)), unix.IFLA_VLAN_PROTOCOL, binary.BigEndian.AppendUint16(nil, proto))
}

// card adds a device with an uplink, two VFs and an SF: interfaces first, first+1 …
func (k *kernel) card(h Handle, prefix string, first hwif.Ifindex, switchID []byte) {
	k.devs[h] = &kdev{mode: 1, inline: 0, encap: 1, driver: "mlx5_core", board: "MT_0359",
		reporters: []Reporter{{Name: "fw", State: wire.Healthy}, {Name: "tx", OfPort: true, Port: 0, State: wire.Healthy}}}
	const up = unix.IFF_UP | unix.IFF_LOWER_UP
	for n, p := range []kport{
		{index: 0xffff, flavour: FlavourPhysical},
		{index: 1, flavour: FlavourVF, vf: 0},
		{index: 2, flavour: FlavourVF, vf: 1},
		{index: 0x8000, flavour: FlavourSF, sf: 88},
	} {
		p.dev, p.ifindex = h, first+hwif.Ifindex(n)
		k.ports = append(k.ports, p)
		name := []string{"p0", "pf0vf0", "pf0vf1", "pf0sf88"}[n]
		k.links[p.ifindex] = klink{name: prefix + name, flags: up, mtu: 1500, mac: hwif.MAC{2, 0, 0, 0, byte(first), byte(n)}, switchID: switchID,
			portName: name, parent: h, port: &portKey{h, p.index}, offload: TCOffloadOn}
	}
}
