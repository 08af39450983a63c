package conntrack

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wakeup ends a wait from another goroutine. It is an eventfd, so that one poll
// can wait for it and for sockets.
// up and close exclude each other: a late up must not write to a descriptor that
// has become somebody else's.
type wakeup struct {
	mu sync.Mutex
	fd int
}

func (w *wakeup) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	w.fd = fd
	return nil
}

func (w *wakeup) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Close(w.fd)
		w.fd = -1
	}
}

// up wakes the waiter, now or at its next wait.
func (w *wakeup) up() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		return
	}
	// EAGAIN means that the counter is full, so the waiter is awake already.
	_, _ = unix.Write(w.fd, one[:])
}

// wait returns when the socket has something, up was called, or d has passed;
// d < 0 means for ever.
func (w *wakeup) wait(s *socket, d time.Duration) error {
	timeout := -1
	if d >= 0 {
		timeout = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	fds := [2]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}, {Fd: int32(w.fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds[:], timeout); err != nil && err != unix.EINTR {
		return fmt.Errorf("wait for conntrack events: %w", err)
	}
	if fds[1].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(w.fd, b[:])
	}
	return nil
}
