package route

import (
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// tosRoutes are the IPv4 prefixes with a route for one TOS only. IPv4 routes
// can vanish silently, so it may hold too many until the next listing.
type tosRoutes struct {
	routes map[tosKey]struct{}
}

type tosKey struct {
	dst   hwif.Addr
	table uint32
	len   uint8
	tos   uint8
}

func (t *tosRoutes) set(r *rtnl.Route, there bool) (changed bool) {
	if r.Tos == 0 || r.Family != hwif.IPv4 {
		return false
	}
	k := tosKey{r.Dst, r.Table, r.DstLen, r.Tos}
	_, had := t.routes[k]
	switch {
	case there && !had:
		if t.routes == nil {
			t.routes = map[tosKey]struct{}{}
		}
		t.routes[k] = struct{}{}
	case !there && had:
		delete(t.routes, k)
	}
	return there != had
}

// covers reports whether a TOS route's prefix holds a. There are few.
func (t *tosRoutes) covers(a netip.Addr) bool {
	for k := range t.routes {
		if p, err := k.dst.Netip(hwif.IPv4).Prefix(int(k.len)); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}
