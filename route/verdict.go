package route

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// verdict is what was found for one flow. With reasons, paths hold what was
// known when it was refused.
type verdict struct {
	path    [2]path // by flow.Dir
	reasons flow.Reasons
	text    string // of the first reason, when it was asked for
	// awaits are next hops without a MAC, family none when there is none.
	awaits [2]neighKey
}

// same compares what a flow's owner was told.
func (v *verdict) same(w *verdict) bool {
	return v.path == w.path && v.reasons == w.reasons
}

// cause says in which respect two verdicts differ.
func (v *verdict) cause(now *verdict) flow.Cause {
	if v.path == now.path || (v.reasons|now.reasons).Without(flow.NeighbourUnresolved) != v.reasons&now.reasons {
		return flow.CauseRouteChanged
	}
	mtu, mac := *v, *v
	for d := range mtu.path {
		a, b := &mtu.path[d].Route, now.path[d].Route
		a.MTU, a.InMTU = b.MTU, b.InMTU
		mac.path[d].Route.DstMAC = b.DstMAC
	}
	switch now.path {
	case mtu.path:
		return flow.CauseMTUChanged
	case mac.path:
		return flow.CauseNeighbourChanged
	}
	return flow.CauseRouteChanged
}

// answer puts the verdict into the words of package flow.
func (j *job) answer() flow.Answer {
	v, q := &j.v, j.q
	a := flow.Answer{ID: q.ID, Gen: q.Gen, Reasons: v.reasons, Text: v.text}
	for d := range v.path {
		p := &v.path[d]
		a.Routes[d] = p.Route
		if p.Family == q.Orig.Family {
			a.Nexthop[d] = p.Nexthop
		}
		a.Evidence[d] = flow.Evidence{L3In: p.L3In, L3Out: p.L3Out, VRF: p.VRF, Legs: j.hops[d]}
		if g := j.seen[d]; g != nil {
			a.Evidence[d].Seen, a.Evidence[d].Mark = g.at, g.mark
		}
	}
	return a
}

// proven reports whether packets of every direction that matters were seen, and since
// the time that they had to be seen after.
func (j *job) proven() bool { return j.unproven() == nil }

// unproven is a direction of which no packet was seen, or none that counts.
func (j *job) unproven() *flow.Dir {
	for d, g := range j.seen {
		if (g == nil || g.at < j.q.Proof) && !(j.q.Alone && flow.Dir(d) == flow.Reply) {
			dir := flow.Dir(d)
			return &dir
		}
	}
	return nil
}

// prove refuses what has to be seen and was not. Where packets are watched that is
// every flow: one of which none leaves may be cut off by the ruleset, or have a
// source address that masquerading would give up by the way that it takes now.
func (j *job) prove(watched bool) {
	d := j.unproven()
	switch {
	case d == nil || j.q.Verdict == flow.Drop || j.q.Trust:
	case j.q.Proof != 0:
		j.refuse(flow.RouteUnobserved, "no %s packet of it was seen to pass since the ruleset changed", *d)
	case watched || j.q.Alone:
		j.refuse(flow.RouteUnobserved, "no %s packet of it was seen to leave: it is silent, or something holds its packets back", *d)
	}
}

// refuse adds a reason; the first one's sentence is kept, unless quiet.
func (j *job) refuse(r flow.Reason, format string, args ...any) {
	if j.v.reasons == 0 && !j.quiet {
		j.v.text = fmt.Sprintf(format, args...)
	}
	j.v.reasons = j.v.reasons.With(r)
}

