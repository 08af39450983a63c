package guest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"time"
)

// service is a program that runs beside its caller.
type service struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has

	mu  sync.Mutex
	buf bytes.Buffer // what it said
}

func startService(name string, args ...string) (*service, error) {
	s := &service{name: name, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s, s
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // ProcessState tells
	}()
	return s, nil
}

// Write keeps what the program says.
func (s *service) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *service) words() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// reach waits until it listens on a unix socket.
func (s *service) reach(ctx context.Context, socket string) error {
	for {
		if c, err := net.Dial("unix", socket); err == nil {
			return c.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended: %s: %s", s.name, s.cmd.ProcessState, s.words())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w: %s", s.name, socket, ctx.Err(), s.words())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end waits for its end, and kills it when that does not come.
func (s *service) end(ctx context.Context) error {
	select {
	case <-s.ended:
		if !s.cmd.ProcessState.Success() {
			return fmt.Errorf("%s: %s: %s", s.name, s.cmd.ProcessState, s.words())
		}
		return nil
	case <-ctx.Done():
		_ = s.cmd.Process.Kill() // fails when it has ended
		<-s.ended
		return fmt.Errorf("%s did not end by itself", s.name)
	}
}
