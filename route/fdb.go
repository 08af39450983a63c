package route

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// station is a MAC on a bridge that filters no VLANs: one table for all tags.
type station struct {
	bridge hwif.Ifindex
	mac    hwif.MAC
}

// onFDB takes an entry of a bridge's forwarding database as it is now, or its end.
// Flows whose frames go to that MAC through that bridge leave, or are looked up once
// more if they waited for it.
func (c *core) onFDB(e *rtnl.FDB, gone bool) {
	if e.VLAN != 0 {
		return // of a bridge that filters, through which nothing is followed
	}
	k := station{e.Bridge, e.MAC}
	old, known := c.view.fdb[k]
	switch {
	case gone:
		delete(c.view.fdb, k)
	case known && old == e.Port:
		return
	default:
		c.view.fdb[k] = e.Port
	}
	if gone && !known {
		return
	}
	text := fmt.Sprintf("bridge %s has %s behind %s", c.view.name(e.Bridge), e.MAC, c.view.name(e.Port))
	if gone {
		text = fmt.Sprintf("bridge %s has forgotten %s", c.view.name(e.Bridge), e.MAC)
	}
	var out, waiting []flow.ID
	c.index.paths.onLink(e.Bridge, func(n uint32) {
		p := &c.index.paths.all[n]
		switch {
		case p.BundleOut != e.Bridge:
		case p.Route.DstMAC == e.MAC:
			c.index.alongPath(n, func(id flow.ID) { out = append(out, id) })
		case p.Route.DstMAC.IsZero() && c.view.macNow(p.neighbour()) == e.MAC:
			c.index.alongPath(n, func(id flow.ID) {
				if c.index.flows[id].reasons == flow.Of(flow.NeighbourUnresolved) {
					waiting = append(waiting, id)
				}
			})
		}
	})
	c.dirty(out, flow.CauseNeighbourChanged, text, c.now)
	c.enqueue(waiting, text)
}

func (r *Resolver) listFDB() error {
	var all map[station]rtnl.FDB
	err := retry("bridges' forwarding databases", func() error {
		all = map[station]rtnl.FDB{}
		return r.conn.FDBs(func(e rtnl.FDB) {
			if e.VLAN == 0 {
				all[station{e.Bridge, e.MAC}] = e
			}
		})
	})
	if err != nil {
		return err
	}
	for k, port := range r.view.fdb {
		if _, there := all[k]; !there {
			r.onFDB(&rtnl.FDB{Bridge: k.bridge, MAC: k.mac, Port: port}, true)
		}
	}
	for _, e := range all {
		r.onFDB(&e, false)
	}
	return nil
}
