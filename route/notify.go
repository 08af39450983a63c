package route

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// notice handles notifications in their order. Its cost grows with the flows
// that they affect, not with those that are tracked.
func (c *core) notice(n *rtnl.Notice) {
	var queues []hwif.Ifindex // whose qdiscs changed; a tree of them is told one by one, and looked at once
	for m := range rtnl.Messages(n.Data) {
		c.stats.Messages++
		switch {
		case n.Of == rtnl.OfXFRM:
			c.stale.policies = true
			c.sweepAll("IPsec policies changed")
		case n.Of == rtnl.OfRuleset:
			if m.Type == rtnl.NewGen {
				c.ruleset(rtnl.ParseGen(m.Body))
			}
		case m.Type == unix.RTM_NEWQDISC || m.Type == unix.RTM_DELQDISC:
			if i, ok := rtnl.QdiscOf(m.Body); ok {
				queues = append(queues, i)
			}
		default:
			c.message(&m)
		}
	}
	slices.Sort(queues)
	for _, i := range slices.Compact(queues) {
		c.reread(i)
	}
	switch {
	case n.Lost && n.Of == rtnl.OfRuleset: // at least one commit was among them
		c.ruleset("")
	case n.Lost:
		c.stats.Losses++
		c.stale.lost = true
		c.emit(flow.Loss{Source: flow.SourceRoute, Text: "a routing notification socket overflowed; a larger receive buffer helps"})
	}
}

// ruleset says that netfilter's rules have changed. What they let pass is nothing
// that could be looked up: the owner of the flows has to decide.
func (c *core) ruleset(by string) {
	c.stats.Rulesets++
	text := "the ruleset was changed"
	if by != "" {
		text += " by " + by
	}
	for i, f := range families {
		if c.view.rules[i].fwmark && c.index.count > 0 { // it may set other marks now, and so other routes
			c.dirty(c.index.ofFamily(f), flow.CauseRouteChanged, text+", and policy rules select by mark", c.now)
		}
	}
	c.emit(flow.Ruleset{At: c.now, Text: text})
}

