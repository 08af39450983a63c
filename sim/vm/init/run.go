package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limits of a command; 0 means none.
type limits struct {
	all    time.Duration // that it may take
	silent time.Duration // that it may say nothing
}

// errStuck: not even SIGKILL ends it, so the kernel holds it.
var errStuck = errors.New("cannot be killed: it hangs in the kernel; the console has the tasks that are blocked")

// patience with a Go program that is to show its goroutines, and with a process
// that is to die.
const patience = 15 * time.Second

// run runs a command, whose output goes to the port through a pipe: a program
// that asks whether it has a terminal gets the same answer as in a script.
func (g *guest) run(limit limits, dir, name string, args ...string) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 1, err
	}
	defer r.Close()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		fmt.Fprintln(g.port, err)
		return 127, nil
	}
	var spoke atomic.Int64
	spoke.Store(time.Now().UnixNano())
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Read(buf)
			spoke.Store(time.Now().UnixNano())
			_, _ = g.port.Write(buf[:n]) // the port has no end
			if err != nil {
				return
			}
		}
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // ProcessState tells
	}()
	if why := watch(ended, limit, &spoke); why != "" {
		fmt.Fprintf(g.port, "\n%s: %s\n", name, why)
		if !end(cmd, ended) {
			return 1, fmt.Errorf("%s %w", name, errStuck)
		}
	}
	select {
	case <-copied:
	case <-time.After(time.Second): // a child of its own has the pipe still
		_ = r.Close()
		<-copied
	}
	code := cmd.ProcessState.ExitCode()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return code, nil
}

// watch waits for the end; it says why it is to be brought about.
func watch(ended <-chan struct{}, limit limits, spoke *atomic.Int64) string {
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return ""
		case now := <-tick.C:
			if limit.all > 0 && now.Sub(began) > limit.all {
				return fmt.Sprintf("not done after %s", limit.all)
			}
			if limit.silent > 0 && now.Sub(time.Unix(0, spoke.Load())) > limit.silent {
				return fmt.Sprintf("has said nothing for %s", limit.silent)
			}
		}
	}
}

// end asks for goroutines, then kills; false when that has no effect.
func end(cmd *exec.Cmd, ended <-chan struct{}) bool {
	for _, sig := range []unix.Signal{unix.SIGQUIT, unix.SIGKILL} {
		_ = cmd.Process.Signal(sig) // fails when it has ended
		select {
		case <-ended:
			return true
		case <-time.After(patience):
		}
	}
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("w"), 0) // blocked tasks, to the console
	time.Sleep(time.Second)
	return false
}
