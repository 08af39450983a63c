package route

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// wire is where frames are: a port, and the tag that they have there.
type wire struct {
	port hwif.Ifindex
	vlan hwif.VLAN
}

// clue is what tells which member of a bridge, bond or VRF is meant. Routing knows the
// uppermost of them alone (skb_iif). Packets come in by the member where one was seen,
// or else by the one by which the other direction leaves; should they come in by yet
// another, no rule matches them, and the kernel has them.
type clue struct {
	out     bool     // on its way out
	mac     hwif.MAC // to which frames go, on the way out; zero when it is not known
	near    wire     // on the way in; zero for none
	pending bool     // it is not known yet
}

// domain is the interface that routing takes packets of dev to have come in by: the
// VRF that it belongs to (vrf_ip_rcv, drivers/net/vrf.c), or dev itself.
func (p *picture) domain(dev hwif.Ifindex) hwif.Ifindex {
	if l, ok := p.links[dev]; ok && l.SlaveKind == "vrf" {
		return l.Master
	}
	return dev
}

// inVRF is the member of a VRF by which packets come in.
func (p *picture) inVRF(vrf *rtnl.Link, c clue) (rtnl.Link, flow.Reason, string) {
	if c.out {
		return *vrf, flow.RouteUnsupported, fmt.Sprintf("the route leads into %s, where it is looked up again", vrf.Name)
	}
	return p.theOne(vrf, c)
}

// theOne is the member of l that leads to where the other direction leaves, or the
// only one. Index 0 without a reason: it is not known yet.
func (p *picture) theOne(l *rtnl.Link, c clue) (rtnl.Link, flow.Reason, string) {
	members := p.membersOf(l.Index)
	for _, m := range members {
		if c.near.port != 0 && p.reaches(m, c.near, maxLayers) {
			return p.links[m], flow.ReasonNone, ""
		}
	}
	switch {
	case len(members) == 1:
		return p.links[members[0]], flow.ReasonNone, ""
	case c.pending:
		return rtnl.Link{}, flow.ReasonNone, ""
	}
	return *l, flow.RouteUnobserved, fmt.Sprintf("packets come in by one of the %d members of %s, and by which is not known", len(members), l.Name)
}

// maxLayers bounds how deep interfaces are stacked: VRF, VLAN, bridge, VLAN, port.
const maxLayers = 5

// reaches reports whether frames of dev may be where w says.
func (p *picture) reaches(dev hwif.Ifindex, w wire, layers int) bool {
	l := p.links[dev]
	switch {
	case layers == 0:
		return false
	case l.Kind == "vlan":
		return l.VLAN == w.vlan && p.reaches(l.Parent, wire{port: w.port}, layers-1)
	case l.Kind == "bridge" || l.Kind == "bond":
		for _, m := range p.membersOf(dev) {
			if p.reaches(m, w, layers-1) {
				return true
			}
		}
		return false
	}
	return dev == w.port && w.vlan == 0
}

// inBundle is the member of a bridge or bond that frames come in or leave by, with a
// tag if they have one above it. Index 0 without a reason: it is not known yet.
func (p *picture) inBundle(l *rtnl.Link, tag hwif.VLAN, c clue) (rtnl.Link, flow.Reason, string) {
	if l.Kind == "bond" {
		return p.inBond(l)
	}
	if l.VLANFilter {
		return *l, flow.Bridged, l.Name + " filters VLANs, which is not followed"
	}
	if !c.out {
		if c.near.vlan == tag { // it is put on above the bridge, not below
			c.near.vlan = 0
		}
		m, reason, text := p.theOne(l, c)
		if reason == flow.ReasonNone && m.Index != 0 {
			reason, text = p.takesPart(&m, l)
		}
		return m, reason, text
	}
	at, known := p.fdb[station{l.Index, c.mac}]
	if !known {
		return rtnl.Link{}, flow.ReasonNone, ""
	}
	m, ok := p.links[at]
	if !ok || m.Master != l.Index {
		return *l, flow.Bridged, fmt.Sprintf("%s has %s behind itself or a port that is not known", l.Name, c.mac)
	}
	reason, text := p.takesPart(&m, l)
	return m, reason, text
}

// takesPart refuses a bridge's port that passes no frames.
func (p *picture) takesPart(m, bridge *rtnl.Link) (flow.Reason, string) {
	if m.Passive {
		return flow.Bridged, fmt.Sprintf("%s forwards nothing on bridge %s (spanning tree)", m.Name, bridge.Name)
	}
	return flow.ReasonNone, ""
}

// bondActiveBackup is BOND_MODE_ACTIVEBACKUP (include/uapi/linux/if_bonding.h): the
// only mode in which one member is all there is.
const bondActiveBackup = 1

func (p *picture) inBond(l *rtnl.Link) (rtnl.Link, flow.Reason, string) {
	if l.BondMode != bondActiveBackup {
		return *l, flow.LAGUnsupported, fmt.Sprintf("%s spreads packets over its members (mode %d); only active-backup (1) can be followed", l.Name, l.BondMode)
	}
	m, ok := p.links[l.Active]
	if !ok || m.Master != l.Index {
		return *l, flow.NoRoute, l.Name + " has no active member"
	}
	return m, flow.ReasonNone, ""
}

// membersOf are the interfaces whose master dev is.
func (p *picture) membersOf(dev hwif.Ifindex) []hwif.Ifindex {
	if p.members == nil {
		p.members = map[hwif.Ifindex][]hwif.Ifindex{}
		for i, l := range p.links {
			if l.Master != 0 {
				p.members[l.Master] = append(p.members[l.Master], i)
			}
		}
	}
	return p.members[dev]
}

// setLink takes an interface as it is now.
func (p *picture) setLink(l *rtnl.Link) {
	if old, known := p.links[l.Index]; !known || old.Master != l.Master {
		p.members = nil
	}
	p.links[l.Index] = *l
}

func (p *picture) dropLink(dev hwif.Ifindex) {
	delete(p.links, dev)
	p.members = nil
}
