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

// cacheMark is a file that says whose a folder is.
const cacheMark = "shunt-vm-cache"

// own makes sure that the folder is a cache of ours, in which old things are
// removed: one with the mark, or with what earlier versions left, or an empty one.
func (c *Config) own() error {
	mark := filepath.Join(c.Cache, cacheMark)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	entries, err := os.ReadDir(c.Cache)
	if err != nil {
		return err
	}
	if len(entries) > 0 && len(c.have("*.is")) == 0 {
		return fmt.Errorf("%s has files and is no cache of shunt-vm's, which removes what is old in its cache: name a new or empty folder", c.Cache)
	}
	return os.WriteFile(mark, []byte("shunt-vm keeps kernels here, and removes what it has not used for long\n"), 0o644)
}

// Ages after which something in the cache goes that no run has wanted: what has to
// be fetched again, and what is only packed again.
const (
	unused = 30 * 24 * time.Hour
	stale  = 3 * 24 * time.Hour
)

// prune removes what is old, by the time of its last use (see used), and what
// killed runs have left: the caller has the lock, so that nobody else is making
// anything, and a machine holds a lock on its folder.
func (c *Config) prune(now time.Time) {
	for kind, age := range map[string]time.Duration{"kernel": unused, "ovs": unused, "base": stale, "simnic": stale, "programs": stale} {
		for _, p := range c.have(kind + "-*") {
			if info, err := os.Stat(p); err == nil && now.Sub(info.ModTime()) > age {
				_ = os.RemoveAll(p) // the next run tries again
			}
		}
	}
	for _, p := range c.have("tmp-*") {
		_ = os.RemoveAll(p)
	}
	for _, p := range c.have("run-*") {
		if f, err := hold(p); err == nil {
			_ = os.RemoveAll(p)
			_ = f.Close()
		}
	}
}

func (c *Config) have(pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(c.Cache, pattern))
	return found
}

// hold takes a folder, for as long as the file is open or its process lives. It
// fails when somebody else has it.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
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
