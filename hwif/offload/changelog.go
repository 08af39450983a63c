package offload

import "github.com/shunt-offload/shunt/hwif/flow"

// logLen is how many changes can be resumed from: some seconds of a busy host.
const logLen = 1 << 16

// goneLen is how many last views of ended flows are kept for watchers.
const goneLen = 1 << 12

// changeLog numbers the changes of flows, so that a watcher can go on where it
// stopped. It holds which flow changed, not how: a reader sees the flow as it
// is, or its last view when it has ended.
type changeLog struct {
	seq   uint64
	ids   []flow.ID         // by seq modulo logLen
	where map[uint64]uint32 // number of an ended flow's last change → place in views
	views []View            // ring of last views, each with the Seq it is kept under
	head  int               // place of the oldest, once the ring is full
}

func (l *changeLog) changed(id flow.ID) uint64 {
	if l.ids == nil {
		l.ids = make([]flow.ID, logLen)
	}
	l.seq++
	l.ids[l.seq%logLen] = id
	return l.seq
}

// gone keeps the last view of a flow under the number of its last change.
func (l *changeLog) gone(v View) {
	v.Gone = true
	if l.where == nil {
		l.where, l.views = make(map[uint64]uint32, goneLen), make([]View, 0, goneLen)
	}
	place := len(l.views)
	if place < goneLen {
		l.views = append(l.views, v)
	} else {
		place = l.head
		delete(l.where, l.views[place].Seq)
		l.views[place] = v
		l.head = (l.head + 1) % goneLen
	}
	l.where[v.Seq] = uint32(place)
}

// last gives the last view of a flow that ended with change seq.
func (l *changeLog) last(seq uint64) (*View, bool) {
	place, ok := l.where[seq]
	if !ok {
		return nil, false
	}
	return &l.views[place], true
}

// reaches reports whether every change after seq is still told of. Views of
// ended flows are dropped sooner than the log's own end.
func (l *changeLog) reaches(seq uint64) bool {
	if seq > l.seq || l.seq-seq > logLen {
		return false
	}
	return len(l.views) < goneLen || seq+1 >= l.views[l.head].Seq
}
