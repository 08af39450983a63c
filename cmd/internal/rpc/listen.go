package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultSocket is where the daemon listens and the command line looks.
const DefaultSocket = "/run/shunt/shuntd.sock"

// UnixOptions; zero values are defaults.
type UnixOptions struct {
	Mode fs.FileMode // of the socket, 0660: who can write to it is an operator
	GID  int         // its group, 0
}

// ListenUnix makes the unix socket. A socket file of a dead daemon is replaced,
// that of a live one refused, and anything else at that path left alone. The
// folder is made if it is missing.
//
// A lock file beside the socket keeps two daemons that start at the same moment
// apart; the kernel drops the lock when its holder ends, whichever way.
func ListenUnix(path string, opts UnixOptions) (net.Listener, error) {
	def(&opts.Mode, 0o660)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of the socket: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of the socket: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, inUse(path)
		}
		return nil, fmt.Errorf("lock %s.lock: %w", path, err)
	}
	l, err := bind(path, opts)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &locked{l, lock}, nil
}

func inUse(path string) error {
	return fmt.Errorf("another shuntd listens on %s; stop it, or give this one another socket", path)
}

// bind clears the path and listens. The mode is set before the name exists, so
// that nobody can slip in between.
func bind(path string, opts UnixOptions) (net.Listener, error) {
	if err := clearPath(path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctl := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(opts.Mode.Perm())) }); ctl != nil {
			return ctl
		}
		return err
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chown(path, -1, opts.GID); err != nil {
		l.Close()
		return nil, fmt.Errorf("give %s to group %d: %w", path, opts.GID, err)
	}
	if err := os.Chmod(path, opts.Mode.Perm()); err != nil { // what the umask took away
		l.Close()
		return nil, fmt.Errorf("set mode of %s: %w", path, err)
	}
	return l, nil
}

// clearPath removes a socket that nobody listens on.
func clearPath(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at %s: %w", path, err)
	case fi.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is no socket; remove it, or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return inUse(path)
	}
	// Refused: the file is left over. Anything else (a full backlog is EAGAIN)
	// means that somebody may be there.
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("%w (%w)", inUse(path), err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove left-over socket: %w", err)
	}
	return nil
}

// locked gives the lock back after its listener is closed.
type locked struct {
	net.Listener
	lock *os.File
}

func (l *locked) Close() error { return errors.Join(l.Listener.Close(), l.lock.Close()) }

// ListenTCP listens on a loopback address. Peers there can be anybody on this
// host, so they may only read.
func ListenTCP(addr string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: write an address and a port, like 127.0.0.1:4790 or [::1]:4790", addr)
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("listen on %s: without TLS only loopback addresses are served; use 127.0.0.1 or ::1, or forward the unix socket over ssh", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}
