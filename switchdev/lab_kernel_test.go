//go:build netns || vm

package switchdev

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// wait is long enough for anything that will happen at all, on an emulated CPU.
const wait = 20 * time.Second

var labs atomic.Int32

// lab is a network namespace of its own.
type lab struct {
	t  testing.TB
	ns string
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{t, fmt.Sprintf("swd-%d-%d", os.Getpid(), labs.Add(1))}
	run(t, "ip netns add "+l.ns)
	t.Cleanup(func() { run(t, "ip netns del "+l.ns) })
	return l
}

// run runs a command line and fails when it does.
func run(t testing.TB, line string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// sh runs a command line in the namespace.
func (l *lab) sh(line string) string {
	l.t.Helper()
	return run(l.t, "ip netns exec "+l.ns+" sh -ec '"+line+"'")
}

// in calls f with the calling thread inside the namespace.
func (l *lab) in(f func() error) {
	l.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		l.t.Fatal(err)
	}
	defer home.Close()
	there, err := netns.GetFromName(l.ns)
	if err != nil {
		l.t.Fatal(err)
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		l.t.Fatal(err)
	}
	defer netns.Set(home)
	if err := f(); err != nil {
		l.t.Fatal(err)
	}
}

// conn is a Conn inside the namespace.
func (l *lab) conn() (c *Conn) {
	l.t.Helper()
	l.in(func() (err error) { c, err = Open(); return err })
	l.t.Cleanup(func() { c.Close() })
	return c
}

// watcher is a Watcher inside the namespace, not yet running.
func (l *lab) watcher(o WatchOptions) (w *Watcher) {
	l.t.Helper()
	l.in(func() (err error) { w, err = NewWatcher(context.Background(), o); return err })
	return w
}

// watching is a running Watcher and what it has said.
type watching struct {
	*Watcher
	t    testing.TB
	mu   sync.Mutex
	said []Event
	news chan struct{}
}

// follow runs w to the end of the test.
func follow(t testing.TB, w *Watcher) *watching {
	f := &watching{Watcher: w, t: t, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Run(ctx, func(e Event) {
			f.mu.Lock()
			f.said = append(f.said, e)
			f.mu.Unlock()
			select {
			case f.news <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

// until waits for an event that ok likes, and forgets it. Events of different
// sockets have no order among them.
func (f *watching) until(what string, ok func(Event) bool) Event {
	f.t.Helper()
	late := time.After(wait)
	for {
		f.mu.Lock()
		for i, e := range f.said {
			if ok(e) {
				f.said = slices.Delete(f.said, i, i+1)
				f.mu.Unlock()
				return e
			}
		}
		f.mu.Unlock()
		select {
		case <-f.news:
		case <-late:
			f.t.Fatalf("no %s; said was\n%s", what, f.text())
		}
	}
}

// text is what was said and not yet forgotten, a line each.
func (f *watching) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, e := range f.said {
		fmt.Fprintf(&b, "\t%s\n", e)
	}
	return b.String()
}
