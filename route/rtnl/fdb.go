package rtnl

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// FDB is one entry of a bridge's forwarding database.
type FDB struct {
	Bridge hwif.Ifindex // NDA_MASTER
	Port   hwif.Ifindex // the bridge itself for its own addresses
	VLAN   hwif.VLAN    // NDA_VLAN, 0 on a bridge that filters none
	MAC    hwif.MAC     // NDA_LLADDR
}

// ndaMaster and ndaVLAN are NDA_MASTER and NDA_VLAN (include/uapi/linux/neighbour.h).
const (
	ndaVLAN   = 5
	ndaMaster = 9
)

// ParseFDB reads a struct ndmsg of family AF_BRIDGE. Those that are not of a bridge,
// such as a device's own list of addresses, give ok == false.
func ParseFDB(b []byte) (e FDB, ok bool) {
	if len(b) < unix.SizeofNdMsg || b[0] != unix.AF_BRIDGE {
		return e, false
	}
	e.Port = hwif.Ifindex(ne.Uint32(b[4:]))
	hasMAC := false
	for typ, v := range attrs(b[unix.SizeofNdMsg:]) {
		switch typ {
		case unix.NDA_LLADDR:
			hasMAC = len(v) == len(e.MAC)
			copy(e.MAC[:], v)
		case ndaVLAN:
			e.VLAN = hwif.VLAN(u16(v))
		case ndaMaster:
			e.Bridge = hwif.Ifindex(u32(v))
		}
	}
	return e, hasMAC && e.Bridge != 0 && e.Port != 0
}

// FDBs lists the forwarding databases of all bridges. A kernel without bridges has
// none.
func (c *Conn) FDBs(each func(FDB)) error {
	hdr := make([]byte, unix.SizeofNdMsg)
	hdr[0] = unix.AF_BRIDGE
	err := c.Dump(unix.RTM_GETNEIGH, hdr, func(m Msg) {
		if e, ok := ParseFDB(m.Body); ok {
			each(e)
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	return err
}
