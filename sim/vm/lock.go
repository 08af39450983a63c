package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lock takes the cache for one run: what is made there is made once, and the
// folder of compiled programs belongs to one at a time.
func (c *Config) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.Cache, "lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if !told {
			c.log("another run is getting ready in %s; waiting for it", c.Cache)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Ages after which something in the cache goes: what no run has used, and what a
// killed run has left.
const (
	unused = 30 * 24 * time.Hour
	wreck  = 24 * time.Hour
)

// prune removes what is old. A thing's time is that of its last use (see used).
func (c *Config) prune(now time.Time) {
	for pattern, age := range map[string]time.Duration{
		"kernel-*": unused, "ovs-*": unused, "base-*": unused, "simnic-*": unused, "programs-*": unused,
		"run-*": wreck, "tmp-*": wreck,
	} {
		found, _ := filepath.Glob(filepath.Join(c.Cache, pattern))
		for _, p := range found {
			if info, err := os.Stat(p); err == nil && now.Sub(info.ModTime()) > age {
				_ = os.RemoveAll(p) // the next run tries again
			}
		}
	}
}

// used notes that something of the cache was wanted; false when it is not there.
func used(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

// program is a host's command that ends with ctx, and its children with it.
func program(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
