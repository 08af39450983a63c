package kernel

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Route is one entry of the routing table.
type Route struct {
	Prefix netip.Prefix
	Link   string
	Via    netip.Addr // the gateway; invalid when destinations are on the link
	MTU    uint16     // 0 is the link's
}

type neighbour struct {
	link string
	addr netip.Addr
}

// AddRoute adds a route; one with the same prefix must not exist.
func (k *Kernel) AddRoute(r Route) error {
	return k.putRoute(r, false)
}

// ReplaceRoute adds a route, or puts it in the place of the one with its prefix.
func (k *Kernel) ReplaceRoute(r Route) error {
	return k.putRoute(r, true)
}

func (k *Kernel) putRoute(r Route, replace bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.link(r.Link) == nil {
		return fmt.Errorf("route %s: no link %q", r.Prefix, r.Link)
	}
	if !r.Prefix.IsValid() || r.Prefix != r.Prefix.Masked() {
		return fmt.Errorf("route %s: not a prefix", r.Prefix)
	}
	at, word := k.routeAt(r.Prefix), "added"
	switch {
	case at < 0:
		k.routes = append(k.routes, r)
	case !replace:
		return fmt.Errorf("route %s: exists", r.Prefix)
	default:
		k.routes[at], word = r, "replaced"
	}
	k.changed(flow.CauseRouteChanged, fmt.Sprintf("route %s %s", r.Prefix, word))
	return nil
}

// DelRoute removes the route with the prefix.
func (k *Kernel) DelRoute(p netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.routeAt(p)
	if at < 0 {
		return fmt.Errorf("route %s: does not exist", p)
	}
	k.routes = slices.Delete(k.routes, at, at+1)
	k.changed(flow.CauseRouteChanged, fmt.Sprintf("route %s removed", p))
	return nil
}

func (k *Kernel) routeAt(p netip.Prefix) int {
	return slices.IndexFunc(k.routes, func(r Route) bool { return r.Prefix == p })
}

// SetNeighbour says which MAC an address on a link has; the zero MAC means that
// nobody answers for it.
func (k *Kernel) SetNeighbour(link string, addr netip.Addr, mac hwif.MAC) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.link(link) == nil {
		return fmt.Errorf("neighbour %s: no link %q", addr, link)
	}
	n := neighbour{link, addr}
	k.neighbours[n] = mac
	if mac.IsZero() {
		delete(k.neighbours, n)
	}
	k.changed(flow.CauseNeighbourChanged, fmt.Sprintf("neighbour %s on %s", addr, link))
	return nil
}

// hop is how packets to one destination leave.
type hop struct {
	link *Link
	next netip.Addr // whom the frame goes to
	mac  hwif.MAC   // zero when unresolved
	mtu  uint16
}

// lookup finds the longest prefix over a link that is up.
func (k *Kernel) lookup(dst netip.Addr) (hop, bool) {
	var best *Route
	for i := range k.routes {
		r := &k.routes[i]
		if r.Prefix.Contains(dst) && (best == nil || r.Prefix.Bits() > best.Prefix.Bits()) && !k.link(r.Link).down {
			best = r
		}
	}
	if best == nil {
		return hop{}, false
	}
	h := hop{link: k.link(best.Link), next: dst}
	if best.Via.IsValid() {
		h.next = best.Via
	}
	h.mac = k.neighbours[neighbour{best.Link, h.next}]
	h.mtu = h.link.MTU
	if best.MTU != 0 {
		h.mtu = min(h.mtu, best.MTU)
	}
	return h, true
}
