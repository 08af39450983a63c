package main

import (
	"fmt"
	"sync"
)

// ledger collects what was promised and whether it held. One broken promise
// makes the demo fail; the story goes on as far as it can.
type ledger struct {
	s      *screen
	mu     sync.Mutex
	held   int
	broken []string
}

// Check notes one promise.
func (l *ledger) Check(held bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	mark := "ok    "
	if held {
		l.held++
	} else {
		mark = "BROKEN"
		l.broken = append(l.broken, text)
	}
	l.mu.Unlock()
	l.s.Say("   %s %s", mark, text)
}

// Err gives nil when every promise held.
func (l *ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch len(l.broken) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("a promise did not hold: %s", l.broken[0])
	}
	return fmt.Errorf("%d promises did not hold; the first: %s", len(l.broken), l.broken[0])
}
