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
	ids   []flow.ID // by seq modulo logLen
	views map[uint64]View
	queue []uint64 // keys of views, oldest first, as a ring
	head  int
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
func (l *changeLog) gone(seq uint64, v View) {
	if l.views == nil {
		l.views = make(map[uint64]View, goneLen)
	}
	v.Gone = true
	if len(l.queue) < goneLen {
		l.queue = append(l.queue, seq)
	} else {
		delete(l.views, l.queue[l.head])
		l.queue[l.head] = seq
		l.head = (l.head + 1) % goneLen
	}
	l.views[seq] = v
}

// reaches reports whether every change after seq is still told of. Views of
// ended flows are dropped sooner than the log's own end.
func (l *changeLog) reaches(seq uint64) bool {
	if seq > l.seq || l.seq-seq > logLen {
		return false
	}
	return len(l.queue) < goneLen || seq >= l.queue[l.head]-1
}
