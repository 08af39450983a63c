package rtnl

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Route is what an RTM_NEWROUTE or RTM_DELROUTE says, as an answer, in a
// listing or as a notification.
type Route struct {
	Dst      hwif.Addr    // RTA_DST
	Gateway  hwif.Addr    // RTA_GATEWAY or RTA_VIA; zero when the destination is on the link
	Oif      hwif.Ifindex // RTA_OIF
	Flags    uint32       // rtm_flags
	MTU      uint32       // RTAX_MTU, route metric or path MTU; 0 when none
	NHID     uint32       // RTA_NH_ID
	Table    uint32       // RTA_TABLE
	Legs     uint16       // nexthops in RTA_MULTIPATH, 0 when there is none
	DstLen   uint8        // bits
	SrcLen   uint8        // bits, IPv6 subtrees
	Tos      uint8        // rtm_tos
	Type     uint8        // RTN_*
	Family   hwif.Family
	GwFamily hwif.Family // FamilyNone without gateway
	Encap    bool        // RTA_ENCAP: lightweight tunnel, on any leg
	Locked   bool        // RTAX_LOCK has RTAX_MTU
	Hops     []Hop       // the legs of RTA_MULTIPATH, nil when there is none
}

// Hop is one leg of a multipath route.
type Hop struct {
	Gateway  hwif.Addr
	Oif      hwif.Ifindex
	GwFamily hwif.Family // FamilyNone without gateway
	Flags    uint8       // RTNH_F_*
	Weight   uint8       // rtnh_hops: one less than the weight
}

// Over gives the route as it is by one of its legs.
func (r *Route) Over(h *Hop) Route {
	out := *r
	out.Oif, out.Gateway, out.GwFamily, out.Legs, out.Hops = h.Oif, h.Gateway, h.GwFamily, 0, nil
	return out
}

const (
	rtmsgLen     = unix.SizeofRtMsg
	rtNexthopLen = unix.SizeofRtNexthop
	rtaVia       = unix.RTA_VIA
	rtaNHID      = 30 // RTA_NH_ID
)

// ParseRoute reads a struct rtmsg and its attributes. Families other than IPv4
// and IPv6 give ok == false.
func ParseRoute(b []byte) (r Route, ok bool) {
	if len(b) < rtmsgLen {
		return r, false
	}
	r.Family = family(b[0])
	if r.Family == hwif.FamilyNone || int(b[1]) > 8*addrBytes(r.Family) {
		return r, false
	}
	r.DstLen, r.SrcLen, r.Tos, r.Type = b[1], b[2], b[3], b[7]
	r.Table = uint32(b[4])
	r.Flags = u32(b[8:])
	for typ, v := range attrs(b[rtmsgLen:]) {
		switch typ {
		case unix.RTA_TABLE:
			r.Table = u32(v)
		case rtaNHID:
			r.NHID = u32(v)
		case unix.RTA_DST:
			r.Dst = addr(r.Family, v)
		case unix.RTA_METRICS:
			r.metrics(v)
		case unix.RTA_MULTIPATH:
			r.multipath(v)
		default:
			r.hop(typ, v)
		}
	}
	return r, true
}

// hop takes the attributes that describe one nexthop.
func (r *Route) hop(typ uint16, v []byte) {
	switch typ {
	case unix.RTA_OIF:
		r.Oif = hwif.Ifindex(u32(v))
	case unix.RTA_GATEWAY:
		r.Gateway, r.GwFamily = addr(r.Family, v), r.Family
	case rtaVia:
		if len(v) >= 2 { // struct rtvia: u16 family, address
			r.GwFamily = family(byte(ne.Uint16(v)))
			r.Gateway = addr(r.GwFamily, v[2:])
		}
	case unix.RTA_ENCAP, unix.RTA_ENCAP_TYPE, unix.RTA_NEWDST:
		r.Encap = true
	}
}

func (r *Route) metrics(b []byte) {
	for typ, v := range attrs(b) {
		switch typ {
		case unix.RTAX_MTU:
			r.MTU = u32(v)
		case unix.RTAX_LOCK:
			r.Locked = u32(v)&(1<<unix.RTAX_MTU) != 0
		}
	}
}

// multipath reads the legs; the route's own nexthop becomes the first of them.
func (r *Route) multipath(b []byte) {
	for len(b) >= rtNexthopLen {
		n := int(u16(b)) // struct rtnexthop: u16 len, u8 flags, u8 hops, i32 ifindex
		if n < rtNexthopLen || n > len(b) {
			return
		}
		leg := Route{Family: r.Family, Oif: hwif.Ifindex(u32(b[4:]))}
		for typ, v := range attrs(b[rtNexthopLen:n]) {
			leg.hop(typ, v)
		}
		if r.Legs == 0 {
			r.Oif, r.Gateway, r.GwFamily = leg.Oif, leg.Gateway, leg.GwFamily
		}
		r.Encap = r.Encap || leg.Encap
		r.Hops = append(r.Hops, Hop{Gateway: leg.Gateway, Oif: leg.Oif, GwFamily: leg.GwFamily, Flags: b[2], Weight: b[3]})
		r.Legs++
		b = b[min(align4(n), len(b)):]
	}
}

// Hash adds the leg to a running FNV-1a sum.
func (h *Hop) Hash(sum uint64) uint64 {
	var b [28]byte
	copy(b[:], h.Gateway[:])
	ne.PutUint32(b[16:], uint32(h.Oif))
	b[20], b[21], b[22] = byte(h.GwFamily), h.Flags, h.Weight
	for _, c := range b {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return sum
}

// Prefix is the destination as announced.
func (r *Route) Prefix() netip.Prefix {
	return netip.PrefixFrom(r.Dst.Netip(r.Family), int(r.DstLen)).Masked()
}

// String is "10.1.0.0/16 via 10.0.0.2 dev 4".
func (r *Route) String() string {
	s := r.Prefix().String()
	switch {
	case r.Legs > 1:
		s += fmt.Sprintf(" over %d nexthops", r.Legs)
	case r.GwFamily != hwif.FamilyNone:
		s += " via " + r.Gateway.Netip(r.GwFamily).String()
	}
	if r.Oif != 0 && r.Legs <= 1 {
		s += fmt.Sprintf(" dev %d", r.Oif)
	}
	return s
}
