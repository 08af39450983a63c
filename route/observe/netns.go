package observe

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// netns is a network namespace that is held open.
type netns struct {
	fd    int
	inode uint32
}

const netnsFile = "/proc/thread-self/ns/net"

// here is the calling thread's.
func here() (*netns, error) {
	var st unix.Stat_t
	fd, err := unix.Open(netnsFile, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		if err = unix.Fstat(fd, &st); err == nil {
			return &netns{fd: fd, inode: uint32(st.Ino)}, nil
		}
		unix.Close(fd)
	}
	return nil, &Error{Hook: "netns", Err: err, Text: "opening " + netnsFile + "; is /proc mounted?"}
}

func (n *netns) close() {
	if n.fd >= 0 {
		unix.Close(n.fd)
		n.fd = -1
	}
}

// do runs f on a thread in the namespace: interface numbers mean those of the
// caller's namespace to the kernel.
func (n *netns) do(f func()) error {
	var st unix.Stat_t
	runtime.LockOSThread()
	if err := unix.Stat(netnsFile, &st); err == nil && uint32(st.Ino) == n.inode {
		f()
		runtime.UnlockOSThread()
		return nil
	}
	runtime.UnlockOSThread()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never given back: the thread ends with the goroutine
		err := unix.Setns(n.fd, unix.CLONE_NEWNET)
		if err == nil {
			f()
			done <- nil
			return
		}
		done <- &Error{Hook: "netns", Err: err, Text: "entering the network namespace"}
	}()
	return <-done
}
