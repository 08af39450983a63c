package wire

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Port is DEVLINK_CMD_PORT_NEW, and the answer to DEVLINK_CMD_PORT_GET.
type Port struct {
	Handle
	Index      uint32
	HasIndex   bool
	Ifindex    hwif.Ifindex // 0 when its interface is in another namespace, or not there yet
	Name       string       // DEVLINK_ATTR_PORT_NETDEV_NAME
	Flavour    uint16       // DEVLINK_PORT_FLAVOUR_*
	HasFlavour bool
	Number     uint32
	External   bool
	Controller uint32
	PF, VF     uint16
	SF         uint32
	FuncMAC    hwif.MAC
	State      uint8 // DEVLINK_PORT_FN_ATTR_STATE: 0 inactive, 1 active
	OpState    uint8 // DEVLINK_PORT_FN_ATTR_OPSTATE: 0 detached, 1 attached
	HasState   bool
}

// ParsePort reads a port. DEVLINK_CMD_PORT_DEL needs no more than its index.
func ParsePort(b []byte) (p Port, err error) {
	const msg = "DEVLINK_CMD_PORT_NEW"
	err = parse(msg, b, &p.Handle, p.take)
	if err == nil && !p.HasIndex {
		err = &Error{Msg: msg, Attr: "DEVLINK_ATTR_PORT_INDEX", Text: "missing"}
	}
	return p, err
}

func (p *Port) take(w *walk) {
	switch w.typ {
	case unix.DEVLINK_ATTR_PORT_INDEX:
		p.Index, p.HasIndex = w.u32(), true
	case unix.DEVLINK_ATTR_PORT_NETDEV_IFINDEX:
		p.Ifindex = w.ifindex()
	case unix.DEVLINK_ATTR_PORT_NETDEV_NAME:
		p.Name = w.str()
	case unix.DEVLINK_ATTR_PORT_FLAVOUR:
		p.Flavour, p.HasFlavour = w.u16(), true
	case unix.DEVLINK_ATTR_PORT_NUMBER:
		p.Number = w.u32()
	case unix.DEVLINK_ATTR_PORT_EXTERNAL:
		p.External = w.u8() != 0
	case unix.DEVLINK_ATTR_PORT_CONTROLLER_NUMBER:
		p.Controller = w.u32()
	case unix.DEVLINK_ATTR_PORT_PCI_PF_NUMBER:
		p.PF = w.u16()
	case unix.DEVLINK_ATTR_PORT_PCI_VF_NUMBER:
		p.VF = w.u16()
	case unix.DEVLINK_ATTR_PORT_PCI_SF_NUMBER:
		p.SF = w.u32()
	case unix.DEVLINK_ATTR_PORT_FUNCTION:
		w.nest(p.function)
	}
}

func (p *Port) function(w *walk) {
	switch w.typ {
	case unix.DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR:
		p.FuncMAC = w.mac()
	case unix.DEVLINK_PORT_FN_ATTR_STATE:
		p.State, p.HasState = w.u8(), true
	case unix.DEVLINK_PORT_FN_ATTR_OPSTATE:
		p.OpState = w.u8()
	}
}
