package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to end after SIGTERM. A daemon that
// gives thousands of flows back needs a second or two.
const stopGrace = 10 * time.Second

// Process is a command that runs inside a namespace.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed after Wait returned; err is set then
	err   error
}

// Start starts cmd in the namespace. The lab ends it at Close, and the kernel
// sends it SIGTERM when this program dies.
//
// It is not `ip netns exec`: that also replaces /sys, and with it the place
// where BPF objects are pinned.
func (n *Namespace) Start(cmd *exec.Cmd) (*Process, error) {
	if err := n.Do(func() error { return begin(cmd) }); err != nil {
		return nil, fmt.Errorf("start %s in %s: %w", cmd.Path, n.Name, err)
	}
	p := watch(cmd)
	n.procs.add(p)
	return p, nil
}

// Run runs a command in the namespace to its end and gives its output. Its
// error holds what the command wrote to standard error.
func (n *Namespace) Run(ctx context.Context, name string, args ...string) (string, error) {
	return n.run(exec.CommandContext(ctx, name, args...))
}

func (n *Namespace) run(cmd *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	p, err := n.Start(cmd)
	if err != nil {
		return "", err
	}
	defer n.procs.drop(p)
	if err := p.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s in %s: %w: %s", strings.Join(cmd.Args, " "), n.Name, err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended gives a channel that is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end and gives exec's error. It may be called often.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Signal sends a signal; a process that has ended is no error.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Stop sends SIGTERM and waits; after a grace of 10 s it kills. The error is
// the process's own.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(stopGrace):
		p.Kill()
		return fmt.Errorf("%s did not end within %v after SIGTERM: killed", p.cmd.Path, stopGrace)
	}
}

// Kill sends SIGKILL and waits.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.ended
}

// processes are those that a lab has to end.
type processes struct {
	mu  sync.Mutex
	all []*Process // in order of start
}

func (ps *processes) add(p *Process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all = append(ps.all, p)
}

func (ps *processes) drop(p *Process) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for i, q := range ps.all {
		if q == p {
			ps.all = append(ps.all[:i], ps.all[i+1:]...)
			return
		}
	}
}

// stopAll ends the newest first: traffic before the daemon that carries it.
func (ps *processes) stopAll() {
	ps.mu.Lock()
	all := ps.all
	ps.all = nil
	ps.mu.Unlock()
	for i := len(all) - 1; i >= 0; i-- {
		select {
		case <-all[i].ended:
		default:
			_ = all[i].Stop()
		}
	}
}

// Start starts cmd where this program is, in no lab. The caller ends it; the
// kernel sends it SIGTERM when this program dies.
func Start(cmd *exec.Cmd) (*Process, error) {
	if err := begin(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return watch(cmd), nil
}

func begin(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	return cmd.Start()
}

func watch(cmd *exec.Cmd) *Process {
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p
}
