package route

// Stats counts since Open, except Flows, Paths, Neighbours, Queued, Awaited and Sweeping,
// which are as of now.
type Stats struct {
	Flows      int    // tracked
	Paths      int    // distinct ways that they share
	Neighbours int    // entries of the kernel's tables
	Queued     int    // flows that wait for a look-up because of a notification
	Sweeping   int    // families whose flows are all being looked at, or about to be
	Lookups    uint64 // RTM_GETROUTE sent
	Judged     uint64 // flows looked up, again or for the first time
	Messages   uint64 // notifications handled
	Dirty      uint64 // flows made dirty
	Resolved   uint64 // flows whose neighbour was resolved after the first answer
	NeighUses  uint64 // NTF_USE sent
	Sweeps     uint64 // rounds over every flow of a family
	Awaited    int    // flows whose packets are waited for
	Sights     uint64 // packets seen that were waited for
	// Contradicted counts packets seen leaving otherwise than the tables said: those
	// that were under way during a change.
	Contradicted uint64
	Losses       uint64 // overflows of a notification socket
	Rulesets     uint64 // changes of netfilter's rules
	Listings     uint64 // full listings
}

func (c *core) publish(into *Stats) {
	s := c.stats
	s.Flows, s.Paths, s.Neighbours = c.index.count, len(c.index.paths.byPath), len(c.view.neighs)
	s.Lookups = c.ask.asked
	s.Awaited = len(c.await.queue) + len(c.await.later)
	for _, w := range c.work {
		s.Queued += len(w.ids)
	}
	for i := range c.sweeps {
		if c.sweeps[i].wanted || c.sweeps[i].active {
			s.Sweeping++
		}
	}
	*into = s
}
