//go:build netns || vm

package switchdev

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// has reports whether this kernel has a kind of interface; when it does not, its
// own words say so, or the test fails.
func (l *lab) has(kind, add string) bool {
	l.t.Helper()
	out, err := exec.Command("ip", strings.Fields("-n "+l.ns+" link add "+add)...).CombinedOutput()
	if err == nil {
		return true
	}
	if !strings.Contains(string(out), "Unknown device type") {
		l.t.Fatalf("ip link add %s: %v\n%s", add, err, out)
	}
	l.t.Logf("this kernel has no %s: %s", kind, strings.TrimSpace(string(out)))
	return false
}

// TestReadHost compares a look at ordinary interfaces with that of ip.
func TestReadHost(t *testing.T) {
	l := newLab(t)
	other := newLab(t)
	l.sh("ip link add v0 type veth peer name v1; ip link add far type veth peer name far netns " + other.ns)
	l.sh("ip link add br0 type bridge; ip link set v0 master br0 mtu 1400; ip link set v0 up")
	codes := map[string]RefusalCode{"v1": RefusedVeth, "far": RefusedVeth, "br0": RefusedVeth, "lo": RefusedVirtual}
	if l.has("VXLAN", "vx0 type vxlan id 7 dstport 4789 dev v1") {
		codes["vx0"] = RefusedTunnel
	}
	inv, err := l.conn().Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var want []struct {
		Ifindex  hwif.Ifindex
		Ifname   string
		Address  string
		Master   string
		MTU      uint32
		Flags    []string
		Linkinfo struct {
			Kind string `json:"info_kind"`
		}
		Netnsid *int `json:"link_netnsid"`
	}
	if err := json.Unmarshal([]byte(l.sh("ip -d -j link")), &want); err != nil {
		t.Fatal(err)
	}
	if len(want) < 5 || len(want) != len(inv.Links()) {
		t.Fatalf("%d interfaces, ip has %d", len(inv.Links()), len(want))
	}
	for _, x := range want {
		got, ok := inv.LinkByName(x.Ifname)
		master, _ := inv.LinkByName(x.Master)
		if !ok || got.Index != x.Ifindex || got.MTU != x.MTU || got.Kind != x.Linkinfo.Kind || got.Master != master.Index || got.LowerForeign != (x.Netnsid != nil) ||
			got.Type == unix.ARPHRD_ETHER && got.MAC.String() != x.Address || got.Up() != strings.Contains(strings.Join(x.Flags, ","), "LOWER_UP") {
			t.Errorf("%+v, ip has %+v", got, x)
		}
	}
	for name, code := range codes {
		link, _ := inv.LinkByName(name)
		if s := inv.Resolve(link.Index); s.OK() || len(s.Legs) != 1 || s.Legs[0].Refused.Code != code {
			t.Errorf("%s: %v", name, &s)
		}
	}
	if s := inv.Resolve(99999); s.Refused.Code != RefusedUnknown {
		t.Error(&s)
	}
}

// TestStacks follows what this kernel has of VLAN, bond and macvlan.
func TestStacks(t *testing.T) {
	l := newLab(t)
	l.sh("ip link add v0 type veth peer name v1; ip link add w0 type veth peer name w1")
	want := map[string]string{}
	if l.has("802.1Q", "link v1 name v1.7 type vlan id 7") {
		l.sh("ip link add link v1.7 name qq type vlan id 9 protocol 802.1ad")
		want["v1.7"], want["qq"] = "v1.7: v1 vlan 7", "qq: v1 vlan 7 vlan 9 proto 0x88a8"
	}
	if l.has("bond", "bond7 type bond mode active-backup") {
		l.sh("ip link set v0 master bond7; ip link set w0 master bond7")
		want["bond7"] = "bond7: v0"
	}
	if l.has("macvlan", "link w1 name mv type macvlan") {
		want["mv"] = "mv: w1"
	}
	if len(want) == 0 {
		t.Skip("this kernel has none of VLAN, bond and macvlan, as its own words above say")
	}
	inv, err := l.conn().Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		link, _ := inv.LinkByName(name)
		if s := inv.Resolve(link.Index); !strings.HasPrefix(s.String(), text) || s.Legs[0].Refused.Code != RefusedVeth {
			t.Errorf("%v, want %s", &s, text)
		}
	}
}

