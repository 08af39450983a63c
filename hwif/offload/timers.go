package offload

import "github.com/shunt-offload/shunt/hwif/flow"

// timers is a binary heap of moments at which a flow is to be looked at again.
// A timer whose flow has ended is harmless: its UID no longer fits.
type timers struct{ h []timer }

type timer struct {
	at  flow.Time
	uid uint64
	id  flow.ID
}

func (t *timers) add(at flow.Time, id flow.ID, uid uint64) {
	h := append(t.h, timer{at: at, uid: uid, id: id})
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
	t.h = h
}

// pop takes the earliest timer that is due.
func (t *timers) pop(now flow.Time) (flow.ID, uint64, bool) {
	if len(t.h) == 0 || t.h[0].at > now {
		return 0, 0, false
	}
	top := t.h[0]
	last := len(t.h) - 1
	t.h[0] = t.h[last]
	t.h = t.h[:last]
	for i := 0; ; {
		l, r, least := 2*i+1, 2*i+2, i
		if l < last && t.h[l].at < t.h[least].at {
			least = l
		}
		if r < last && t.h[r].at < t.h[least].at {
			least = r
		}
		if least == i {
			break
		}
		t.h[i], t.h[least] = t.h[least], t.h[i]
		i = least
	}
	return top.id, top.uid, true
}
