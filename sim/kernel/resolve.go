package kernel

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// watch is a query that was answered and not yet forgotten.
type watch struct {
	query flow.Query
	told  flow.Answer
	holds bool // false once the answer was said to be dirty
}

// Resolver is the kernel's routing as the daemon's loop wants it.
func (k *Kernel) Resolver() offload.Resolver { return resolver{k} }

type resolver struct{ k *Kernel }

// Run says Synced at once: the routing table is known as it stands.
func (r resolver) Run(ctx context.Context, emit func(flow.Event)) error {
	emit(flow.Synced{Source: flow.SourceRoute, Begin: r.k.clock.Now()})
	return r.k.run(ctx, flow.SourceRoute, emit)
}

// Resolve answers each query by an Answer, and watches it until Forget.
func (r resolver) Resolve(qs []flow.Query) {
	k := r.k
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, q := range qs {
		w := &watch{query: q, told: k.resolve(&q), holds: true}
		k.watched[q.ID] = w
		k.post(flow.SourceRoute, w.told)
	}
}

// Forget ends the watch.
func (r resolver) Forget(ids []flow.ID) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	for _, id := range ids {
		delete(r.k.watched, id)
	}
}

// Recount has nothing to count: packets of no connection do not exist here.
func (r resolver) Recount([]flow.Tuple) {}

// SetPorts is noted; every interface here is a port of the card.
func (r resolver) SetPorts(ports []hwif.Port) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.k.ports = append(r.k.ports[:0], ports...)
}

// changed tells of the watched flows whose answer would now be another one.
func (k *Kernel) changed(cause flow.Cause, text string) {
	d := flow.Dirty{Cause: cause, Text: text, At: k.clock.Now()}
	for id, w := range k.watched {
		if w.holds && k.resolve(&w.query) != w.told {
			w.holds = false
			d.IDs = append(d.IDs, id)
		}
	}
	if len(d.IDs) > 0 {
		k.post(flow.SourceRoute, d)
	}
}

// resolve asks what routing sees: the destination after NAT of the way there is
// the reply's source, and packets enter where the way back leaves.
func (k *Kernel) resolve(q *flow.Query) flow.Answer {
	a := flow.Answer{ID: q.ID, Gen: q.Gen}
	ends := [2]netip.Addr{flow.Orig: q.Reply.SrcAddr(), flow.Reply: q.Orig.SrcAddr()}
	var hops [2]hop
	for d, dst := range ends {
		h, ok := k.lookup(dst)
		switch {
		case k.local(dst):
			return k.refuse(a, flow.Local, "%s is the router's own address", dst)
		case !ok:
			return k.refuse(a, flow.NoRoute, "no route to %s", dst)
		case h.mac.IsZero():
			return k.refuse(a, flow.NeighbourUnresolved, "%s does not answer on %s", h.next, h.link.Name)
		}
		hops[d] = h
		a.Nexthop[d], _ = hwif.AddrFrom(h.next)
	}
	if hops[0].link == hops[1].link {
		return k.refuse(a, flow.RouteUnsupported, "enters and leaves by %s", hops[0].link.Name)
	}
	for d := range hops {
		in, out := hops[d^1].link, hops[d]
		a.Routes[d] = flow.Route{In: in.Port, InVLAN: in.VLAN, InMAC: in.MAC, InMTU: in.MTU,
			Out: out.link.Port, OutVLAN: out.link.VLAN, SrcMAC: out.link.MAC, DstMAC: out.mac, MTU: out.mtu}
	}
	return a
}

func (k *Kernel) refuse(a flow.Answer, r flow.Reason, format string, args ...any) flow.Answer {
	a.Nexthop = [2]hwif.Addr{}
	a.Reasons, a.Text = flow.Of(r), fmt.Sprintf(format, args...)
	return a
}
