package sim

import "github.com/shunt-offload/shunt/hwif"

// Verdict is what became of a frame.
type Verdict uint8

const (
	ToKernel  Verdict = iota // no rule, or nothing for a card: the kernel gets it untouched
	Forwarded                // left by Out.Port
	Dropped                  // by a drop rule, or lost at a port that is down
)

func (v Verdict) String() string {
	switch v {
	case ToKernel:
		return "to kernel"
	case Forwarded:
		return "forwarded"
	case Dropped:
		return "dropped"
	}
	return "unknown verdict"
}

// Out is what came out of the card for one frame.
type Out struct {
	Verdict Verdict
	Port    hwif.Ifindex // egress port, when Forwarded
	Frame   []byte       // what left, when Forwarded; the caller's own frame when ToKernel
}

// Inject lets one frame enter by a port. The frame is neither kept nor changed.
func (n *NIC) Inject(in hwif.Ifindex, b []byte) Out {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.pipeline(in, b)
	switch out.Verdict {
	case ToKernel:
		n.stats.ToKernel++
	case Forwarded:
		n.stats.Forwarded++
	case Dropped:
		n.stats.Dropped++
	}
	return out
}

func (n *NIC) pipeline(in hwif.Ifindex, b []byte) Out {
	kernel := Out{Verdict: ToKernel, Frame: b}
	if p, ok := n.port(in); ok && !p.Up {
		n.stats.Lost++ // nothing enters by a port without a carrier
		return Out{Verdict: Dropped}
	}
	h, ok := parse(in, b)
	if !ok {
		return kernel
	}
	e := n.table.lookup(&h)
	if e == nil {
		return kernel
	}
	a := &e.rule.Actions
	if a.Set.Has(hwif.ActTrap) {
		n.count(e, &h)
		return kernel
	}
	if a.Set.Has(hwif.ActDrop) {
		if n.caps.Guarded && !h.plain {
			return kernel
		}
		n.count(e, &h)
		return Out{Verdict: Dropped}
	}
	if n.caps.Guarded && !n.guard(&h, a) {
		return kernel
	}
	n.count(e, &h)
	if p, ok := n.port(a.OutPort); !ok || !p.Up {
		n.stats.Lost++
		return Out{Verdict: Dropped}
	}
	return Out{Verdict: Forwarded, Port: a.OutPort, Frame: rewrite(b, &h, a)}
}

// guard reports whether a frame may be forwarded: what Caps.Guarded promises.
func (n *NIC) guard(h *header, a *hwif.Actions) bool {
	return h.plain &&
		(h.match.TTL > 1 || !a.Set.Has(hwif.ActDecTTL)) &&
		(a.MTU == 0 || h.len <= int(a.MTU))
}

func (n *NIC) count(e *entry, h *header) {
	n.beforeCount()
	e.counter.Packets++
	e.counter.Bytes += uint64(h.len)
}
