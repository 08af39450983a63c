package main

import (
	"bytes"
	"io"
	"sync"
)

// turns lets several machines write at once and be read one after the other: the
// first as it speaks, the next from where it is when the one before has ended.
type turns struct {
	mu    sync.Mutex
	w     io.Writer
	turn  int // whose it is
	ended []bool
	held  []bytes.Buffer // what the others have said
}

func newTurns(w io.Writer, n int) *turns {
	return &turns{w: w, ended: make([]bool, n), held: make([]bytes.Buffer, n)}
}

// voice is one machine's.
type voice struct {
	t *turns
	i int
}

func (v voice) Write(p []byte) (int, error) {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	if v.i == v.t.turn {
		return v.t.w.Write(p)
	}
	return v.t.held[v.i].Write(p)
}

// end gives the turn to the next that has not ended.
func (v voice) end() {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	v.t.ended[v.i] = true
	for v.t.turn < len(v.t.ended) && v.t.ended[v.t.turn] {
		v.t.turn++
		if v.t.turn < len(v.t.held) {
			_, _ = v.t.held[v.t.turn].WriteTo(v.t.w) // a program's own output: nowhere to report to
		}
	}
}
