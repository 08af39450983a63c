package route

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// path is one way through the router that flows share: the route and what it
// was made from. Comparable, no pointer.
type path struct {
	Route   flow.Route
	Nexthop hwif.Addr // next hop's IP address, the destination itself when it is on the link
	Family  hwif.Family
	L3In    hwif.Ifindex // interface with the ingress IP configuration
	L3Out   hwif.Ifindex // interface that the kernel routes to
	VRF     hwif.Ifindex // that L3In belongs to, 0 for none
	// Bridge or bond between L3In, L3Out and their ports; 0 for none.
	BundleIn, BundleOut hwif.Ifindex
	Legs                uint64 // what else the multipath route holds that a packet was seen choosing from, hashed; 0 for a single way
}

func (p *path) neighbour() neighKey {
	return neighKey{Addr: p.Nexthop, Ifindex: p.L3Out, Family: p.Family}
}

const maxIfaces = 7

// ifaces are the interfaces that the path rests on, 0 for none, each once.
func (p *path) ifaces() [maxIfaces]hwif.Ifindex {
	out := [maxIfaces]hwif.Ifindex{p.L3In, p.Route.In, p.L3Out, p.Route.Out, p.VRF, p.BundleIn, p.BundleOut}
	for i := range out {
		for k := range i {
			if out[k] == out[i] {
				out[i] = 0
			}
		}
	}
	return out
}

// neighKey names a neighbour entry.
type neighKey struct {
	Addr    hwif.Addr
	Ifindex hwif.Ifindex
	Family  hwif.Family
}

// paths is the set of paths in use, found by number, by value, by interface and
// by neighbour.
type paths struct {
	all      []pathSlot // by number; 0 is never used
	free     []uint32
	byPath   map[path]uint32
	byLink   map[hwif.Ifindex]uint32 // head in linkList; node = number*maxIfaces + place in ifaces
	linkList chains
	byNeigh  map[neighKey]uint32 // head in neighList; node = number
	neighs   chains
}

type pathSlot struct {
	path
	flows uint32 // head in index.onPath
	uses  uint32
}

func newPaths() *paths {
	return &paths{
		all: make([]pathSlot, 1), byPath: map[path]uint32{},
		byLink: map[hwif.Ifindex]uint32{}, byNeigh: map[neighKey]uint32{},
	}
}

// take gives the number of p and counts one user more; 0 for the zero path.
func (ps *paths) take(p *path) uint32 {
	if *p == (path{}) {
		return 0
	}
	n, ok := ps.byPath[*p]
	if !ok {
		n = ps.insert(p)
	}
	ps.all[n].uses++
	return n
}

func (ps *paths) insert(p *path) uint32 {
	var n uint32
	if k := len(ps.free); k > 0 {
		n, ps.free = ps.free[k-1], ps.free[:k-1]
		ps.all[n] = pathSlot{path: *p}
	} else {
		n = uint32(len(ps.all))
		ps.all = append(ps.all, pathSlot{path: *p})
		ps.linkList.grow(maxIfaces * len(ps.all))
		ps.neighs.grow(len(ps.all))
	}
	ps.byPath[*p] = n
	for i, dev := range p.ifaces() {
		if dev != 0 {
			ps.byLink[dev] = ps.linkList.push(ps.byLink[dev], n*maxIfaces+uint32(i))
		}
	}
	if key := p.neighbour(); key.Family != hwif.FamilyNone {
		ps.byNeigh[key] = ps.neighs.push(ps.byNeigh[key], n)
	}
	return n
}

// release counts one user less and forgets a path that has none.
func (ps *paths) release(n uint32) {
	s := &ps.all[n]
	if n == 0 {
		return
	}
	if s.uses--; s.uses > 0 {
		return
	}
	delete(ps.byPath, s.path)
	for i, dev := range s.ifaces() {
		if dev != 0 {
			setHead(ps.byLink, dev, ps.linkList.remove(ps.byLink[dev], n*maxIfaces+uint32(i)))
		}
	}
	if key := s.neighbour(); key.Family != hwif.FamilyNone {
		setHead(ps.byNeigh, key, ps.neighs.remove(ps.byNeigh[key], n))
	}
	*s = pathSlot{}
	ps.free = append(ps.free, n)
}

func setHead[K comparable](m map[K]uint32, k K, head uint32) {
	if head == 0 {
		delete(m, k)
	} else {
		m[k] = head
	}
}

// onLink calls f for every path that rests on dev.
func (ps *paths) onLink(dev hwif.Ifindex, f func(n uint32)) {
	ps.linkList.each(ps.byLink[dev], func(node uint32) { f(node / maxIfaces) })
}

// byNeighbour calls f for every path whose next hop k is.
func (ps *paths) byNeighbour(k neighKey, f func(n uint32)) {
	ps.neighs.each(ps.byNeigh[k], f)
}
