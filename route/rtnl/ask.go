package rtnl

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Ask is one RTM_GETROUTE: how would this packet be routed.
type Ask struct {
	Src, Dst         hwif.Addr
	Iif              hwif.Ifindex // RTA_IIF: the packet entered here; 0 asks for an output route
	Oif              hwif.Ifindex // RTA_OIF, 0 for any
	Mark             uint32       // RTA_MARK at routing time
	SrcPort, DstPort uint16
	Proto            uint8 // RTA_IP_PROTO; the kernel takes tcp, udp and icmp
	Tos              uint8 // rtm_tos
	Family           hwif.Family
	HasSrc           bool // Src is meant
	// FibMatch asks for the FIB entry (prefix, all nexthops) instead of the
	// route that was made from it (RTM_F_FIB_MATCH).
	FibMatch bool
}

// append writes the request, 100 bytes at most for IPv4 and 124 for IPv6.
func (a *Ask) append(b []byte, seq uint32) []byte {
	b, at := begin(b, unix.RTM_GETROUTE, unix.NLM_F_REQUEST, seq)
	n := addrBytes(a.Family)
	var srcLen byte
	if a.HasSrc {
		srcLen = byte(n * 8)
	}
	var flags uint32
	if a.FibMatch {
		flags = unix.RTM_F_FIB_MATCH
	}
	b = append(b, AF(a.Family), byte(n*8), srcLen, a.Tos, 0, 0, 0, 0) // struct rtmsg
	b = ne.AppendUint32(b, flags)
	b = put(b, unix.RTA_DST, a.Dst[:n])
	if a.HasSrc {
		b = put(b, unix.RTA_SRC, a.Src[:n])
	}
	if a.Iif != 0 {
		b = put32(b, unix.RTA_IIF, uint32(a.Iif))
		// Forwarded packets are root's to rules by uidrange. A look-up of IPv6 would be
		// nobody's (inet6_rtm_getroute); one of IPv4 is a packet's that came in anyway.
		if a.Family == hwif.IPv6 {
			b = put32(b, unix.RTA_UID, 0)
		}
	}
	if a.Oif != 0 {
		b = put32(b, unix.RTA_OIF, uint32(a.Oif))
	}
	if a.Mark != 0 {
		b = put32(b, unix.RTA_MARK, a.Mark)
	}
	if a.Proto != 0 {
		b = append(b, 5, 0, 0, 0, a.Proto, 0, 0, 0)
		ne.PutUint16(b[len(b)-8:], attrLen+1)
		ne.PutUint16(b[len(b)-6:], unix.RTA_IP_PROTO)
		b = putPort(b, unix.RTA_SPORT, a.SrcPort)
		b = putPort(b, unix.RTA_DPORT, a.DstPort)
	}
	return end(b, at)
}

// appendDump asks for everything of one type; hdr is the type's own header.
func appendDump(b []byte, typ uint16, seq uint32, hdr []byte) []byte {
	b, at := begin(b, typ, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, seq)
	b = append(b, hdr...)
	for len(b)&3 != 0 {
		b = append(b, 0)
	}
	return end(b, at)
}

// appendGetLink asks for one interface.
func appendGetLink(b []byte, seq uint32, i hwif.Ifindex) []byte {
	b, at := begin(b, unix.RTM_GETLINK, unix.NLM_F_REQUEST, seq)
	b = append(b, make([]byte, unix.SizeofIfInfomsg)...)
	ne.PutUint32(b[at+hdrLen+4:], uint32(i))
	b = put32(b, unix.IFLA_EXT_MASK, extSkipStats)
	return end(b, at)
}

// appendNeighUse is RTM_NEWNEIGH with NTF_USE: resolve or confirm this
// neighbour now. It is an administrative update that clears every flag it does
// not name, so learnt and managed entries have theirs repeated. On a permanent
// entry it would destroy it: callers don't. create makes a missing entry.
func appendNeighUse(b []byte, seq uint32, n *Neigh, create bool) []byte {
	flags := uint16(unix.NLM_F_REQUEST)
	if create {
		flags |= unix.NLM_F_CREATE
	}
	b, at := begin(b, unix.RTM_NEWNEIGH, flags, seq)
	b = append(b, AF(n.Family), 0, 0, 0)
	b = ne.AppendUint32(b, uint32(n.Ifindex))
	b = ne.AppendUint16(b, 0) // ndm_state: as it is
	b = append(b, unix.NTF_USE|n.Flags&(unix.NTF_EXT_LEARNED|unix.NTF_ROUTER), 0)
	b = put(b, unix.NDA_DST, n.Dst[:addrBytes(n.Family)])
	if ext := n.FlagsExt & extManaged; ext != 0 {
		b = put32(b, ndaFlagsExt, ext)
	}
	return end(b, at)
}

const (
	extSkipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	extManaged   = 1 << 0 // NTF_EXT_MANAGED
	ndaFlagsExt  = 15     // NDA_FLAGS_EXT
)
