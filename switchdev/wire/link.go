package wire

import (
	"encoding/hex"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

const extSkipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS

// maxSwitchID is MAX_PHYS_ITEM_ID_LEN.
const maxSwitchID = 32

// Link is one interface, as RTM_NEWLINK tells it.
type Link struct {
	Index        hwif.Ifindex
	Name         string // IFLA_IFNAME
	Kind         string // IFLA_INFO_KIND: "vlan", "bond"; empty for most hardware
	SlaveKind    string // IFLA_INFO_SLAVE_KIND: what the master is
	Type         uint16 // ARPHRD_*
	Flags        uint32 // IFF_*
	MTU          uint32
	MAC          hwif.MAC
	Lower        hwif.Ifindex // IFLA_LINK; 0 for none
	LowerForeign bool         // IFLA_LINK_NETNSID: Lower is a number of another namespace
	Master       hwif.Ifindex // IFLA_MASTER
	SwitchID     string       // IFLA_PHYS_SWITCH_ID, all bytes in hex
	PhysPortName string       // IFLA_PHYS_PORT_NAME
	ParentBus    string       // IFLA_PARENT_DEV_BUS_NAME: "pci"
	ParentDev    string       // IFLA_PARENT_DEV_NAME: "0000:03:00.0"
	Devlink      Handle       // IFLA_DEVLINK_PORT, Linux 6.2 and later; zero when not said
	DevlinkPort  uint32       // with Devlink: the port's index
	Event        uint32       // IFLA_EVENT: why the notification was sent
	VLAN         hwif.VLAN    // IFLA_VLAN_ID
	VLANProto    uint16       // IFLA_VLAN_PROTOCOL
	EgressQoS    bool         // IFLA_VLAN_EGRESS_QOS is not empty
	BondMode     uint8        // IFLA_BOND_MODE
	BondActive   hwif.Ifindex // IFLA_BOND_ACTIVE_SLAVE
	SlaveBackup  bool         // IFLA_BOND_SLAVE_STATE: the bond does not send by it
}

// EventFeatures is IFLA_EVENT_FEATURES: ethtool features changed.
const EventFeatures = 2

// Up reports whether the interface is up and has carrier.
func (l *Link) Up() bool {
	const up = unix.IFF_UP | unix.IFF_LOWER_UP
	return l.Flags&up == up
}

// AdminUp reports whether the interface is up, with or without carrier.
func (l *Link) AdminUp() bool { return l.Flags&unix.IFF_UP != 0 }

// AppendGetLink appends the body of RTM_GETLINK: of one interface, or with 0 of
// all.
func AppendGetLink(b []byte, i hwif.Ifindex) []byte {
	hdr := make([]byte, unix.SizeofIfInfomsg)
	ne.PutUint32(hdr[4:], uint32(i))
	return PutU32(append(b, hdr...), unix.IFLA_EXT_MASK, extSkipStats)
}

// ParseLink reads a struct ifinfomsg and its attributes. ok is false for
// messages that are not about the interface itself: a bridge port's (AF_BRIDGE,
// whose RTM_DELLINK means "left the bridge"), and partial ones, such as wireless
// events, which lack IFLA_MTU. gone is for RTM_DELLINK, which needs only the
// index.
func ParseLink(b []byte, gone bool) (l Link, ok bool, err error) {
	const msg = "RTM_NEWLINK"
	if len(b) < unix.SizeofIfInfomsg {
		return l, false, &Error{Msg: msg, Attr: "struct ifinfomsg", Text: "cut short"}
	}
	if b[0] != unix.AF_UNSPEC {
		return l, false, nil
	}
	l.Type = ne.Uint16(b[2:])
	l.Index = hwif.Ifindex(ne.Uint32(b[4:]))
	l.Flags = ne.Uint32(b[8:])
	w := walk{msg: msg, b: b[unix.SizeofIfInfomsg:]}
	hasMTU := false
	for w.next() {
		hasMTU = hasMTU || w.typ == unix.IFLA_MTU
		l.take(&w)
	}
	switch {
	case w.err != nil:
		return l, false, w.err
	case l.Index == 0 || l.Index > 1<<31-1:
		return l, false, &Error{Msg: msg, Attr: "ifi_index", Text: "not a positive number"}
	case gone:
		return l, true, nil
	case hasMTU && l.Name == "":
		return l, false, &Error{Msg: msg, Attr: "IFLA_IFNAME", Text: "missing"}
	}
	return l, hasMTU, nil
}

func (l *Link) take(w *walk) {
	switch w.typ {
	case unix.IFLA_IFNAME:
		l.Name = w.str()
	case unix.IFLA_MTU:
		l.MTU = w.u32()
	case unix.IFLA_ADDRESS:
		l.MAC = w.mac()
	case unix.IFLA_LINK:
		l.Lower = w.ifindex()
	case unix.IFLA_LINK_NETNSID:
		l.LowerForeign = true
	case unix.IFLA_MASTER:
		l.Master = w.ifindex()
	case unix.IFLA_PHYS_SWITCH_ID:
		if len(w.v) > maxSwitchID {
			w.fail("switch id of %d bytes, at most %d", len(w.v), maxSwitchID)
			return
		}
		l.SwitchID = hex.EncodeToString(w.v)
	case unix.IFLA_PHYS_PORT_NAME:
		l.PhysPortName = w.str()
	case unix.IFLA_PARENT_DEV_NAME:
		l.ParentDev = w.str()
	case unix.IFLA_PARENT_DEV_BUS_NAME:
		l.ParentBus = w.str()
	case unix.IFLA_DEVLINK_PORT:
		l.devlinkPort(w)
	case unix.IFLA_EVENT:
		l.Event = w.u32()
	case unix.IFLA_LINKINFO:
		l.info(w)
	}
}

func (l *Link) devlinkPort(w *walk) {
	p := Port{}
	w.nest(func(w *walk) { p.Handle.take(w); p.take(w) })
	if p.whole() && p.HasIndex {
		l.Devlink, l.DevlinkPort = p.Handle, p.Index
	}
}
