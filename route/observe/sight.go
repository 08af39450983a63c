package observe

import (
	"unsafe"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Kind is what became of a packet; a closed list.
type Kind uint8

const (
	Left    Kind = 1 // on its way out of a port
	Dropped Kind = 2 // by netfilter (SKB_DROP_REASON_NETFILTER_DROP)
	Alone   Kind = 3 // like Left, but conntrack was told to leave it alone (notrack)
)

func (k Kind) String() string {
	switch k {
	case Left:
		return "left"
	case Dropped:
		return "dropped"
	case Alone:
		return "alone"
	}
	return "unknown"
}

// Sight is one forwarded packet as it was seen, and the connection that conntrack
// found it to belong to. No pointer inside.
type Sight struct {
	Own, Other flow.Tuple // of the packet's direction, and of the opposite one, as they arrive
	At         flow.Time  // when, by the daemon's clock
	Packets    uint64     // of its direction that were seen so far; of Dropped, within the last second
	In         hwif.Ifindex
	Out        hwif.Ifindex // the device that it leaves by, tags included; 0 of Dropped
	Mark       uint32       // of the packet
	CTMark     uint32       // of the connection
	Status     uint32       // IPS_*
	VLANProto  uint16       // 0x8100 or 0x88a8, 0 without a tag
	VLAN       hwif.VLAN
	PCP        uint8 // the tag's priority
	EthDst     hwif.MAC
	EthSrc     hwif.MAC
	TTL        uint8 // TTL or hop limit, as it leaves
	TOS        uint8
	Came       Came
	Altered    bool // of Left: its addresses or ports are not those that conntrack makes of them
	Kind       Kind
	Dir        flow.Dir
}

// Came is how a packet came in by a port, before anything was decided about it.
type Came struct {
	Port   hwif.Ifindex // 0 when none of its direction was seen to come in by one
	VLAN   hwif.VLAN
	TTL    uint8
	TOS    uint8
	Paired bool // it is this very packet; else an earlier one of the same direction
}

// Orig and Reply are the connection's tuples.
func (s *Sight) Orig() flow.Tuple {
	if s.Dir == flow.Reply {
		return s.Other
	}
	return s.Own
}

// Reply is the tuple of the opposite direction of Orig.
func (s *Sight) Reply() flow.Tuple {
	if s.Dir == flow.Reply {
		return s.Own
	}
	return s.Other
}

const reportLen = int(unsafe.Sizeof(bpfReport{}))

// decode reads what the program wrote. ok is false for what it never writes.
func decode(raw []byte, s *Sight) (ok bool) {
	var r bpfReport
	if copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), reportLen), raw) < reportLen {
		return false
	}
	*s = Sight{
		Own: tupleOf(&r.Own), Other: tupleOf(&r.Other), At: flow.Time(r.At), Packets: r.Packets,
		In: hwif.Ifindex(r.In), Out: hwif.Ifindex(r.Out), Mark: r.Mark, CTMark: r.CtMark, Status: r.Status,
		VLANProto: r.VlanProto, EthDst: r.EthDst, EthSrc: r.EthSrc,
		TTL: r.Ttl, TOS: r.Tos, Altered: r.Altered != 0, Kind: Kind(r.Kind), Dir: flow.Dir(r.Own.Tuple.Dir & 1),
	}
	if r.VlanProto != 0 {
		s.VLAN, s.PCP = hwif.VLAN(r.VlanTci&0xfff), uint8(r.VlanTci>>13)
	}
	if r.Came.At != 0 {
		s.Came = Came{Port: hwif.Ifindex(r.Came.In), TTL: r.Came.Ttl, TOS: r.Came.Tos, Paired: r.Paired != 0}
		if r.Came.VlanProto != 0 {
			s.Came.VLAN = hwif.VLAN(r.Came.VlanTci & 0xfff)
		}
	}
	if s.Kind == Alone {
		s.Other = s.Own.Reversed()
	}
	return s.Own.Family != hwif.FamilyNone && s.Kind >= Left && s.Kind <= Alone
}

// Address families as struct nf_conntrack_tuple has them.
const (
	afInet  = 2
	afInet6 = 10
)

func tupleOf(d *bpfDirection) flow.Tuple {
	t := flow.Tuple{Src: d.Tuple.Src, Dst: d.Tuple.Dst, SrcPort: swap(d.Tuple.Sport), DstPort: swap(d.Tuple.Dport),
		Zone: uint16(d.Zone), Proto: d.Tuple.Protonum}
	switch d.Tuple.L3num {
	case afInet:
		t.Family = hwif.IPv4
	case afInet6:
		t.Family = hwif.IPv6
	}
	return t
}

// directionOf is the key under which the program counts.
func directionOf(t *flow.Tuple, dir flow.Dir) bpfDirection {
	var d bpfDirection
	d.Tuple.Src, d.Tuple.Dst = t.Src, t.Dst
	d.Tuple.Sport, d.Tuple.Dport = swap(t.SrcPort), swap(t.DstPort)
	d.Tuple.Protonum, d.Tuple.Dir = t.Proto, uint8(dir)
	d.Tuple.L3num = afInet
	if t.Family == hwif.IPv6 {
		d.Tuple.L3num = afInet6
	}
	d.Zone = uint32(t.Zone)
	return d
}

// swap changes between host and network order; the objects are little-endian.
func swap(p uint16) uint16 { return p<<8 | p>>8 }
