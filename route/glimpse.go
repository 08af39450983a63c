package route

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// glimpse is what one packet of a direction showed. It bounds nothing by itself:
// a packet may have been on its way while the tables changed. So an answer needs
// both, the tables as they are and a packet that left by one of their ways.
type glimpse struct {
	at        flow.Time
	in, out   hwif.Ifindex
	mark      uint32
	vlanProto uint16
	vlan      hwif.VLAN
	pcp       uint8
	ttl, tos  uint8 // as it left
	dst, src  hwif.MAC
	came      observe.Came
	altered   bool
}

func glimpseOf(s *observe.Sight) glimpse {
	return glimpse{at: s.At, in: s.In, out: s.Out, mark: s.Mark, vlanProto: s.VLANProto, vlan: s.VLAN, pcp: s.PCP,
		ttl: s.TTL, tos: s.TOS, dst: s.EthDst, src: s.EthSrc, came: s.Came, altered: s.Altered}
}

// observed reports whether packets of every direction that matters were seen.
func (j *job) observed() bool {
	return j.seen[flow.Orig] != nil && (j.q.Alone || j.seen[flow.Reply] != nil)
}

// oneLeg takes the leg of a multipath route that a packet was seen taking. Legs
// that are dead or without carrier are not in use.
func (p *picture) oneLeg(j *job, k *rtnl.Ask, d flow.Dir, r *rtnl.Route) {
	if k.Family == hwif.IPv6 && p.multipath.byLabel() {
		j.refuse(flow.Multipath, "the route to %s (%s) has %d nexthops, and the flow label, which may change from packet to packet, is among what one is chosen by; net.ipv6.fib_multipath_hash_policy=1 chooses by the ports",
			k.Dst.Netip(k.Family), r.Prefix(), r.Legs)
		return
	}
	sum := uint64(14695981039346656037) // FNV-1a
	var chosen *rtnl.Hop
	for i := range r.Hops {
		h := &r.Hops[i]
		sum = h.Hash(sum)
		if chosen == nil && h.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) == 0 && p.leads(h, k, j.seen[d]) {
			chosen = h
		}
	}
	if chosen == nil {
		j.differs = true
		j.refuse(flow.RouteUnobserved, "a packet to %s was seen leaving by %s to %s, which none of the route's %d nexthops is now",
			k.Dst.Netip(k.Family), p.name(j.seen[d].out), j.seen[d].dst, r.Legs)
		return
	}
	mtu := j.hop[d].MTU
	j.hop[d] = r.Over(chosen)
	j.hop[d].MTU = mtu
	j.v.path[d].Legs, j.hops[d] = sum, r.Legs
}

// leads reports whether a packet sent by a leg would leave as g did.
func (p *picture) leads(h *rtnl.Hop, k *rtnl.Ask, g *glimpse) bool {
	n := neighKey{Addr: h.Gateway, Ifindex: h.Oif, Family: h.GwFamily}
	if h.GwFamily == hwif.FamilyNone {
		n.Addr, n.Family = k.Dst, k.Family
	}
	mac := p.macNow(n)
	s, reason, _ := p.stack(h.Oif, k.Family, clue{out: true, mac: mac})
	return reason == flow.ReasonNone && s.port == g.out && s.vlan == g.vlan && mac == g.dst
}

// confirmSeen holds a path against the packet that was seen.
func (p *picture) confirmSeen(j *job, d flow.Dir) {
	g, r := j.seen[d], &j.v.path[d].Route
	switch {
	case g.pcp != 0:
		j.refuse(flow.RouteUnsupported, "%s packets leave with VLAN priority %d, which a rule can't set", d, g.pcp)
	case g.out != r.Out || g.vlan != r.OutVLAN || g.dst != r.DstMAC || g.src != r.SrcMAC:
		j.differs = true
		j.refuse(flow.RouteUnobserved, "a %s packet was seen leaving by %s vlan %d from %s to %s, but the tables say %s vlan %d from %s to %s",
			d, p.name(g.out), g.vlan, g.src, g.dst, p.name(r.Out), r.OutVLAN, r.SrcMAC, r.DstMAC)
	case g.came.Port == 0:
		j.differs = true
		j.refuse(flow.RouteUnobserved, "%s packets were seen leaving, but not coming in by %s", d, p.name(r.In))
	case g.came.Port != r.In || g.came.VLAN != r.InVLAN:
		j.differs = true
		j.refuse(flow.RouteUnobserved, "a %s packet was seen coming in by %s vlan %d, but the tables say %s vlan %d",
			d, p.name(g.came.Port), g.came.VLAN, p.name(r.In), r.InVLAN)
	case g.altered || g.came.TTL-1 != g.ttl || !sameTOS(g.came.TOS, g.tos):
		j.differs = true
		j.refuse(flow.RouteUnsupported, "the ruleset writes into %s packets: they come in with TTL %d and TOS 0x%02x, and leave with TTL %d, TOS 0x%02x%s",
			d, g.came.TTL, g.came.TOS, g.ttl, g.tos, map[bool]string{true: " and other addresses or ports than conntrack's"}[g.altered])
	}
}

// sameTOS compares what came in with what left, but for a congestion mark: that is put
// on by a queue on the way.
func sameTOS(came, left uint8) bool {
	const ecn, ce = 3, 3
	return came == left || left&ecn == ce && came|ecn == left
}
