package route

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// picture is what is known of the host besides the FIB. Owned by Run.
type picture struct {
	links    map[hwif.Ifindex]rtnl.Link
	members  map[hwif.Ifindex][]hwif.Ifindex // by master; nil to be made anew
	fdb      map[station]hwif.Ifindex        // where bridges have a MAC: a port, or the bridge itself
	fresh    map[hwif.Ifindex]struct{}       // made since the first listing, and never up yet
	neighs   map[neighKey]neighbour
	conf     map[confKey]conf
	addrs    map[addrKey]uint32 // local addresses to IFA_F_* flags
	rules    [2]ruleSummary     // by famIndex
	ports    map[hwif.Ifindex]hwif.Port
	tos      tosRoutes
	ownXDP   bool // XDP programs on ports are the device's
	policies []rtnl.Policy
	// multipath is how legs are chosen, as last read: up to a second ago.
	multipath multipathSysctls
	// ipsecFault is why the policies are not known, empty when they are.
	ipsecFault  string
	ipsecBlocks bool // the default policy blocks forwarding
}

// neighbour is the kernel's entry; no pointer inside.
type neighbour struct {
	state    uint16
	flags    uint8
	flagsExt uint32
	mac      hwif.MAC
}

func (n neighbour) wire(k neighKey) rtnl.Neigh {
	return rtnl.Neigh{Dst: k.Addr, Ifindex: k.Ifindex, Family: k.Family,
		State: n.state, Flags: n.flags, FlagsExt: n.flagsExt, MAC: n.mac}
}

// confirmable reports whether the entry is stale and may be probed.
func (n neighbour) confirmable() bool {
	w := n.wire(neighKey{})
	return w.Stale() && !w.Fixed()
}

// settled reports whether asking for the entry's resolution is of no use: it is
// configured, or being resolved.
func (n neighbour) settled() bool {
	w := n.wire(neighKey{})
	return w.Fixed() || w.Resolving()
}

// macNow is the MAC that the kernel would send to now, zero when there is none.
func (p *picture) macNow(k neighKey) hwif.MAC {
	n := p.neighs[k]
	w := n.wire(k)
	if !w.Usable() {
		return hwif.MAC{}
	}
	return n.mac
}

type confKey struct {
	ifindex int32
	family  hwif.Family
}

type conf struct{ forwarding, rpFilter int32 }

type addrKey struct {
	addr    hwif.Addr
	ifindex hwif.Ifindex
	len     uint8
	family  hwif.Family
}

// ruleSummary is what a family's policy routing rules may ask that a look-up
// can't answer.
type ruleSummary struct {
	fwmark, tunID, tos, custom bool
	unknown                    uint16
}

func (s *ruleSummary) add(r rtnl.Rule) {
	s.fwmark = s.fwmark || r.Fwmark
	s.tunID = s.tunID || r.TunID
	s.tos = s.tos || r.Tos
	if r.Unknown != 0 {
		s.unknown = r.Unknown
	}
	switch r.Priority {
	case 0, 32766, 32767: // local, main, default
	default:
		s.custom = true
	}
}

// famIndex numbers the families from 0.
func famIndex(f hwif.Family) int {
	if f == hwif.IPv6 {
		return 1
	}
	return 0
}

var families = [2]hwif.Family{hwif.IPv4, hwif.IPv6}

func newPicture() *picture {
	return &picture{
		links: map[hwif.Ifindex]rtnl.Link{}, fresh: map[hwif.Ifindex]struct{}{}, neighs: map[neighKey]neighbour{},
		fdb: map[station]hwif.Ifindex{}, conf: map[confKey]conf{}, addrs: map[addrKey]uint32{}, ports: map[hwif.Ifindex]hwif.Port{},
	}
}

// setConf takes one message; values that it lacks stay. It reports a change.
func (p *picture) setConf(c rtnl.Conf) bool {
	k := confKey{c.Ifindex, c.Family}
	old, known := p.conf[k]
	now := old
	if c.Forwarding >= 0 {
		now.forwarding = c.Forwarding
	}
	if c.RPFilter >= 0 {
		now.rpFilter = c.RPFilter
	}
	p.conf[k] = now
	return !known || now != old
}

// strict reports whether the kernel itself refuses packets of the family that
// enter by dev although the way back leads elsewhere: rp_filter is the larger
// of all's and the interface's value, and 1 is strict. IPv6 has none.
func (p *picture) strict(f hwif.Family, dev hwif.Ifindex) bool { return p.rpFilter(f, dev) == 1 }

func (p *picture) rpFilter(f hwif.Family, dev hwif.Ifindex) int32 {
	if f != hwif.IPv4 {
		return 0
	}
	return max(p.conf[confKey{rtnl.ConfAll, f}].rpFilter, p.conf[confKey{int32(dev), f}].rpFilter)
}

// forwards reports whether packets of the family that enter by dev may be
// forwarded. A look-up says so itself for IPv4, never for IPv6. IPv6 asks conf.all
// alone; an interface with forwarding off still forwards, it only behaves as a
// host towards router advertisements (ip6_forward; seen on 6.18). conf.X.force_forwarding
// (6.17) is not looked at: those packets stay with the kernel.
func (p *picture) forwards(f hwif.Family, dev hwif.Ifindex) bool {
	if f == hwif.IPv6 {
		return p.conf[confKey{rtnl.ConfAll, f}].forwarding != 0
	}
	return p.conf[confKey{int32(dev), f}].forwarding != 0
}

// name is an interface's name for sentences.
func (p *picture) name(dev hwif.Ifindex) string {
	if l, ok := p.links[dev]; ok {
		return l.Name
	}
	return "interface " + itoa(uint32(dev))
}
