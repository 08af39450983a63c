//go:build vm

package switchdev

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

// profiles and how a card of each begins: its mode, and hw-tc-offload.
var profiles = []struct {
	name    string
	mode    Mode
	offload TCOffload
}{
	{"flower", ModeSwitchdev, TCOffloadOn},
	{"mlx5", ModeSwitchdev, TCOffloadOn},
	{"ice", ModeSwitchdev, TCOffloadOff},
	{"nfp", ModeSwitchdev, TCOffloadOn},
	{"bnxt", ModeSwitchdev, TCOffloadOffFixed}, // of this card only the name is played
}

// TestCardInventory reads a card of each profile, and holds it against what the
// programs devlink, ip and ethtool say.
func TestCardInventory(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			c := newCard(t, "profile="+p.name+" uplinks=1 vfs=2 sfs=1 mode=switchdev serial=0011223344556677")
			inv := look(t)
			d, ok := inv.Device(c.dev)
			if !ok || len(inv.Devices) != 1 {
				t.Fatalf("devices %+v", inv.Devices)
			}
			if d.Driver != "simnic" || d.Board != "simnic-"+p.name || d.Mode != p.mode || d.SwitchID != "0011223344556677" || d.Group() != (Group{d.SwitchID, c.dev}) {
				t.Errorf("%+v", d)
			}
			if len(d.Health) != 1 || d.Health[0].Name != "fw" {
				t.Errorf("reporters %+v", d.Health)
			}
			if len(d.Ports) != 4 || len(d.Uplinks()) != 1 {
				t.Errorf("%d ports, %d uplinks", len(d.Ports), len(d.Uplinks()))
			}
			for name, want := range map[string]Port{
				"p0":     {Kind: hwif.PortUplink, Flavour: FlavourPhysical},
				"pf0vf0": {Kind: hwif.PortVF, Flavour: FlavourVF},
				"pf0vf1": {Kind: hwif.PortVF, Flavour: FlavourVF, VF: 1},
				"pf0sf0": {Kind: hwif.PortSF, Flavour: FlavourSF},
			} {
				got := c.port(inv, name)
				if got.Kind != want.Kind || got.Flavour != want.Flavour || got.VF != want.VF || got.SF != want.SF || got.PF != 0 || got.Number != 0 ||
					got.PhysPortName != name || got.SwitchID != d.SwitchID || got.MTU == 0 || got.MAC == (hwif.MAC{}) || got.TCOffload != p.offload || got.Device != c.dev {
					t.Errorf("%s: %+v", name, got)
				}
				if by, _ := inv.ByIfindex(got.Ifindex); by != got {
					t.Errorf("%s: another port by its number", name)
				}
				if (got.OffloadRefused() == "") != p.offload.On() {
					t.Errorf("%s: %q", name, got.OffloadRefused())
				}
			}
			for _, far := range []string{"p0w", "v0", "v1", "s0"} {
				l, ok := inv.LinkByName(c.name(far))
				if _, isPort := inv.ByIfindex(l.Index); !ok || isPort {
					t.Errorf("%s: known %v, a port %v", far, ok, isPort)
				}
			}
			compareDevlink(t, inv)
		})
	}
}

// compareDevlink holds an inventory against the programs.
func compareDevlink(t *testing.T, inv *Inventory) {
	t.Helper()
	var dev struct{ Dev map[string]any }
	says(t, &dev, "devlink -j dev")
	var ports struct {
		Port map[string]struct {
			Netdev, Flavour      string
			Controller           uint32
			Pfnum, Vfnum         uint16
			Sfnum, Port          uint32
			External, Splittable bool
		}
	}
	says(t, &ports, "devlink -j port show")
	n := 0
	for _, d := range inv.Devices {
		var eswitch struct {
			Dev map[string]struct{ Mode string }
		}
		says(t, &eswitch, "devlink -j dev eswitch show "+d.String())
		if got := eswitch.Dev[d.String()].Mode; got != d.Mode.String() {
			t.Errorf("%s: mode %s, devlink says %q", d.Handle, d.Mode, got)
		}
		for _, p := range d.Ports {
			x, ok := ports.Port[fmt.Sprintf("%s/%d", p.Device, p.Index)]
			if !ok || x.Netdev != p.Name || x.Flavour != p.Flavour.String() || x.Pfnum != p.PF || x.Vfnum != p.VF || x.Sfnum != p.SF || x.Controller != p.Controller || x.External != p.External {
				t.Errorf("%+v, devlink says %+v", p, x)
			}
			features := run(t, "ethtool -k "+p.Name)
			if want := "hw-tc-offload: " + p.TCOffload.String() + "\n"; !strings.Contains(features, want) {
				t.Errorf("%s: ethtool does not say %q", p.Name, want)
			}
			n++
		}
	}
	if n != len(ports.Port) || len(dev.Dev) != len(inv.Devices) {
		t.Errorf("%d devices and %d ports, devlink has %d and %d", len(inv.Devices), n, len(dev.Dev), len(ports.Port))
	}
}