// before refuses what needs no look-up: what the rules, the IPsec policies and
// the addresses alone decide.
func (p *picture) before(j *job, markKnown bool) {
	o, r := &j.q.Orig, &j.q.Reply
	f := o.Family
	if o.Proto != hwif.ProtoTCP && o.Proto != hwif.ProtoUDP {
		j.refuse(flow.ProtocolUnsupported, "protocol %s can't be asked about with ports", hwif.ProtoName(o.Proto))
	}
	rules := &p.rules[famIndex(f)]
	switch {
	case rules.unknown != 0:
		j.refuse(flow.RouteUnsupported, "an %s policy rule has a selector that is not known here (FRA %d)", f, rules.unknown)
	case rules.tunID:
		j.refuse(flow.RouteUnsupported, "an %s policy rule selects by tunnel id", f)
	case rules.tos:
		j.refuse(flow.RouteUnsupported, "an %s policy rule selects by TOS, DSCP or flow label, which differ from packet to packet", f)
	}
	if rules.fwmark && !markKnown && !j.observed() {
		j.refuse(flow.RouteUnobserved, "an %s policy rule selects by packet mark, and no packet of this flow has been seen with its mark; use the observer, or declare that it is the conntrack mark", f)
	}
	src, dst := o.SrcAddr(), r.SrcAddr()
	if f == hwif.IPv4 && (p.tos.covers(src) || p.tos.covers(dst)) {
		j.refuse(flow.RouteUnsupported, "a route with a TOS covers %s or %s: the way may differ from packet to packet", src, dst)
	}
	p.ipsec(j)
}

// ipsec refuses flows that an XFRM policy may cover, before or after NAT, in
// either direction.
func (p *picture) ipsec(j *job) {
	o, r := &j.q.Orig, &j.q.Reply
	switch {
	case p.ipsecFault != "":
		j.refuse(flow.IPsec, "IPsec policies can't be read: %s", p.ipsecFault)
		return
	case p.ipsecBlocks:
		j.refuse(flow.IPsec, "the default IPsec policy blocks what no policy allows")
		return
	case len(p.policies) == 0:
		return
	}
	left, right := [2]hwif.Addr{o.Src, r.Dst}, [2]hwif.Addr{o.Dst, r.Src}
	for i := range p.policies {
		pol := &p.policies[i]
		for _, a := range left {
			for _, b := range right {
				a, b := a.Netip(o.Family), b.Netip(o.Family)
				if pol.Covers(o.Family, o.Proto, a, b) || pol.Covers(o.Family, o.Proto, b, a) {
					j.refuse(flow.IPsec, "IPsec policy %s to %s may cover this flow", pol.Src, pol.Dst)
					return
				}
			}
		}
	}
}

// after makes the verdict of a flow whose look-ups went well: interfaces, next
// hops, MTU, and that the packets seen left just so.
func (p *picture) after(j *job) {
	var both [2][2]side
	ends := both[:]
	if j.q.Alone {
		ends = both[:1]
	}
	p.sides(j, ends)
	p.masquerade(j, &ends[flow.Orig][1])
	for d := range ends {
		in, out := &ends[d][0], &ends[d][1]
		if out.shaper != "" {
			j.refuse(flow.OffloadDisabledOnPort, "%s, which hardware would send past", out.shaper)
		}
		if in.xdp != "" {
			j.refuse(flow.OffloadDisabledOnPort, "%s has an XDP program that is not shunt's, which hardware would take packets past", in.xdp)
		}
		if in.l3 == out.l3 {
			j.refuse(flow.RouteUnsupported, "packets would leave by %s, where they came in: redirects are the kernel's", p.name(in.l3))
		} else if j.v.reasons == 0 && in.port != 0 && out.port != 0 && (in.device != out.device || in.device != ends[0][0].device) {
			j.refuse(flow.DifferentEswitch, "%s and %s belong to different devices", p.name(in.port), p.name(out.port))
		}
	}
	for d := range ends {
		p.finish(j, flow.Dir(d), &ends[d][0], &ends[d][1])
	}
	for d := range ends {
		if j.v.reasons == 0 && j.seen[d] != nil {
			p.confirmSeen(j, flow.Dir(d))
		}
	}
}

