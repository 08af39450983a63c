package route

import (
	"fmt"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"

	"golang.org/x/sys/unix"
)

// useGap is the least time between two requests to resolve one next hop: the
// kernel itself asks three times in three seconds before it gives up.
const useGap = flow.Time(time.Second)

// onNeigh takes one entry as it is now, or its deletion.
func (c *core) onNeigh(n *rtnl.Neigh, gone bool) {
	k := neighKey{Addr: n.Dst, Ifindex: n.Ifindex, Family: n.Family}
	before := c.view.macNow(k)
	if gone {
		delete(c.view.neighs, k)
	} else {
		c.view.neighs[k] = neighbour{state: n.State, flags: n.Flags, flagsExt: n.FlagsExt, mac: n.MAC}
	}
	now := c.view.macNow(k)
	if c.view.multipath.useNeigh != 0 && now.IsZero() != before.IsZero() {
		// A leg whose next hop is dead is passed over (fib_good_nh), and used again.
		c.dirty(c.index.chosen(), flow.CauseRouteChanged, neighText(c.view, n, gone, now), c.now)
	}
	if c.index.paths.byNeigh[k] == 0 {
		return
	}
	if now != before {
		c.moved(k, now, neighText(c.view, n, gone, now))
	}
	c.confirm(k)
}

func neighText(p *picture, n *rtnl.Neigh, gone bool, now hwif.MAC) string {
	s := fmt.Sprintf("neighbour %s on %s ", n.Dst.Netip(n.Family), p.name(n.Ifindex))
	switch {
	case gone:
		return s + "was deleted"
	case now.IsZero():
		return s + "is " + n.StateName()
	}
	return s + "is at " + now.String()
}

// moved makes the flows dirty that send to another MAC than now, and looks
// those up again that wait for one.
func (c *core) moved(k neighKey, now hwif.MAC, text string) {
	if now.IsZero() {
		// When a link goes down or changes its address, its neighbours go first:
		// name the cause.
		c.reread(k.Ifindex)
	}
	var out, waiting []flow.ID
	c.index.paths.byNeighbour(k, func(n uint32) {
		mac := c.index.paths.all[n].Route.DstMAC
		if mac == now {
			return
		}
		c.index.alongPath(n, func(id flow.ID) {
			switch {
			case !mac.IsZero():
				out = append(out, id)
			default: // whatever it was refused for: there was no address to send to
				waiting = append(waiting, id)
			}
		})
	})
	c.dirty(out, flow.CauseNeighbourChanged, text, c.now)
	c.enqueue(waiting, text)
	if !now.IsZero() {
		delete(c.used, k)
	}
}

// enqueue puts flows up for a look-up.
func (c *core) enqueue(ids []flow.ID, text string) {
	keep := ids[:0]
	for _, id := range ids {
		if t := c.index.get(id); t != nil && !t.queued {
			t.queued = true
			keep = append(keep, id)
		}
	}
	c.stirred = c.now
	if len(keep) > 0 {
		c.work = append(c.work, task{keep, stir{text: text, at: c.now}})
	}
}

// confirm has a stale next hop in use probed: the kernel sees none of the
// traffic that would do so. NTF_USE moves it to DELAY, which is not notified.
// NB: NTF_USE destroys a permanent entry; one that an administrator makes
// permanent between its STALE notification and this is lost.
func (c *core) confirm(k neighKey) {
	n, ok := c.view.neighs[k]
	if !ok || !n.confirmable() {
		return
	}
	if c.use(k, n, false) {
		n.state = unix.NUD_DELAY
		c.view.neighs[k] = n
	}
}

// wake sees to the next hops of a new verdict: those without a MAC are to be
// resolved, stale ones confirmed.
func (c *core) wake(v *verdict) {
	for d := range v.path {
		if k := v.awaits[d]; k.Family != hwif.FamilyNone {
			c.resolveNeigh(k)
		} else if !v.path[d].Route.DstMAC.IsZero() {
			c.confirm(v.path[d].neighbour())
		}
	}
}

// resolveNeigh asks the kernel to find a next hop's MAC.
func (c *core) resolveNeigh(k neighKey) {
	n, known := c.view.neighs[k]
	last, asked := c.used[k]
	if n.settled() || asked && c.now-last < useGap {
		return
	}
	if c.use(k, n, !known) {
		c.used[k] = c.now
	}
}

func (c *core) use(k neighKey, n neighbour, create bool) bool {
	w := n.wire(k)
	if err := c.host.UseNeigh(&w, create); err != nil {
		return false // the next notification or look-up tries again
	}
	c.stats.NeighUses++
	return true
}
