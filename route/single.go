package route

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// single refuses flows whose source could arrive by another interface as well:
// one that has a route to orig.src of the same prefix length or longer, as a
// backup with a worse metric is. Where rp_filter is strict the kernel itself
// sees to it. Results are kept per prefix until a notification touches them.
func (a *asker) single(jobs []job) error {
	for i := range jobs {
		j := &jobs[i]
		if j.failed() || !j.full || j.seen[flow.Orig] != nil || a.strict(j.q.Orig.Family, j.in[flow.Orig]) {
			continue
		}
		prefix, err := j.q.Orig.SrcAddr().Prefix(int(j.srcLn))
		if err != nil {
			continue // never: the kernel's own prefix length
		}
		other, known := a.several[prefix]
		if !known {
			if other, err = a.otherWay(j); err != nil {
				return err
			}
			if a.several == nil || len(a.several) >= maxSeveral {
				a.several = map[netip.Prefix]hwif.Ifindex{}
			}
			a.several[prefix] = other
		}
		if other != 0 {
			j.refuse(flow.RouteUnobserved, "packets from %s may enter by %s or by %s: both lead to %s, and rp_filter is not strict",
				j.q.Orig.SrcAddr(), a.name(j.in[flow.Orig]), a.name(other), prefix)
		}
	}
	return nil
}

// maxSeveral bounds the memory of prefixes; past it, it is learnt anew.
const maxSeveral = 1 << 16

// forget drops what single remembers.
func (a *asker) forget() { clear(a.several) }

// otherWay gives an interface other than the ingress that leads to orig.src as
// specifically, 0 when there is none.
func (a *asker) otherWay(j *job) (hwif.Ifindex, error) {
	for dev, l := range a.links {
		if a.domain(dev) == j.in[flow.Orig] || l.Flags&unix.IFF_LOOPBACK != 0 || l.Flags&unix.IFF_UP == 0 {
			continue
		}
		k := a.question(j.q, flow.Reply, 0)
		k.HasSrc, k.FibMatch, k.Oif = false, true, dev
		a.add(0, k)
	}
	other := hwif.Ifindex(0)
	err := a.ask([]job{{}}, func(_ *job, k *rtnl.Ask, got *rtnl.Answer) {
		if got.Errno == 0 && got.Route.Type == unix.RTN_UNICAST && got.Route.DstLen >= j.srcLn {
			if other == 0 || k.Oif < other {
				other = k.Oif
			}
		}
	})
	return other, err
}