// TestOffloadTrap: the kernel takes the wish to offload on a veth without an
// error and does nothing, in both forms that ethtool has.
func TestOffloadTrap(t *testing.T) {
	l := newLab(t)
	l.sh("ip link add v0 type veth peer name v1")
	inv, err := l.conn().Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	v0, _ := inv.LinkByName("v0")
	ctx := context.Background()
	for _, old := range []bool{false, true} {
		c := l.conn()
		if c.ethtool == 0 {
			t.Log("this kernel has no ethtool netlink: only the old form is tried")
		}
		if old {
			c.ethtool = 0
		}
		for range 2 { // named bits, then compact ones
			if got, err := c.TCOffload(ctx, v0.Index); got != TCOffloadOffFixed || err != nil {
				t.Errorf("old %v: %v %v", old, got, err)
			}
		}
		var e *Error
		if err := c.SetTCOffload(ctx, v0.Index, true); !errors.Is(err, ErrNotApplied) || !errors.As(err, &e) || e.Port != "v0" {
			t.Errorf("old %v: %v", old, err)
		}
		if err := c.SetTCOffload(ctx, v0.Index, false); err != nil {
			t.Errorf("old %v: %v", old, err)
		}
		if err := c.SetTCOffload(ctx, 99999, true); !errors.Is(err, unix.ENODEV) {
			t.Errorf("old %v: %v", old, err)
		}
	}
}

// TestDevlinkAbsent: on a kernel without devlink nothing fails that need not.
func TestDevlinkAbsent(t *testing.T) {
	c := newLab(t).conn()
	if c.HasDevlink() {
		t.Skip("this kernel has devlink: family", c.devlink)
	}
	inv, err := c.Read(context.Background())
	if err != nil || len(inv.Devices) != 0 || len(inv.Problems) != 0 {
		t.Errorf("%v %+v", err, inv)
	}
	if _, err := c.EswitchMode(context.Background(), pf0); !errors.Is(err, ErrNoDevlink) {
		t.Error(err)
	}
	if _, err := c.Param(context.Background(), pf0, "x"); !errors.Is(err, ErrNoDevlink) {
		t.Error(err)
	}
}

func TestWatchHost(t *testing.T) {
	l := newLab(t)
	l.sh("ip link add v0 type veth peer name v1")
	f := follow(t, l.watcher(WatchOptions{}))
	l.sh("ip link add br0 type bridge")
	e := f.until("bridge", func(e Event) bool { _, ok := e.(StackChanged); return ok }).(StackChanged)
	br, ok := f.Inventory().LinkByName("br0")
	if !ok || br.Index != e.Ifindex {
		t.Errorf("%v, br0 is %d", e, br.Index)
	}
	l.sh("ip link set v0 master br0")
	v0, _ := f.Inventory().LinkByName("v0")
	f.until("member", func(e Event) bool { return e == StackChanged{v0.Index} })
	if s := f.Inventory().Resolve(br.Index); len(s.Legs) != 1 || s.Legs[0].Name != "v0" {
		t.Error(&s)
	}
	l.sh("ip link set v0 name renamed; ip link del br0")
	f.until("end of the bridge", func(e Event) bool { return e == StackChanged{br.Index} })
	if _, ok := f.Inventory().LinkByName("renamed"); !ok {
		t.Error("the new name is not known")
	}
}

// TestWatchOverflow makes the kernel drop notifications, and looks whether what
// was dropped is known afterwards.
func TestWatchOverflow(t *testing.T) {
	l := newLab(t)
	l.sh("ip link add v0 type veth peer name v1")
	w := l.watcher(WatchOptions{ReceiveBuffer: 4 << 10})
	// Nobody listens yet: the buffer holds a few.
	l.sh("for i in $(seq 1000 1199); do echo link set v0 mtu $i; done | ip -batch -; ip link add br0 type bridge")
	f := follow(t, w)
	f.until("resync", func(e Event) bool { r, ok := e.(Resync); return ok && strings.Contains(r.Cause, "ENOBUFS") })
	f.until("bridge", func(e Event) bool { _, ok := e.(StackChanged); return ok })
	if v0, _ := f.Inventory().LinkByName("v0"); v0.MTU != 1199 {
		t.Errorf("MTU %d", v0.MTU)
	}
	l.sh("ip link set v0 mtu 1300; ip link set v0 master br0") // and it goes on
	f.until("member", func(e Event) bool { _, ok := e.(StackChanged); return ok })
	if v0, _ := f.Inventory().LinkByName("v0"); v0.MTU != 1300 {
		t.Errorf("MTU %d", v0.MTU)
	}
}
