package lab

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is one network namespace, known to `ip netns` by Name.
// Its methods may be called by several goroutines.
type Namespace struct {
	Name   string
	handle netns.NsHandle
	nl     *netlink.Handle // control plane inside the namespace
	procs  *processes      // the lab's
}

// newNamespace creates the namespace with `ip netns add`, which also makes
// /run/netns a shared mount so that removal reaches every mount namespace.
func newNamespace(name string, procs *processes) (*Namespace, error) {
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("create namespace %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	n := &Namespace{Name: name, handle: netns.None(), procs: procs}
	var err error
	if n.handle, err = netns.GetFromName(name); err != nil {
		return nil, errors.Join(fmt.Errorf("open namespace %s: %w", name, err), n.remove())
	}
	if n.nl, err = netlink.NewHandleAt(n.handle, syscall.NETLINK_ROUTE); err != nil {
		return nil, errors.Join(fmt.Errorf("netlink socket in namespace %s: %w", name, err), n.remove())
	}
	return n, nil
}

// remove takes the name away. The kernel frees the namespace with the last
// process and descriptor in it.
func (n *Namespace) remove() error {
	if n.nl != nil {
		n.nl.Close()
	}
	if n.handle.IsOpen() {
		n.handle.Close()
	}
	return deleteNamespace(n.Name)
}

func deleteNamespace(name string) error {
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		return fmt.Errorf("remove namespace %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Do runs f on a thread inside the namespace and waits. Sockets that f opens
// stay in the namespace; goroutines that f starts do not. When the thread can't
// be brought back it is not used again: it ends with its goroutine.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := fmt.Errorf("in namespace %s: function ended its goroutine", n.Name)
		defer func() { done <- err }()
		runtime.LockOSThread()
		home, herr := netns.Get()
		if herr != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("read this thread's namespace: %w", herr)
			return
		}
		defer home.Close()
		if serr := netns.Set(n.handle); serr != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("enter namespace %s: %w", n.Name, serr)
			return
		}
		ferr := f()
		if serr := netns.Set(home); serr != nil {
			err = errors.Join(ferr, fmt.Errorf("leave namespace %s: %w", n.Name, serr))
			return // still locked: the runtime ends the thread
		}
		runtime.UnlockOSThread()
		err = ferr
	}()
	return <-done
}
