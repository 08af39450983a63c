//go:build netns

package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"sync"
)

// eventLog is what `conntrack -E` says.
type eventLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (e *eventLog) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buf.Write(b)
}

// conntrackEvents listens in the router until the lab closes.
func (s *stage) conntrackEvents() *eventLog {
	s.Helper()
	e := new(eventLog)
	// Its output goes to a pipe, where it would be buffered by the block.
	cmd := exec.Command("stdbuf", "-oL", "conntrack", "-E", "-p", "tcp", "-e", "NEW,UPDATES,DESTROY")
	cmd.Stdout = e
	if _, err := s.Router.Start(cmd); err != nil {
		s.Fatal(err)
	}
	return e
}

// inOrder reports whether the events of the connection from a client's port
// named the words one after the other.
func (e *eventLog) inOrder(port uint16, words ...string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := words
	var seen []string
	for line := range strings.Lines(e.buf.String()) {
		if !strings.Contains(line, fmt.Sprintf("sport=%d ", port)) {
			continue
		}
		seen = append(seen, strings.TrimSpace(line))
		if len(left) > 0 && strings.Contains(line, " "+left[0]+" ") {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("of %v, %v did not come; conntrack said:\n%s", words, left, strings.Join(seen, "\n"))
	}
	return nil
}
