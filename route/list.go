package route

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// tries is how often a listing is begun anew because the table changed under it.
const tries = 10

func retry(what string, list func() error) error {
	var err error
	for range tries {
		if err = list(); !errors.Is(err, rtnl.ErrInterrupted) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", what, err)
	}
	return nil
}

// listAll makes the picture anew. Differences are handled as if they had been
// notified.
func (r *Resolver) listAll() error {
	for _, part := range []func() error{r.listConf, r.listLinks, r.listAddrs, r.listNeighs, r.listFDB, r.listTOS, r.listPolicies} {
		if err := part(); err != nil {
			return err
		}
	}
	for _, f := range families {
		if err := r.listRules(f); err != nil {
			return err
		}
	}
	r.readMultipath()
	r.ask.forget()
	r.core.stats.Listings++ // and from here on a link that appears is new
	return nil
}

func (r *Resolver) listLinks() error {
	var all map[hwif.Ifindex]rtnl.Link
	err := retry("links", func() error {
		all = map[hwif.Ifindex]rtnl.Link{}
		return r.conn.Links(func(l rtnl.Link) { all[l.Index] = l })
	})
	if err != nil {
		return err
	}
	for i, l := range r.view.links {
		if _, there := all[i]; !there {
			r.onLink(&l, true)
		}
	}
	for _, l := range all {
		r.onLink(&l, false)
	}
	return nil
}

func (r *Resolver) listNeighs() error {
	var all map[neighKey]rtnl.Neigh
	err := retry("neighbours", func() error {
		all = map[neighKey]rtnl.Neigh{}
		return r.conn.Neighs(func(n rtnl.Neigh) { all[neighKey{n.Dst, n.Ifindex, n.Family}] = n })
	})
	if err != nil {
		return err
	}
	for k, old := range r.view.neighs {
		if _, there := all[k]; !there {
			w := old.wire(k)
			r.onNeigh(&w, true)
		}
	}
	for _, n := range all {
		r.onNeigh(&n, false)
	}
	return nil
}

func (r *Resolver) listAddrs() error {
	return retry("addresses", func() error {
		clear(r.view.addrs)
		return r.conn.Addresses(func(a rtnl.Address) {
			r.view.addrs[addrKey{addr: a.Addr, ifindex: a.Ifindex, len: a.Len, family: a.Family}] = a.Flags
		})
	})
}

func (r *Resolver) listConf() error {
	clear(r.view.conf)
	for _, f := range families {
		if err := retry(f.String()+" forwarding configuration", func() error {
			return r.conn.Confs(f, func(c rtnl.Conf) { r.view.setConf(c) })
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Resolver) listRules(f hwif.Family) error {
	var s ruleSummary
	err := retry(f.String()+" rules", func() error {
		s = ruleSummary{}
		return r.conn.Rules(f, s.add)
	})
	if err == nil {
		r.view.rules[famIndex(f)] = s
	}
	return err
}

// listTOS reads every IPv4 route for the few that have a TOS. IPv6 has none.
func (r *Resolver) listTOS() error {
	return retry("IPv4 routes", func() error {
		r.view.tos = tosRoutes{}
		return r.conn.Routes(hwif.IPv4, func(t *rtnl.Route) { r.view.tos.set(t, true) })
	})
}

// listPolicies reads the IPsec policies. When they can't be read, every flow is
// refused until they can.
func (r *Resolver) listPolicies() error {
	if r.xfrm == nil {
		return nil
	}
	var all []rtnl.Policy
	var blocks bool
	err := retry("IPsec policies", func() (err error) {
		all = nil
		blocks, err = r.xfrm.Policies(func(p rtnl.Policy) { all = append(all, p) })
		return err
	})
	switch {
	case err == nil:
		r.view.policies, r.view.ipsecBlocks, r.view.ipsecFault = all, blocks, ""
		return nil
	case errors.Is(err, unix.EPERM):
		r.view.ipsecFault = "listing them needs CAP_NET_ADMIN"
		return nil
	}
	return err
}

// freshen lists again what notifications said to be out of date. Until it has
// succeeded no look-up is made.
func (r *Resolver) freshen() error {
	if r.stale.lost {
		if err := r.listAll(); err != nil {
			return err
		}
		r.stale = stale{}
		r.sweepAll("routing notifications were lost")
		return nil
	}
	for i, f := range families {
		if r.stale.rules[i] {
			if err := r.listRules(f); err != nil {
				return err
			}
			r.stale.rules[i] = false
		}
	}
	if r.stale.policies {
		if err := r.listPolicies(); err != nil {
			return err
		}
		r.stale.policies = false
	}
	return nil
}
