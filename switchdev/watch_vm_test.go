//go:build vm

package switchdev

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

// TestCardPlug: a VF goes and comes back with another number, again and again.
func TestCardPlug(t *testing.T) {
	c := newCard(t, "profile=mlx5 mode=switchdev vfs=2")
	f := watchCards(t, WatchOptions{Poll: -1})
	was := c.port(f.Inventory(), "pf0vf1").Ifindex
	for range 5 {
		c.fault("unplug", "1")
		f.until("end of VF 1", vanished(was))
		if _, ok := f.Inventory().ByIfindex(was); ok {
			t.Error("the inventory still has it")
		}
		c.fault("plug", "1")
		now := f.until("VF 1", appeared(c.name("pf0vf1"))).(PortAppeared).Port
		if now.Ifindex == was || now.VF != 1 || now.TCOffload != TCOffloadOn || now.PhysPortName != "pf0vf1" {
			t.Errorf("%+v, was number %d", now, was)
		}
		was = now.Ifindex
	}
	// Without a breath between.
	for range 5 {
		c.fault("unplug", "1")
		c.fault("plug", "1")
		f.until("end of VF 1", vanished(was))
		was = f.until("VF 1", appeared(c.name("pf0vf1"))).(PortAppeared).Port.Ifindex
	}
	same(t, f.Inventory(), look(t))
}

func TestCardReset(t *testing.T) {
	c := newCard(t, "profile=mlx5 mode=switchdev")
	other := newCard(t, "profile=mlx5 mode=switchdev")
	f := watchCards(t, WatchOptions{Poll: -1})
	reset := func(e Event) bool { r, ok := e.(DeviceReset); return ok && r.Device == c.dev }
	for n := range 3 {
		c.fault("reset", "1")
		e := f.until("reset", reset).(DeviceReset)
		if !strings.Contains(e.Cause, "fw") {
			t.Errorf("%s", e)
		}
		d, _ := f.Inventory().Device(c.dev)
		if d.Health[0].Recoveries != uint64(n+1) || d.Health[0].Errors != uint64(n+1) {
			t.Errorf("%+v", d.Health)
		}
	}
	run(t, "devlink dev reload "+c.dev.String())
	f.until("reload", func(e Event) bool { return reset(e) && strings.Contains(e.(DeviceReset).Cause, "reload") })
	if d, _ := f.Inventory().Device(other.dev); d.Health[0].Recoveries != 0 || strings.Contains(f.text(), other.dev.String()+" was reset") {
		t.Errorf("the other card was reset too: %+v", d.Health)
	}
}

func TestCardRenameAndCarrier(t *testing.T) {
	c := newCard(t, "profile=mlx5 mode=switchdev")
	run(t, "for i in p0 p0w pf0vf0 v0; do ip link set "+c.name("$i")+" up; done")
	f := watchCards(t, WatchOptions{Poll: -1})
	up := c.port(f.Inventory(), "p0").Ifindex
	run(t, "ip link set "+c.name("pf0vf0")+" down; ip link set "+c.name("pf0vf0")+" name renamed; ip link set renamed mtu 1400")
	f.until("rename", changed("renamed", ChangedName))
	f.until("MTU", changed("renamed", ChangedMTU))
	if p, ok := f.Inventory().ByName("renamed"); !ok || p.PhysPortName != "pf0vf0" || p.AdminUp {
		t.Errorf("%+v", p)
	}
	if _, ok := f.Inventory().ByName(c.name("pf0vf0")); ok {
		t.Error("the old name is still known")
	}
	c.fault("flap", c.name("p0")+" 3000") // less, and the kernel may tell of neither: it reports carrier once a second
	for _, want := range []bool{false, true} {
		f.until(fmt.Sprintf("carrier %v", want), func(e Event) bool {
			p, ok := e.(PortChanged)
			return ok && p.New.Ifindex == up && p.What == ChangedCarrier && p.New.Up == want
		})
	}
}

// TestCardRemoved: a card comes while we watch, and goes.
func TestCardRemoved(t *testing.T) {
	stays := newCard(t, "profile=flower vfs=1")
	f := watchCards(t, WatchOptions{Poll: -1})
	c := newCard(t, "profile=ice mode=switchdev vfs=2 sfs=1")
	f.until("the card", func(e Event) bool { return e == DeviceAppeared{c.dev} })
	names := []string{"p0", "pf0vf0", "pf0vf1", "pf0sf0"}
	numbers := map[hwif.Ifindex]bool{}
	for range names {
		e := f.until("a port", func(e Event) bool { _, ok := e.(PortAppeared); return ok }).(PortAppeared)
		numbers[e.Port.Ifindex] = true
	}
	d, ok := f.Inventory().Device(c.dev)
	if !ok || len(numbers) != 4 || d.Board != "simnic-ice" || d.Mode != ModeSwitchdev || len(d.Ports) != 4 {
		t.Errorf("%+v", d)
	}
	c.remove()
	for range numbers {
		e := f.until("end of a port", func(e Event) bool { _, ok := e.(PortVanished); return ok }).(PortVanished)
		if !numbers[e.Port.Ifindex] {
			t.Errorf("%s", e)
		}
	}
	f.until("end of the card", func(e Event) bool { return e == DeviceVanished{c.dev} })
	same(t, f.Inventory(), look(t))
	if _, ok := f.Inventory().Device(stays.dev); !ok || len(f.Inventory().Devices) != 1 {
		t.Errorf("%+v", f.Inventory().Devices)
	}
}

// TestCardLoss: with a small receive buffer and nobody who reads, the kernel
// drops what happens to a card; afterwards it is known all the same.
func TestCardLoss(t *testing.T) {
	c := newCard(t, "profile=mlx5 mode=switchdev vfs=8")
	w, err := NewWatcher(bg, WatchOptions{Poll: -1, ReceiveBuffer: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	last := c.port(w.Inventory(), "pf0vf7").Ifindex
	for range 3 {
		for vf := range 8 {
			c.fault("unplug", fmt.Sprint(vf))
			c.fault("plug", fmt.Sprint(vf))
		}
	}
	f := follow(t, w)
	f.until("resync", func(e Event) bool { _, ok := e.(Resync); return ok })
	f.until("end of the old VF 7", vanished(last))
	f.until("the new VF 7", appeared(c.name("pf0vf7")))
	same(t, f.Inventory(), look(t))
}