func (c *core) message(m *rtnl.Msg) {
	switch m.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if port := rtnl.PortOf(m.Body); port != 0 {
			c.reread(port)
		}
		if l, ok := rtnl.ParseLink(m.Body, m.Type == unix.RTM_DELLINK); ok {
			c.shape(&l)
			c.onLink(&l, m.Type == unix.RTM_DELLINK)
		}
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if n, ok := rtnl.ParseNeigh(m.Body); ok {
			c.onNeigh(&n, m.Type == unix.RTM_DELNEIGH)
		}
		if e, ok := rtnl.ParseFDB(m.Body); ok {
			c.onFDB(&e, m.Type == unix.RTM_DELNEIGH)
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if r, ok := rtnl.ParseRoute(m.Body); ok && r.Flags&unix.RTM_F_CLONED == 0 {
			c.onRoute(&r, m)
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if a, ok := rtnl.ParseAddress(m.Body); ok {
			c.onAddress(&a, m.Type == unix.RTM_DELADDR)
		}
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		if r, ok := rtnl.ParseRule(m.Body); ok {
			c.stale.rules[famIndex(r.Family)] = true
			c.ask.forget()
			c.sweepTables(r.Family, fmt.Sprintf("policy rule %d changed", r.Priority))
		}
	case unix.RTM_NEWNETCONF:
		if v, ok := rtnl.ParseConf(m.Body); ok && c.view.setConf(v) {
			c.ask.forget()
			c.sweep(v.Family, "forwarding configuration changed on "+c.confName(v.Ifindex))
		}
	case rtmNewNexthopBucket:
		c.dirty(c.index.chosen(), flow.CauseRouteChanged, "a resilient nexthop group moved a bucket", c.now)
	case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		c.ask.forget()
		for _, f := range families { // a group has none
			c.sweepTables(f, "a nexthop object changed")
		}
	}
}

// reread looks at an interface of which something is told that no message of its own
// says. One that has gone meanwhile has its own notification.
func (c *core) reread(dev hwif.Ifindex) {
	if l, err := c.host.Link(dev); err == nil {
		c.onLink(&l, false)
	}
}

// shape adds what a message about an interface does not say: whether a qdisc below
// the root holds back. That changes with a message of its own, or with another root.
func (c *core) shape(l *rtnl.Link) {
	if !l.Deep() {
		return
	}
	if old, known := c.view.links[l.Index]; known && old.Qdisc == l.Qdisc {
		l.Shaper = old.Shaper
	} else if now, err := c.host.Link(l.Index); err == nil {
		l.Shaper = now.Shaper
	}
}

func (c *core) confName(i int32) string {
	switch i {
	case rtnl.ConfAll:
		return "all interfaces"
	case rtnl.ConfDefault:
		return "new interfaces"
	}
	return c.view.name(hwif.Ifindex(i))
}

// onRoute looks at the flows inside the announced prefix, whether they used
// that route or a less specific one.
func (c *core) onRoute(r *rtnl.Route, m *rtnl.Msg) {
	c.view.tos.set(r, m.Type == unix.RTM_NEWROUTE)
	c.ask.forget()
	c.affected(r.Prefix(), func() string {
		switch {
		case m.Type == unix.RTM_DELROUTE:
			return "route " + r.String() + " deleted"
		case m.Flags&unix.NLM_F_REPLACE != 0:
			return "route " + r.String() + " replaced"
		}
		return "route " + r.String() + " added"
	})
}

// onAddress looks at everything of the family when the set of local addresses
// changes. Refreshed lifetimes are no change.
func (c *core) onAddress(a *rtnl.Address, gone bool) {
	k := addrKey{addr: a.Addr, ifindex: a.Ifindex, len: a.Len, family: a.Family}
	flags, had := c.view.addrs[k]
	switch {
	case gone && !had, !gone && had && flags == a.Flags:
		return
	case gone:
		delete(c.view.addrs, k)
	default:
		c.view.addrs[k] = a.Flags
	}
	c.ask.forget()
	c.sweep(a.Family, fmt.Sprintf("address %s on %s changed", a.Addr.Netip(a.Family), c.view.name(a.Ifindex)))
}

// onLink compares an interface with what was known. Down takes its flows out
// without asking: IPv4 routes go with it in silence. Anything that may let
// routes appear or vanish in silence is followed by a round over everything;
// an interface that comes up for the first time can't, its routes are announced.
func (c *core) onLink(l *rtnl.Link, gone bool) {
	old, known := c.view.links[l.Index]
	if gone {
		if known {
			c.view.dropLink(l.Index)
			delete(c.view.fresh, l.Index)
			c.linkDown(&old, old.Name+" was removed")
		}
		return
	}
	c.view.setLink(l)
	if known && old == *l {
		return
	}
	switch {
	case old.Up() && !l.Up():
		c.linkDown(l, l.Name+" went down")
	case known && old.Up() == l.Up():
		c.linkChanged(&old, l)
	case !known && c.stats.Listings > 0 && !l.Up():
		c.view.fresh[l.Index] = struct{}{}
	default:
		c.linkUp(l, known)
	}
}

func (c *core) linkUp(l *rtnl.Link, known bool) {
	c.ask.forget()
	if _, fresh := c.view.fresh[l.Index]; fresh || !known {
		delete(c.view.fresh, l.Index)
		var ids []flow.ID // refused because it was not known, or down
		c.index.onLink(l.Index, func(id flow.ID) { ids = append(ids, id) })
		c.enqueue(ids, l.Name+" came up")
		return
	}
	c.sweepAll(l.Name + " came up")
}

func (c *core) linkDown(l *rtnl.Link, text string) {
	var ids []flow.ID
	c.index.onLink(l.Index, func(id flow.ID) { ids = append(ids, id) })
	c.dirty(ids, flow.CauseLinkDown, text, c.now)
	c.ask.forget()
	c.sweepAll(text)
}

func (c *core) linkChanged(old, l *rtnl.Link) {
	a, b := *old, *l
	a.Name, b.Name = "", ""
	a.Qdisc, b.Qdisc = "", "" // what matters of them is Shaper
	a.Flags, b.Flags = a.Flags&unix.IFF_NOARP, b.Flags&unix.IFF_NOARP
	if a == b {
		return
	}
	text := l.Name + " changed" + difference(old, l)
	var ids []flow.ID
	if old.MAC != l.MAC { // frames to or from the old one are wrong: nothing to ask
		c.index.paths.onLink(l.Index, func(n uint32) {
			p := &c.index.paths.all[n]
			if p.L3In == l.Index && p.Route.InMAC != l.MAC || p.L3Out == l.Index && p.Route.SrcMAC != l.MAC {
				c.index.alongPath(n, func(id flow.ID) { ids = append(ids, id) })
			}
		})
		c.dirty(ids, flow.CauseRouteChanged, text, c.now)
	}
	ids = ids[:0]
	c.index.onLink(l.Index, func(id flow.ID) { ids = append(ids, id) })
	c.enqueue(ids, text)
	if old.Master != l.Master { // into or out of a VRF: routes move in silence
		c.ask.forget()
		c.sweepAll(l.Name + " changed its master")
	}
	if old.Group != l.Group { // rules that suppress a group find other routes now
		c.ask.forget()
		c.sweepAll(l.Name + " changed its group")
	}
}

// rtmNewNexthopBucket is RTM_NEWNEXTHOPBUCKET (include/uapi/linux/rtnetlink.h).
const rtmNewNexthopBucket = 116

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func difference(a, b *rtnl.Link) string {
	switch {
	case a.MTU != b.MTU:
		return fmt.Sprintf(" its MTU from %d to %d", a.MTU, b.MTU)
	case a.MAC != b.MAC:
		return fmt.Sprintf(" its address from %s to %s", a.MAC, b.MAC)
	case a.Master != b.Master:
		return " its master"
	case a.Group != b.Group:
		return " its group"
	case a.Shaper != b.Shaper:
		return " its queueing discipline to " + or(b.Shaper, "a plain one")
	case a.XDP != b.XDP:
		return " its XDP program"
	}
	return ""
}
