package rtnl

import "github.com/shunt-offload/shunt/hwif"

const tcmsgLen = 20 // struct tcmsg: family 1, pad 3, ifindex 4, handle 4, parent 4, info 4

// tcHRoot is the parent of an interface's root qdisc (TC_H_ROOT).
const tcHRoot = 0xffffffff

// ParseRootQdisc reads a struct tcmsg and gives the interface whose root qdisc it is
// about. ok is false for messages about anything else.
func ParseRootQdisc(b []byte) (i hwif.Ifindex, ok bool) {
	if len(b) < tcmsgLen {
		return 0, false
	}
	return hwif.Ifindex(ne.Uint32(b[4:])), ne.Uint32(b[12:]) == tcHRoot
}
