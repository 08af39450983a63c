package xdp

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

const tcpClosing = hwif.TCPFin | hwif.TCPSyn | hwif.TCPRst

// unfit names what this table can't express, or gives "". The table is exact: a
// rule that compares less would forward less here than it says.
func unfit(m *hwif.Match, a *hwif.Actions) (field, text string) {
	if f, ok := (needFields &^ m.Fields).First(); ok {
		return f.String(), "must be matched: the table compares whole flows"
	}
	if left := m.Fields &^ (needFields | hwif.FieldsOf(hwif.FieldTCPFlags)); left != 0 {
		if f, ok := left.First(); ok {
			return f.String(), "not compared by this device"
		}
		return fmt.Sprintf("fields 0x%x", uint32(left)), "unknown to this driver"
	}
	tcp := m.Fields.Has(hwif.FieldTCPFlags)
	switch {
	case m.Proto != hwif.ProtoTCP && m.Proto != hwif.ProtoUDP:
		return hwif.FieldIPProto.String(), "tcp and udp only"
	case m.Proto == hwif.ProtoTCP && (!tcp || m.TCPFlagsMask&tcpClosing != tcpClosing || m.TCPFlags&tcpClosing != 0):
		return hwif.FieldTCPFlags.String(), "fin, syn and rst must be matched as 0: such frames are always the kernel's"
	case m.Proto == hwif.ProtoUDP && tcp:
		return hwif.FieldTCPFlags.String(), "udp has none"
	}
	needsCsum := hwif.ActionsOf(hwif.ActIPSrc, hwif.ActIPDst, hwif.ActL4Src, hwif.ActL4Dst)
	if m.Family == hwif.IPv4 {
		needsCsum |= hwif.ActionsOf(hwif.ActDecTTL)
	}
	if a.Set&needsCsum != 0 && !a.Set.Has(hwif.ActCsum) {
		return hwif.ActCsum.String(), "this device can't leave a checksum wrong"
	}
	if a.Set.Has(hwif.ActRedirect) {
		// A tag is one tag here: push without pop would make two.
		if a.Set.Has(hwif.ActVLANPush) && !a.Set.Has(hwif.ActVLANPop) && m.VLAN != 0 {
			return hwif.ActVLANPush.String(), "a second tag"
		}
		return "", ""
	}
	if rest, ok := a.Set.Without(hwif.ActDrop).Without(hwif.ActTrap).First(); ok {
		return rest.String(), "with drop or trap there is nothing to change"
	}
	return "", ""
}

// nonsense names what no frame can be, or no frame may become, or gives "".
func nonsense(m *hwif.Match, a *hwif.Actions) (field, text string) {
	zero6 := func(x hwif.Addr) bool { return m.Family == hwif.IPv6 || [12]byte(x[4:]) == [12]byte{} }
	unicast := func(x hwif.Addr) bool {
		n := x.Netip(m.Family)
		return zero6(x) && n.IsValid() && !n.IsUnspecified() && !n.IsMulticast() && !n.IsLoopback()
	}
	switch {
	case !m.EthDst.IsUnicast():
		return hwif.FieldEthDst.String(), "not a unicast address"
	case !unicast(m.Src):
		return hwif.FieldIPSrc.String(), "not a unicast address of the family"
	case !unicast(m.Dst):
		return hwif.FieldIPDst.String(), "not a unicast address of the family"
	case m.TCPFlags&^m.TCPFlagsMask != 0:
		return hwif.FieldTCPFlags.String(), "bits outside the mask"
	case a.Set.Has(hwif.ActIPSrc) && !unicast(a.IPSrc):
		return hwif.ActIPSrc.String(), "not a unicast address of the family"
	case a.Set.Has(hwif.ActIPDst) && !unicast(a.IPDst):
		return hwif.ActIPDst.String(), "not a unicast address of the family"
	}
	return "", ""
}
