//go:build vm

package switchdev

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// TestCardMode changes the mode there and back, and compares what the Watcher
// tells with what the kernel then has.
func TestCardMode(t *testing.T) {
	c := newCard(t, "profile=mlx5 mode=switchdev vfs=2 sfs=1")
	conn := open(t)
	f := watchCards(t, WatchOptions{Poll: -1})
	reps := []string{"pf0vf0", "pf0vf1", "pf0sf0"}
	var old []hwif.Ifindex
	for _, r := range reps {
		old = append(old, c.port(f.Inventory(), r).Ifindex)
	}
	uplink := c.port(f.Inventory(), "p0").Ifindex

	if err := conn.SetEswitchMode(bg, c.dev, ModeLegacy); err != nil {
		t.Fatal(err)
	}
	if m, err := conn.EswitchMode(bg, c.dev); m != ModeLegacy || err != nil {
		t.Errorf("%v %v", m, err)
	}
	for _, i := range old {
		f.until("end of a representor", vanished(i))
	}
	f.until("legacy mode", func(e Event) bool { return e == ModeChanged{c.dev, ModeSwitchdev, ModeLegacy} })
	inv := look(t)
	d, _ := inv.Device(c.dev)
	// The trap: the uplink has its switch id in legacy mode too.
	if up := c.port(inv, "p0"); d.Mode != ModeLegacy || up.Ifindex != uplink || up.SwitchID == "" {
		t.Errorf("%v %+v", d.Mode, up)
	}

	if err := conn.SetEswitchMode(bg, c.dev, ModeSwitchdev); err != nil {
		t.Fatal(err)
	}
	f.until("switchdev mode", func(e Event) bool { return e == ModeChanged{c.dev, ModeLegacy, ModeSwitchdev} })
	for n, r := range reps {
		e := f.until("a representor", appeared(c.name(r))).(PortAppeared)
		if e.Port.Ifindex == old[n] || e.Port.TCOffload != TCOffloadOn || e.Port.SwitchID == "" {
			t.Errorf("%+v, was number %d", e.Port, old[n])
		}
	}
	same(t, f.Inventory(), look(t))
}

// same fails unless a watched inventory is what a fresh look finds.
func same(t *testing.T, got, want *Inventory) {
	t.Helper()
	for _, e := range diff(got, want) {
		t.Errorf("the Watcher missed: %s", e)
	}
}

// TestCardModeBlocked: what is in the way is told in the kernel's own words.
func TestCardModeBlocked(t *testing.T) {
	conn := open(t)
	t.Run("mlx5 with rules", func(t *testing.T) {
		c := newCard(t, "profile=mlx5 mode=switchdev")
		dev := c.name("pf0vf0")
		run(t, "tc qdisc add dev "+dev+" clsact; tc filter add dev "+dev+" ingress protocol ip prio 2 flower skip_sw ip_proto udp action drop")
		err := conn.SetEswitchMode(bg, c.dev, ModeLegacy)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EOPNOTSUPP) || !strings.Contains(e.Text, "E-Switch is busy") || e.Device != c.dev || e.Hint == "" {
			t.Errorf("%v", err)
		}
		if m, _ := conn.EswitchMode(bg, c.dev); m != ModeSwitchdev {
			t.Errorf("%v", m)
		}
		run(t, "tc filter del dev "+dev+" ingress")
		if err := conn.SetEswitchMode(bg, c.dev, ModeLegacy); err != nil {
			t.Errorf("without rules: %v", err)
		}
	})
	t.Run("ice with VFs", func(t *testing.T) {
		c := newCard(t, "profile=ice mode=legacy vfs=2")
		err := conn.SetEswitchMode(bg, c.dev, ModeSwitchdev)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Text, "only if there is no VFs created") || !strings.Contains(e.Hint, "sriov_numvfs") {
			t.Errorf("%v", err)
		}
	})
	t.Run("nfp", func(t *testing.T) {
		c := newCard(t, "profile=nfp")
		if err := conn.SetEswitchMode(bg, c.dev, ModeLegacy); !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("%v", err)
		}
	})
	if err := conn.SetEswitchMode(bg, Handle{Bus: "simnic", Name: "none"}, ModeLegacy); !errors.Is(err, unix.ENODEV) {
		t.Errorf("%v", err)
	}
	// The Conn is still of use after all these errors.
	if _, err := conn.Read(bg); err != nil {
		t.Error(err)
	}
}

func TestCardOffload(t *testing.T) {
	c := newCard(t, "profile=mlx5 mode=switchdev")
	conn := open(t)
	f := watchCards(t, WatchOptions{Poll: -1})
	vf := c.port(f.Inventory(), "pf0vf0").Ifindex
	for _, on := range []bool{false, true} {
		if err := conn.SetTCOffload(bg, vf, on); err != nil {
			t.Fatal(err)
		}
		e := f.until("hw-tc-offload", changed(c.name("pf0vf0"), ChangedTCOffload)).(PortChanged)
		if e.New.TCOffload.On() != on || e.New.TCOffload.Fixed() || e.What != ChangedTCOffload {
			t.Errorf("%s", e)
		}
	}
	// mlx5 keeps it on while rules are there, and no error says so.
	dev := c.name("pf0vf0")
	run(t, "tc qdisc add dev "+dev+" clsact; tc filter add dev "+dev+" ingress protocol ip prio 2 flower skip_sw ip_proto udp action drop")
	if err := conn.SetTCOffload(bg, vf, false); !errors.Is(err, ErrNotApplied) {
		t.Errorf("with rules: %v", err)
	}
	far, _ := f.Inventory().LinkByName(c.name("v0"))
	var e *Error
	if err := conn.SetTCOffload(bg, far.Index, true); !errors.Is(err, ErrNotApplied) || !errors.As(err, &e) || !strings.Contains(e.Hint, "[fixed]") {
		t.Errorf("of a VF's own interface: %v", err)
	}
	ice := newCard(t, "profile=ice mode=switchdev")
	f.until("the card", appeared(ice.name("p0")))
	up := ice.port(look(t), "p0")
	if up.TCOffload != TCOffloadOff || !strings.Contains(up.OffloadRefused(), "ethtool -K "+up.Name) {
		t.Errorf("%+v", up)
	}
	run(t, "ethtool -K "+up.Name+" hw-tc-offload on") // by somebody else
	f.until("hw-tc-offload of ice", changed(up.Name, ChangedTCOffload))
	if up = ice.port(look(t), "p0"); up.OffloadRefused() != "" {
		t.Errorf("%+v", up)
	}
}
