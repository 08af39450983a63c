package tc

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// Place is where a filter hangs: the ingress of an interface, or a shared block
// (Block != 0), and in it chain and prio. Each pair of chain and prio is one
// classifier, with one protocol.
type Place struct {
	Ifindex hwif.Ifindex
	Block   uint32 // TCA_INGRESS_BLOCK's number; Ifindex is not sent then
	Chain   uint32
	Prio    uint16 // "pref"; never 0, for which the kernel would choose one
}

func (p Place) String() string {
	s := fmt.Sprintf("dev %d", p.Ifindex)
	if p.Block != 0 {
		s = fmt.Sprintf("block %d", p.Block)
	}
	if p.Chain != 0 {
		s += fmt.Sprintf(" chain %d", p.Chain)
	}
	return s + fmt.Sprintf(" pref %d", p.Prio)
}

// Filter is tc's object for one rule.
type Filter struct {
	Place
	Protocol uint16 // of the classifier, host order; the encoder takes it from the Shape
	Handle   uint32 // never 0: the kernel would choose one and use it again at once
	Rule     hwif.Rule
	// AnyTag makes the filter match frames with one 802.1Q tag of any id, where the
	// rule has FieldVLAN with id 0. It is for guards, which no flow's rule can say.
	AnyTag bool

	// What the kernel says; not sent.
	Flags     Flags
	InHWCount uint32
	Counter   hwif.Counter // hardware's share, as the kernel has it: bytes of L2
	// Strange names what no row of the tables reads; empty for what this package
	// can have written.
	Strange []string
}

// Presence is the kernel's word on where the filter is.
func (f *Filter) Presence() hwif.Presence {
	switch {
	case f.Flags&InHW != 0:
		return hwif.InHW
	case f.Flags&NotInHW != 0:
		return hwif.NotInHW
	}
	return hwif.PresenceUnknown
}

// Shape is how a card wants rules written. The zero value is plain flower.
type Shape struct {
	// Ethertype gives each classifier the protocol of its frames; without, it is
	// ETH_P_ALL and the ethertype key alone tells them apart, so that one prio takes
	// all. nfp reads the protocol.
	Ethertype bool
	// SetTTL writes TTL-1 as a value: the rule must match the TTL exactly. Without,
	// it is "add 0xff". nfp knows no add.
	SetTTL bool
	// NoCsum leaves the csum action out, where a card keeps checksums right by
	// itself (mlx5). Reading such a rule, csum is understood.
	NoCsum bool
	// Retag says that the card takes pop and push in one rule for a new id in the
	// old tag, whose PCP stays. The rule then matches PCP 0 only; other frames are
	// the kernel's, which makes a tag with PCP 0.
	Retag bool
	// Accept writes trap as "ok", for a card that knows no trap: the frame ends its
	// way through the table and is the kernel's (mlx5 in legacy mode).
	Accept bool
}

// Protocol is the classifier's, in host order.
func (s *Shape) protocol(m *hwif.Match, anyTag bool) uint16 {
	switch {
	case !s.Ethertype:
		return etherAll
	case m.VLAN != 0 || anyTag:
		return etherVLAN
	}
	return m.Family.EtherType()
}
