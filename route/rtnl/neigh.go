package rtnl

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Neigh is one neighbour entry.
type Neigh struct {
	Dst      hwif.Addr // NDA_DST
	Ifindex  hwif.Ifindex
	FlagsExt uint32 // NDA_FLAGS_EXT
	State    uint16 // NUD_*
	Flags    uint8  // NTF_*
	Family   hwif.Family
	MAC      hwif.MAC // NDA_LLADDR
}

// ParseNeigh reads a struct ndmsg and its attributes. Forwarding database and
// proxy entries give ok == false.
func ParseNeigh(b []byte) (n Neigh, ok bool) {
	if len(b) < unix.SizeofNdMsg {
		return n, false
	}
	n.Family = family(b[0])
	n.Ifindex = hwif.Ifindex(ne.Uint32(b[4:]))
	n.State = ne.Uint16(b[8:])
	n.Flags = b[10]
	if n.Family == hwif.FamilyNone || n.Flags&unix.NTF_PROXY != 0 {
		return n, false
	}
	hasDst := false
	for typ, v := range attrs(b[unix.SizeofNdMsg:]) {
		switch typ {
		case unix.NDA_DST:
			n.Dst, hasDst = addr(n.Family, v), len(v) >= addrBytes(n.Family)
		case unix.NDA_LLADDR:
			if len(v) == len(n.MAC) {
				copy(n.MAC[:], v)
			}
		case ndaFlagsExt:
			n.FlagsExt = u32(v)
		}
	}
	return n, hasDst
}

// nudValid is the kernel's NUD_VALID: an entry that packets are sent by.
const nudValid = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_PROBE | unix.NUD_STALE | unix.NUD_DELAY

// Usable reports whether the kernel would send to this entry's MAC now.
func (n *Neigh) Usable() bool { return n.State&nudValid != 0 }

// Fixed reports whether the entry is configured: never aged, never to be probed.
func (n *Neigh) Fixed() bool { return n.State&(unix.NUD_PERMANENT|unix.NUD_NOARP) != 0 }

// Stale reports whether the entry wants confirmation.
func (n *Neigh) Stale() bool { return n.State&unix.NUD_STALE != 0 }

// Resolving reports whether the kernel is asking already.
func (n *Neigh) Resolving() bool { return n.State&unix.NUD_INCOMPLETE != 0 }

var nudNames = [...]string{"INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "NOARP", "PERMANENT"}

// StateName is iproute2's word for the state.
func (n *Neigh) StateName() string {
	for i, s := range nudNames {
		if n.State&(1<<i) != 0 {
			return s
		}
	}
	return "NONE"
}
