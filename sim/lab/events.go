package lab

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"sync"
)

// Events is what `conntrack -E` says of TCP in the router.
type Events struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write takes the program's output.
func (e *Events) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buf.Write(b)
}

// ConntrackEvents listens in the router until the lab closes.
func (l *Lab) ConntrackEvents() (*Events, error) {
	e := new(Events)
	// Its output goes to a pipe, where it would be buffered by the block.
	cmd := exec.Command("stdbuf", "-oL", "conntrack", "-E", "-p", "tcp", "-e", "NEW,UPDATES,DESTROY")
	cmd.Stdout = e
	_, err := l.Router.Start(cmd)
	return e, err
}

// InOrder reports whether the events of the connection from a client's port
// named the words one after the other; an error shows what came.
func (e *Events) InOrder(port uint16, words ...string) error {
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
