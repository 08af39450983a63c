//go:build netns

package route

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// TestEverySubscriptionIsNeeded: without the one that tells of it, a change is
// missed; with it, it is not. Addresses are told of as routes of table local too, so
// that theirs alone is never what a flow depends on.
func TestEverySubscriptionIsNeeded(t *testing.T) {
	const nexthop = "ip nexthop add id 5 via 10.0.2.2 dev r2; ip route replace 203.0.113.0/24 nhid 5"
	for name, tc := range map[string]struct {
		group           int
		prepare, change string
		dirty           flow.ID
	}{
		"links":              {unix.RTNLGRP_LINK, "", "ip link set r2 mtu 1400", 3},
		"neighbours":         {unix.RTNLGRP_NEIGH, "", "ip neigh replace 10.0.2.2 lladdr 02:00:00:00:00:66 dev r2 nud permanent", 3},
		"IPv4 routes":        {unix.RTNLGRP_IPV4_ROUTE, "", "ip route add blackhole 203.0.113.9", 3},
		"IPv6 routes":        {unix.RTNLGRP_IPV6_ROUTE, "", "ip -6 route add blackhole 2001:db8:2::9", 5},
		"IPv4 rules":         {unix.RTNLGRP_IPV4_RULE, "", "ip rule add to 203.0.113.9 prohibit", 3},
		"IPv6 rules":         {unix.RTNLGRP_IPV6_RULE, "", "ip -6 rule add to 2001:db8:2::9 prohibit", 5},
		"IPv4 configuration": {unix.RTNLGRP_IPV4_NETCONF, "", "sysctl -qw net.ipv4.conf.r0.forwarding=0", 3},
		"IPv6 configuration": {unix.RTNLGRP_IPV6_NETCONF, "", "sysctl -qw net.ipv6.conf.all.forwarding=0", 5},
		"nexthops":           {unix.RTNLGRP_NEXTHOP, nexthop, "ip nexthop del id 5", 3},
		"qdiscs":             {unix.RTNLGRP_TC, "", "tc qdisc add dev r2 root htb", 3},
		"IPsec policies":     {deafToPolicies, "", "ip xfrm policy add src 10.0.0.0/24 dst 203.0.113.0/24 dir fwd action block", 3},
		"the ruleset":        {deafToPolicies, "", "nft add table inet t", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, deaf := range []int{tc.group, 0} {
				l := newLab(t)
				if tc.prepare != "" {
					l.sh(tc.prepare)
				}
				w := l.start(Options{Recheck: -1, WatchTC: true, deafTo: deaf})
				w.good(w.ask(base()...))
				l.sh(tc.change)
				// Time enough to hear of it; not to hear of it is over when all else is done.
				patience := wait
				if deaf != 0 {
					patience = 300 * time.Millisecond
				}
				heard := w.hears(tc.dirty, patience)
				if want := deaf == 0; heard != want {
					t.Errorf("deaf to group %d: heard of the change: %v, want %v; said %v", deaf, heard, want, w.said)
				}
			}
		})
	}
}

// hears reports whether a flow becomes dirty in time; 0 is for the ruleset's change.
func (w *watch) hears(id flow.ID, in time.Duration) bool {
	timeout := time.After(in)
	for {
		select {
		case e := <-w.events:
			w.said = append(w.said, e)
			switch e := e.(type) {
			case flow.Dirty:
				if slices.Contains(e.IDs, id) {
					return true
				}
			case flow.Ruleset:
				if id == 0 {
					return true
				}
			}
		case <-timeout:
			return false
		}
	}
}
