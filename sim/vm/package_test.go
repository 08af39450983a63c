package vm

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const aptDepends = `openvswitch-switch
 |Depends: kmod
  Depends: <module-init-tools>
  Depends: openvswitch-common
  Depends: libunbound8
  Depends: libc6
openvswitch-common
  Depends: <python3:any>
    python3
  Depends: libunbound8
libunbound8
  Depends: libevent-2.1-7
  Depends: libc6
libevent-2.1-7
  Depends: libc6
libc6
`

func TestDepends(t *testing.T) {
	graph := parseDepends(aptDepends)
	if got := graph["openvswitch-switch"]; !slices.Equal(got, []string{"kmod", "openvswitch-common", "libunbound8", "libc6"}) {
		t.Errorf("openvswitch-switch depends on %q", got)
	}
	got := withLibraries(graph, []string{"openvswitch-switch", "openvswitch-common"})
	if want := []string{"openvswitch-switch", "openvswitch-common", "libunbound8", "libevent-2.1-7"}; !slices.Equal(got, want) {
		t.Errorf("with libraries %q, want %q", got, want)
	}
	if name, err := dependency(graph, "openvswitch-switch", `^libunbound\d`); err != nil || name != "libunbound8" {
		t.Errorf("found %q, %v", name, err)
	}
	_, err := dependency(graph, "openvswitch-switch", `^linux-image-`)
	var pe *PackageError
	if !errors.As(err, &pe) || pe.Package != "openvswitch-switch" {
		t.Errorf("error %v", err)
	}
}

func config(t *testing.T) *Config {
	return &Config{Top: t.TempDir(), Cache: t.TempDir(), updated: true} // no test fetches package lists
}

// TestNoNetwork: what the cache has is taken when APT has nothing; without it, the
// error names the package and what to do.
func TestNoNetwork(t *testing.T) {
	c := config(t)
	lost := func(context.Context) (set, error) {
		return set{}, &PackageError{Package: "linux-image-amd64", Doing: "apt-cache does not know it"}
	}
	_, err := c.unpacked(t.Context(), "kernel-6.1", lost)
	var pe *PackageError
	if !errors.As(err, &pe) {
		t.Fatalf("error %v", err)
	}
	for _, s := range []string{"linux-image-amd64", "apt-get update", "SHUNT_VM_CACHE"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("does not say %s: %v", s, err)
		}
	}
	for i, v := range []string{"6.1.9-1", "6.1.10-1"} {
		if err := os.Mkdir(filepath.Join(c.Cache, "kernel-6.1-"+v), 0o755); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i-2) * time.Hour)
		if err := os.Chtimes(filepath.Join(c.Cache, "kernel-6.1-"+v), at, at); err != nil {
			t.Fatal(err)
		}
	}
	root, err := c.unpacked(t.Context(), "kernel-6.1", lost)
	if err != nil || filepath.Base(root) != "kernel-6.1-6.1.10-1" {
		t.Errorf("took %s, %v; want the newest", root, err)
	}
}

// TestNoHalfCache: a download that fails leaves nothing that the next run would
// take for whole.
func TestNoHalfCache(t *testing.T) {
	c := config(t)
	_, err := c.unpacked(t.Context(), "kernel-6.1", func(context.Context) (set, error) {
		return set{"6.1.9-1", []string{"shunt-no-such-package"}}, nil
	})
	var pe *PackageError
	if !errors.As(err, &pe) || pe.Package != "shunt-no-such-package" {
		t.Errorf("error %v", err)
	}
	left, err := os.ReadDir(c.Cache)
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestRemember(t *testing.T) {
	c := config(t)
	root := filepath.Join(c.Cache, "ovs-1")
	asked := 0
	resolve := func(context.Context) (set, error) { asked++; return set{version: "1"}, nil }
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := c.unpacked(t.Context(), "ovs", resolve); err != nil || got != root {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("APT was asked %d times", asked)
	}
	old := time.Unix(1, 0) // before any package list
	if err := os.Chtimes(filepath.Join(c.Cache, "ovs.is"), old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/var/lib/apt/lists"); errors.Is(err, fs.ErrNotExist) {
		return // no lists to be older than
	}
	if _, err := c.unpacked(t.Context(), "ovs", resolve); err != nil || asked != 2 {
		t.Errorf("asked %d times after new lists, %v", asked, err)
	}
}

func TestPrune(t *testing.T) {
	c := config(t)
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"kernel-6.1-old": unused + time.Hour, "kernel-6.1-new": unused - time.Hour,
		"base-6.1-old.cpio": stale + time.Hour, "base-6.1-new.cpio": stale - time.Hour, "run-dead": 0, "run-alive": 10 * unused, "tmp-1": 0, "somebody's": 10 * unused,
	} {
		p := filepath.Join(c.Cache, name)
		if err := os.Mkdir(p, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := hold(filepath.Join(c.Cache, "run-alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	c.prune(now)
	var left []string
	entries, err := os.ReadDir(c.Cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"base-6.1-new.cpio", "kernel-6.1-new", "run-alive", "somebody's"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

// TestLock: the second waits for the first, and gives up with its context.
func TestLock(t *testing.T) {
	c := config(t)
	unlock, err := c.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second: %v", err)
	}
	unlock()
	again, err := c.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// A folder that is somebody's own is refused, before anything in it is removed.
func TestForeignFolder(t *testing.T) {
	c := &Config{Cache: t.TempDir()}
	theirs := filepath.Join(c.Cache, "tmp-letters")
	if err := os.Mkdir(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	if unlock, err := c.open(t.Context()); err == nil {
		unlock()
		t.Error("taken for a cache")
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
	c.Cache = filepath.Join(c.Cache, "new")
	for range 2 {
		unlock, err := c.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	}
}