// TestCardTwins: two cards of one serial number have one switch id, as the PFs
// of one NIC have, and are two eswitches.
func TestCardTwins(t *testing.T) {
	a := newCard(t, "profile=mlx5 mode=switchdev serial=00aabbccddeeff01")
	b := newCard(t, "profile=mlx5 mode=switchdev serial=00aabbccddeeff01 vfs=1")
	inv := look(t)
	da, _ := inv.Device(a.dev)
	db, _ := inv.Device(b.dev)
	if da.SwitchID != "00aabbccddeeff01" || da.SwitchID != db.SwitchID || da.Group() == db.Group() {
		t.Errorf("%+v %+v", da.Group(), db.Group())
	}
	if !inv.SameGroup(a.port(inv, "p0").Ifindex, a.port(inv, "pf0vf1").Ifindex) || inv.SameGroup(a.port(inv, "p0").Ifindex, b.port(inv, "p0").Ifindex) {
		t.Error("the same switch id was taken for the same eswitch")
	}
	compareDevlink(t, inv)
}

// TestCardManyPorts: a card with as many functions as it can have, and several
// uplinks on one eswitch.
func TestCardManyPorts(t *testing.T) {
	c := newCard(t, "profile=nfp uplinks=2 vfs=8 sfs=4")
	inv := look(t)
	d, _ := inv.Device(c.dev)
	if len(d.Ports) != 14 || len(d.Uplinks()) != 2 || d.Uplinks()[1].Number != 1 {
		t.Errorf("%d ports, uplinks %+v", len(d.Ports), d.Uplinks())
	}
	if !inv.SameGroup(d.Uplinks()[0].Ifindex, d.Uplinks()[1].Ifindex) {
		t.Error("two uplinks of one eswitch are in two groups")
	}
}

// TestCardElsewhere: a card in another namespace is not here, and is there.
func TestCardElsewhere(t *testing.T) {
	here := newCard(t, "profile=mlx5 mode=switchdev")
	l := newLab(t)
	n := cards.Add(1)
	l.sh(fmt.Sprintf("echo id=%d profile=mlx5 mode=switchdev > /sys/bus/simnic/new_device", n))
	there := &simCard{t: t, n: n, dev: Handle{Bus: "simnic", Name: fmt.Sprintf("simnic%d", n)}}
	t.Cleanup(there.remove)
	inv := look(t)
	if _, ok := inv.Device(there.dev); ok || len(inv.Devices) != 1 || inv.Devices[0].Handle != here.dev {
		t.Errorf("%+v", inv.Devices)
	}
	inv, err := l.conn().Read(context.Background())
	if err != nil || len(inv.Devices) != 1 || inv.Devices[0].Handle != there.dev || len(inv.Devices[0].Ports) != 3 || inv.Devices[0].Ports[0].Ifindex == 0 {
		t.Errorf("%v %+v", err, inv)
	}
}

// TestCardFunctionElsewhere: a VF's own interface in another namespace takes
// nothing away from its representor.
func TestCardFunctionElsewhere(t *testing.T) {
	c := newCard(t, "profile=mlx5 mode=switchdev")
	l := newLab(t)
	run(t, "ip link set "+c.name("v0")+" netns "+l.ns)
	if inv := look(t); c.port(inv, "pf0vf0").VF != 0 || len(inv.Devices[0].Ports) != 3 {
		t.Errorf("%+v", inv.Devices)
	}
}
