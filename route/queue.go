package route

import (
	"sync"

	"github.com/shunt-offload/shunt/hwif/flow"
)

type cmdKind uint8

const (
	cmdResolve cmdKind = iota
	cmdForget
	cmdCall
)

// command is one call of the API on its way to Run.
type command struct {
	kind  cmdKind
	query flow.Query   // of cmdForget only the ID
	call  func() error // of cmdCall; an error ends Run
}

// queue hands commands to Run in the order in which they were given. It has no
// bound: it holds at most what the caller itself holds, one query per flow.
type queue struct {
	mu     sync.Mutex
	in     []command
	closed bool
	wake   chan struct{} // of capacity 1
}

func (q *queue) put(add func([]command) []command) {
	q.mu.Lock()
	if !q.closed {
		q.in = add(q.in)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// call queues a function for Run's goroutine.
func (q *queue) call(f func() error) {
	q.put(func(cs []command) []command { return append(cs, command{kind: cmdCall, call: f}) })
}

// take swaps what has come for an empty slice to be filled.
func (q *queue) take(empty []command) []command {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.in
	q.in = empty[:0]
	return out
}

// close drops what is queued, and all that comes later.
func (q *queue) close() {
	q.mu.Lock()
	q.in, q.closed = nil, true
	q.mu.Unlock()
}
