package wire

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// info reads IFLA_LINKINFO. What IFLA_INFO_DATA means depends on the kind, which
// may stand after it.
func (l *Link) info(w *walk) {
	var data, slave []byte
	l.Kind, l.SlaveKind = "", ""
	w.nest(func(w *walk) {
		switch w.typ {
		case unix.IFLA_INFO_KIND:
			l.Kind = w.str()
		case unix.IFLA_INFO_SLAVE_KIND:
			l.SlaveKind = w.str()
		case unix.IFLA_INFO_DATA:
			data = w.v
		case unix.IFLA_INFO_SLAVE_DATA:
			slave = w.v
		}
	})
	switch l.Kind {
	case "vlan":
		l.inside(w, data, l.vlan)
	case "bond":
		l.inside(w, data, l.bond)
	}
	if l.SlaveKind == "bond" {
		l.inside(w, slave, l.bondSlave)
	}
}

func (l *Link) inside(w *walk, b []byte, each func(*walk)) {
	in := walk{msg: w.msg, b: b}
	for in.next() {
		each(&in)
	}
	if w.err == nil {
		w.err = in.err
	}
}

func (l *Link) vlan(w *walk) {
	switch w.typ {
	case unix.IFLA_VLAN_ID:
		if v := w.u16(); v > 4095 {
			w.fail("VLAN id %d", v)
		} else {
			l.VLAN = hwif.VLAN(v)
		}
	case unix.IFLA_VLAN_PROTOCOL:
		l.VLANProto = w.be16()
	case unix.IFLA_VLAN_EGRESS_QOS:
		l.EgressQoS = len(w.v) > 0
	}
}

func (l *Link) bond(w *walk) {
	switch w.typ {
	case unix.IFLA_BOND_MODE:
		l.BondMode = w.u8()
	case unix.IFLA_BOND_ACTIVE_SLAVE:
		l.BondActive = w.ifindex()
	}
}

func (l *Link) bondSlave(w *walk) {
	if w.typ == unix.IFLA_BOND_SLAVE_STATE {
		l.SlaveBackup = w.u8() == 1
	}
}
