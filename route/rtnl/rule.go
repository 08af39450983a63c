package rtnl

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Rule is what matters of one policy routing rule: which selectors it has that
// a look-up may not be able to speak for.
type Rule struct {
	Priority uint32
	Family   hwif.Family
	Fwmark   bool // selects by packet mark
	TunID    bool // selects by tunnel id
	Tos      bool // selects by TOS, DSCP or flow label
	Unknown  uint16
}

// Attributes newer than x/sys/unix knows (include/uapi/linux/fib_rules.h).
const (
	fraDSCP          = 25
	fraFlowlabel     = 26
	fraFlowlabelMask = 27
	fraSportMask     = 28
	fraDportMask     = 29
	fraDSCPMask      = 30
)

// ParseRule reads a struct fib_rule_hdr and its attributes. An attribute that
// this package does not know is put into Unknown: such a rule may select by
// anything.
func ParseRule(b []byte) (r Rule, ok bool) {
	if len(b) < 12 {
		return r, false
	}
	r.Family = family(b[0])
	r.Tos = b[3] != 0
	for typ, v := range attrs(b[12:]) {
		switch typ {
		case unix.FRA_PRIORITY:
			r.Priority = u32(v)
		case unix.FRA_FWMARK:
			r.Fwmark = r.Fwmark || u32(v) != 0
		case unix.FRA_FWMASK:
			r.Fwmark = r.Fwmark || u32(v) != 0
		case unix.FRA_TUN_ID:
			r.TunID = true
		case fraDSCP, fraFlowlabel, fraFlowlabelMask, fraDSCPMask:
			r.Tos = true
		case unix.FRA_DST, unix.FRA_SRC, unix.FRA_IIFNAME, unix.FRA_OIFNAME, unix.FRA_GOTO, unix.FRA_FLOW,
			unix.FRA_SUPPRESS_IFGROUP, unix.FRA_SUPPRESS_PREFIXLEN, unix.FRA_TABLE, unix.FRA_PAD, unix.FRA_L3MDEV,
			unix.FRA_UID_RANGE, unix.FRA_PROTOCOL, unix.FRA_IP_PROTO, unix.FRA_SPORT_RANGE, unix.FRA_DPORT_RANGE,
			fraSportMask, fraDportMask, unix.FRA_UNUSED2, unix.FRA_UNUSED3, unix.FRA_UNUSED4, unix.FRA_UNUSED5:
		default:
			r.Unknown = typ
		}
	}
	return r, r.Family != hwif.FamilyNone
}

// Conf is one interface's forwarding configuration (RTM_NEWNETCONF). Values
// that a message does not carry are -1.
type Conf struct {
	Ifindex    int32 // NETCONFA_IFINDEX; ConfAll or ConfDefault
	Family     hwif.Family
	Forwarding int32 // NETCONFA_FORWARDING
	RPFilter   int32 // NETCONFA_RP_FILTER: 0 off, 1 strict, 2 loose
}

// Pseudo interfaces of Conf.
const (
	ConfAll     = -1 // NETCONFA_IFINDEX_ALL
	ConfDefault = -2 // NETCONFA_IFINDEX_DEFAULT
)

// ParseConf reads a struct netconfmsg and its attributes.
func ParseConf(b []byte) (c Conf, ok bool) {
	c.Forwarding, c.RPFilter = -1, -1
	if len(b) < 1 {
		return c, false
	}
	c.Family = family(b[0])
	found := false
	for typ, v := range attrs(tail(b, 4)) {
		if len(v) < 4 {
			continue
		}
		switch typ {
		case netconfaIfindex:
			c.Ifindex, found = int32(u32(v)), true
		case netconfaForwarding:
			c.Forwarding = int32(u32(v))
		case netconfaRPFilter:
			c.RPFilter = int32(u32(v))
		}
	}
	return c, found && c.Family != hwif.FamilyNone
}

// Address is one local address (RTM_NEWADDR).
type Address struct {
	Addr    hwif.Addr
	Ifindex hwif.Ifindex
	Flags   uint32
	Len     uint8
	Family  hwif.Family
}

// ParseAddress reads a struct ifaddrmsg and its attributes.
func ParseAddress(b []byte) (a Address, ok bool) {
	if len(b) < unix.SizeofIfAddrmsg {
		return a, false
	}
	a.Family, a.Len, a.Flags = family(b[0]), b[1], uint32(b[2])
	a.Ifindex = hwif.Ifindex(ne.Uint32(b[4:]))
	local := false
	for typ, v := range attrs(b[unix.SizeofIfAddrmsg:]) {
		switch typ {
		case unix.IFA_LOCAL: // the address itself where IFA_ADDRESS is the peer's
			a.Addr, local = addr(a.Family, v), true
		case unix.IFA_ADDRESS:
			if !local {
				a.Addr = addr(a.Family, v)
			}
		case unix.IFA_FLAGS:
			a.Flags = u32(v)
		}
	}
	return a, a.Family != hwif.FamilyNone
}

// Attributes of include/uapi/linux/netconf.h.
const (
	netconfaIfindex    = 1
	netconfaForwarding = 2
	netconfaRPFilter   = 3
)
