package switchdev

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Resolve follows an interface down to the ports at its bottom, through VLAN
// (802.1Q and 802.1ad), bond, team, bridge and macvlan. The Ports in it are
// inv's own.
func (inv *Inventory) Resolve(i hwif.Ifindex) Stack {
	s := Stack{Ifindex: i}
	l, ok := inv.links[i]
	if !ok {
		s.Refused = refuse(RefusedUnknown, i, "interface %d is not known", i)
		return s
	}
	s.Name, s.Masters = l.Name, inv.masters(i)
	s.Refused = inv.down(&s, i, nil, nil)
	if s.Refused.Code == RefusedNot && len(s.Legs) > MaxLegs {
		s.Legs, s.Refused = nil, refuse(RefusedDepth, i, "more than %d interfaces lie below %s", MaxLegs, l.Name)
	}
	return s
}

// masters are what an interface belongs to, upwards.
func (inv *Inventory) masters(i hwif.Ifindex) (out []hwif.Ifindex) {
	for len(out) < MaxDepth {
		m := inv.links[i].Master
		if m == 0 || m == i || slices.Contains(out, m) {
			return out
		}
		out = append(out, m)
		i = m
	}
	return out
}

func refuse(c RefusalCode, i hwif.Ifindex, format string, args ...any) Refusal {
	return Refusal{c, i, fmt.Sprintf(format, args...)}
}

// down adds the legs below i. What it refuses has added no leg.
func (inv *Inventory) down(s *Stack, i hwif.Ifindex, tags []Tag, via []hwif.Ifindex) Refusal {
	l, ok := inv.links[i]
	switch {
	case !ok:
		return refuse(RefusedUnknown, i, "the interface below %s, number %d, is not known", inv.nameOf(via), i)
	case slices.Contains(via, i):
		return refuse(RefusedLoop, i, "%s lies on itself", l.Name)
	case len(via) >= MaxDepth:
		return refuse(RefusedDepth, i, "more than %d interfaces lie on each other at %s", MaxDepth, l.Name)
	}
	if _, isPort := inv.ports[i]; isPort {
		inv.leg(s, &l, tags, via)
		return Refusal{}
	}
	switch l.Kind {
	case "vlan":
		tags = slices.Concat([]Tag{{Proto: l.VLANProto, ID: l.VLAN, EgressQoS: l.EgressQoS}}, tags)
		return inv.lower(s, &l, tags, via)
	case "macvlan", "macvtap":
		return inv.lower(s, &l, tags, via)
	case "bond", "team":
		if s.Bond == nil {
			s.Bond = bondOf(&l)
		}
		return inv.members(s, &l, tags, via)
	case "bridge":
		if s.Bridge == 0 {
			s.Bridge = i
		}
		return inv.members(s, &l, tags, via)
	}
	inv.leg(s, &l, tags, via)
	return Refusal{}
}

// lower goes to the one interface that l lies on.
func (inv *Inventory) lower(s *Stack, l *Link, tags []Tag, via []hwif.Ifindex) Refusal {
	if l.LowerForeign {
		return refuse(RefusedNetns, l.Index, "%s lies on an interface in another network namespace", l.Name)
	}
	return inv.down(s, l.Lower, tags, slices.Concat(via, []hwif.Ifindex{l.Index}))
}

// members goes to each interface that belongs to l. One that leads nowhere is a
// leg that says so: the others stay usable, and it is for the caller to decide
// whether half a bond is enough.
func (inv *Inventory) members(s *Stack, l *Link, tags []Tag, via []hwif.Ifindex) Refusal {
	list := inv.slaves[l.Index]
	if len(list) == 0 {
		return refuse(RefusedEmpty, l.Index, "%s, a %s, has no members", l.Name, l.Kind)
	}
	via = slices.Concat(via, []hwif.Ifindex{l.Index})
	for _, m := range list {
		if len(s.Legs) > MaxLegs {
			break
		}
		at := len(s.Legs)
		if r := inv.down(s, m, tags, via); r.Code != RefusedNot {
			s.Legs = append(s.Legs, Leg{Ifindex: m, Name: inv.links[m].Name, Tags: tags, Via: via, Refused: r})
		}
		for k := range s.Legs[at:] {
			leg := &s.Legs[at+k]
			leg.Backup = leg.Backup || backup(l, m, inv.links[m].SlaveBackup)
		}
	}
	return Refusal{}
}

// backup reports whether a bond does not send by member m at present.
func backup(bond *Link, m hwif.Ifindex, saidSo bool) bool {
	if bond.Kind != "bond" {
		return false
	}
	if BondMode(bond.BondMode) == BondActiveBackup && bond.BondActive != 0 {
		return bond.BondActive != m
	}
	return saidSo
}

func bondOf(l *Link) *Bond {
	b := &Bond{Ifindex: l.Index, Name: l.Name, Kind: l.Kind, Mode: BondMode(l.BondMode), Active: l.BondActive}
	if l.Kind == "team" {
		b.Mode, b.Active = BondTeam, 0
	}
	return b
}

// leg ends at an interface that lies on no other.
func (inv *Inventory) leg(s *Stack, l *Link, tags []Tag, via []hwif.Ifindex) {
	leg := Leg{Ifindex: l.Index, Name: l.Name, Tags: tags, Via: via}
	if p, ok := inv.ByIfindex(l.Index); ok {
		leg.Port = p
	} else {
		leg.Refused = inv.why(l)
	}
	s.Legs = append(s.Legs, leg)
}

// tunnels are the kinds below which there is a route and not an interface.
var tunnels = []string{"vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "sit", "ip6tnl",
	"vti", "vti6", "xfrm", "wireguard", "gtp", "bareudp", "ppp", "amt", "pfcp", "ovpn"}

// why says why an interface at the bottom is no port.
func (inv *Inventory) why(l *Link) Refusal {
	if text := inv.doubt[l.Index]; text != "" {
		return Refusal{RefusedDuplicate, l.Index, text}
	}
	switch {
	case l.Kind == "veth":
		return refuse(RefusedVeth, l.Index, "%s is a veth: behind it is another interface of this host, not a card", l.Name)
	case slices.Contains(tunnels, l.Kind):
		return refuse(RefusedTunnel, l.Index, "%s is a tunnel (%s), which can't be followed to a port", l.Name, l.Kind)
	case l.Flags&unix.IFF_LOOPBACK != 0:
		return refuse(RefusedVirtual, l.Index, "%s is the loopback interface", l.Name)
	case l.Kind != "":
		return refuse(RefusedVirtual, l.Index, "%s is of kind %s, which has no port below it", l.Name, l.Kind)
	}
	return refuse(RefusedNotPort, l.Index, "%s is not a port of a switchdev device", l.Name)
}

func (inv *Inventory) nameOf(via []hwif.Ifindex) string {
	if len(via) == 0 {
		return "it"
	}
	return inv.links[via[len(via)-1]].Name
}