// sides finds the ports: first those that packets leave by, which tell by which they
// come in where several could be meant.
func (p *picture) sides(j *job, ends [][2]side) {
	f := j.q.Orig.Family
	take := func(s *side, dev hwif.Ifindex, c clue) {
		var reason flow.Reason
		var text string
		if *s, reason, text = p.stack(dev, f, c); reason != flow.ReasonNone {
			j.refuse(reason, "%s", text)
		}
	}
	for d := range ends {
		take(&ends[d][1], j.hop[d].Oif, clue{out: true, mac: p.macNow(j.nexthop(flow.Dir(d)))})
	}
	for d := range ends {
		c := clue{}
		if len(ends) == 2 {
			c.near = ends[1-d][1].wire()
			c.pending = c.near.port == 0
		}
		if g := j.seen[d]; g != nil && g.came.Port != 0 {
			c.near = wire{g.came.Port, g.came.VLAN}
		}
		take(&ends[d][0], j.in[d], c)
		if !p.forwards(f, j.in[d]) {
			j.refuse(flow.NoRoute, "%s forwarding is off on %s", f, p.name(j.in[d]))
		}
	}
}

// masquerade refuses a flow whose source became an address of another interface than
// the one by which it leaves: netfilter ends an entry that it masqueraded when the way
// out changes (nf_nat_oif_changed), and an entry does not say whether it did. A packet
// that left so shows that it did not.
func (p *picture) masquerade(j *job, out *side) {
	if j.seen[flow.Orig] != nil || j.q.Alone || j.q.Orig.Src == j.q.Reply.Dst {
		return
	}
	elsewhere := hwif.Ifindex(0)
	for a := range p.addrs {
		if a.addr != j.q.Reply.Dst || a.family != j.q.Orig.Family {
			continue
		}
		if a.ifindex == out.l3 {
			return
		}
		elsewhere = a.ifindex
	}
	if elsewhere != 0 {
		j.refuse(flow.RouteUnobserved, "its source became %s, an address of %s, but it leaves by %s: if it was masqueraded, that ends it",
			j.q.Reply.DstAddr(), p.name(elsewhere), p.name(out.l3))
	}
}

// nexthop is the neighbour that packets of a direction are sent to: the route's
// gateway, or the destination itself when it is on the link.
func (j *job) nexthop(d flow.Dir) neighKey {
	r := &j.hop[d]
	k := neighKey{Addr: r.Gateway, Ifindex: r.Oif, Family: r.GwFamily}
	if k.Family == hwif.FamilyNone {
		k.Addr, k.Family = j.q.Reply.Src, j.q.Orig.Family
		if d == flow.Reply {
			k.Addr = j.q.Orig.Src
		}
	}
	return k
}

// finish fills one direction's path. Only a good one carries a route.
func (p *picture) finish(j *job, d flow.Dir, in, out *side) {
	r := &j.hop[d]
	v := &j.v.path[d]
	k := j.nexthop(d)
	*v = path{L3In: in.l3, L3Out: out.l3, VRF: in.vrf, BundleIn: in.bundle, BundleOut: out.bundle,
		Nexthop: k.Addr, Family: k.Family, Legs: j.v.path[d].Legs}
	v.Route = flow.Route{In: in.port, Out: out.port, InVLAN: in.vlan, OutVLAN: out.vlan,
		InMAC: in.mac, SrcMAC: out.mac, MTU: out.mtu, InMTU: in.mtu}
	if r.MTU != 0 {
		v.Route.MTU = min(v.Route.MTU, clampMTU(r.MTU))
	}
	if g := j.seen[d]; g != nil {
		v.Route.TTL = g.ttl + 1
	}
	if j.v.reasons.Without(flow.NeighbourUnresolved) != 0 {
		return
	}
	mac := p.macNow(k)
	switch {
	case mac.IsZero():
		n := p.neighs[k].wire(k)
		j.v.awaits[d] = k
		j.refuse(flow.NeighbourUnresolved, "next hop %s on %s is %s", v.Nexthop.Netip(v.Family), p.name(out.l3), n.StateName())
	case !mac.IsUnicast():
		j.refuse(flow.RouteUnsupported, "next hop %s on %s has the group address %s", v.Nexthop.Netip(v.Family), p.name(out.l3), mac)
	case out.port == 0:
		j.v.awaits[d] = k
		j.refuse(flow.NeighbourUnresolved, "bridge %s does not know behind which port next hop %s is", p.name(out.bundle), mac)
	default:
		v.Route.DstMAC = mac
	}
}
