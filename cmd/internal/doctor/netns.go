package doctor

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namedNamespaces is where ip-netns(8) keeps names.
const namedNamespaces = "/run/netns"

// namespaces gives the paths of all network namespaces that can be seen, each
// once: those with a name first.
func (h *host) namespaces() iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := map[uint64]bool{}
		named, _ := filepath.Glob(namedNamespaces + "/*")
		running, _ := filepath.Glob(h.proc + "/[0-9]*/ns/net")
		for _, path := range append(named, running...) {
			var st unix.Stat_t
			if unix.Stat(path, &st) != nil || seen[st.Ino] {
				continue
			}
			seen[st.Ino] = true
			if !yield(path) {
				return
			}
		}
	}
}

// displayName is what ip-netns(8) would call it, or the path.
func displayName(path string) string {
	if name, ok := strings.CutPrefix(path, namedNamespaces+"/"); ok {
		return name
	}
	return path
}

// numberOf asks how our namespace numbers the one at path (RTM_GETNSID).
func numberOf(path string) (int, error) {
	ns, err := os.Open(path)
	if err != nil {
		return -1, err
	}
	defer ns.Close()
	return netlink.GetNetNsIdByFd(int(ns.Fd()))
}

// inside runs f on a thread in the namespace at path. A thread that cannot be
// brought back ends with its goroutine.
func inside(path string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		back, err := visit(path, f)
		if back {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func visit(path string, f func() error) (back bool, err error) {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return true, err
	}
	defer home.Close()
	away, err := os.Open(path)
	if err != nil {
		return true, err
	}
	defer away.Close()
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		return true, fmt.Errorf("enter namespace %s: %w", path, err)
	}
	err = f()
	if e := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); e != nil {
		return false, errors.Join(err, fmt.Errorf("leave namespace %s: %w", path, e))
	}
	return true, err
}
