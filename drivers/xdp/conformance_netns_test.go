//go:build netns

package xdp

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

func TestConformance(t *testing.T) {
	for _, mode := range []Mode{ModeNative, ModeGeneric} {
		for _, pin := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pinned %v", mode, pin), func(t *testing.T) {
				hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { return harness(t, mode, pin) })
			})
		}
	}
}

func harness(t *testing.T, mode Mode, pin bool) *hwiftest.Harness {
	w := newWires(t, wireOptions{})
	settings := map[string]string{"mode": string(mode)}
	if pin {
		settings["pin"] = pinDir(t)
	}
	open := func(o hwiftest.Options) hwif.Device {
		return w.open(hwif.OpenOptions{MaxRules: o.MaxRules, Settings: settings})
	}
	// Shorter tagged frames are dropped by the kernel itself before a packet
	// socket can see them (skb_vlan_untag).
	h := &hwiftest.Harness{Open: open, Ports: w.ports, MinFrame: 20, Hold: testHold, Inject: w.tap().inject}
	if pin {
		h.Reopen = open
	}
	h.Vanish = func(i hwif.Ifindex) {
		w.inRouter(func() {
			l, err := netlink.LinkByIndex(int(i))
			must(t, err, "find port")
			must(t, netlink.LinkDel(l), "delete port")
		})
	}
	return h
}

// pinDir is a directory that does not exist yet, on a bpffs.
func pinDir(t testing.TB) string {
	t.Helper()
	mount := t.TempDir()
	must(t, unix.Mount("bpf", mount, "bpf", 0, "mode=0700"), "mount a bpffs")
	t.Cleanup(func() { must(t, unix.Unmount(mount, unix.MNT_DETACH), "unmount the bpffs") })
	dir := filepath.Join(mount, "shunt")
	t.Cleanup(func() {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s was left behind", dir)
		}
	})
	return dir
}
