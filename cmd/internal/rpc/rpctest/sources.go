package rpctest

import (
	"context"
	"sync"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// pending is how much may wait for a source's goroutine; far above any test's need.
const pending = 1 << 16

// conntrack is a Tracker over a map.
type conntrack struct {
	clock   func() flow.Time
	synced  bool
	work    chan func(emit func(flow.Event))
	mu      sync.Mutex
	entries map[flow.Tuple]flow.Entry
}

func newConntrack(synced bool) *conntrack {
	return &conntrack{synced: synced, work: make(chan func(func(flow.Event)), pending), entries: map[flow.Tuple]flow.Entry{}}
}

// Run lists, and then does what it is told.
func (c *conntrack) Run(ctx context.Context, emit func(flow.Event)) error {
	c.Relist()
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-c.work:
			f(emit)
		}
	}
}

func (c *conntrack) put(entries []flow.Entry) {
	c.work <- func(emit func(flow.Event)) {
		c.mu.Lock()
		evs := make(flow.Conns, len(entries))
		for i, e := range entries {
			c.entries[e.Orig] = e
			evs[i] = flow.Conn{Kind: flow.ConnUpdate, Entry: e, At: c.clock()}
		}
		c.mu.Unlock()
		emit(evs)
	}
}

func (c *conntrack) end(tuples []flow.Tuple) {
	c.work <- func(emit func(flow.Event)) {
		c.mu.Lock()
		evs := make(flow.Conns, 0, len(tuples))
		for _, t := range tuples {
			evs = append(evs, flow.Conn{Kind: flow.ConnDestroy, Entry: c.entries[t], At: c.clock()})
			delete(c.entries, t)
		}
		c.mu.Unlock()
		emit(evs)
	}
}

func (c *conntrack) dropped(t flow.Tuple) {
	c.work <- func(emit func(flow.Event)) {
		emit(flow.Dropped{Orig: t, Reply: t.Reversed(), Packets: 100, At: c.clock()})
	}
}

// Prepare answers from the map.
func (c *conntrack) Prepare(ps []flow.Prepare) {
	ps = append([]flow.Prepare(nil), ps...)
	c.work <- func(emit func(flow.Event)) {
		for _, p := range ps {
			c.mu.Lock()
			e, ok := c.entries[p.Orig]
			c.mu.Unlock()
			e.Timeout, e.Has = p.Timeout, e.Has|flow.HasTimeout
			emit(flow.Prepared{ID: p.ID, Gen: p.Gen, Gone: !ok, Entry: e})
		}
	}
}

// Touch needs no answer.
func (c *conntrack) Touch([]flow.Touch) {}

// Relist lists the map.
func (c *conntrack) Relist() {
	c.work <- func(emit func(flow.Event)) {
		began := c.clock()
		c.mu.Lock()
		var evs flow.Conns
		for _, e := range c.entries {
			evs = append(evs, flow.Conn{Kind: flow.ConnListed, Entry: e, At: began})
		}
		c.mu.Unlock()
		emit(evs)
		if c.synced {
			emit(flow.Synced{Source: flow.SourceConntrack, Begin: began})
		}
	}
}

// LAN and WAN are the ports of the one router.
const (
	LAN hwif.Ifindex = 11
	WAN hwif.Ifindex = 12
)

var (
	lanMAC    = hwif.MAC{2, 0, 0, 0, 1, 1}
	wanMAC    = hwif.MAC{2, 0, 0, 0, 1, 2}
	clientMAC = hwif.MAC{2, 0, 0, 0, 2, 1}
	serverMAC = hwif.MAC{2, 0, 0, 0, 2, 2}
)

// router is a Resolver that knows one way: orig enters by LAN and leaves by WAN.
type router struct {
	synced  bool
	work    chan flow.Answer
	mu      sync.Mutex
	reasons flow.Reasons
	text    string
}

func newRouter(synced bool) *router {
	return &router{synced: synced, work: make(chan flow.Answer, pending)}
}

// Run answers.
func (r *router) Run(ctx context.Context, emit func(flow.Event)) error {
	if r.synced {
		emit(flow.Synced{Source: flow.SourceRoute})
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-r.work:
			emit(a)
		}
	}
}

func (r *router) set(rs flow.Reasons, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons, r.text = rs, text
}

// Resolve answers every query alike.
func (r *router) Resolve(qs []flow.Query) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range qs {
		a := flow.Answer{ID: q.ID, Gen: q.Gen, Reasons: r.reasons, Text: r.text}
		if r.reasons == 0 {
			a.Routes = [2]flow.Route{
				{In: LAN, Out: WAN, InMAC: lanMAC, SrcMAC: wanMAC, DstMAC: serverMAC, MTU: 1500, InMTU: 1500},
				{In: WAN, Out: LAN, InMAC: wanMAC, SrcMAC: lanMAC, DstMAC: clientMAC, MTU: 1500, InMTU: 1500},
			}
			if q.Verdict == flow.Drop { // nothing leaves
				a.Routes = [2]flow.Route{{In: LAN, InMAC: lanMAC}, {In: WAN, InMAC: wanMAC}}
			}
		}
		r.work <- a
	}
}

// Forget and SetPorts change nothing here.
func (r *router) Forget([]flow.ID)     {}
func (r *router) Recount([]flow.Tuple) {}

// SetPorts changes nothing: the router's ports are fixed.
func (r *router) SetPorts([]hwif.Port) {}
