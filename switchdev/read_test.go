package switchdev

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

var (
	pf0 = Handle{Bus: "pci", Name: "0000:03:00.0"}
	pf1 = Handle{Bus: "pci", Name: "0000:03:00.1"}
	id8 = []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77}
)

func (k *kernel) read() *Inventory {
	k.t.Helper()
	inv, err := k.conn().Read(context.Background())
	if err != nil {
		k.t.Fatal(err)
	}
	return inv
}

// clean is read without anything to complain about.
func (k *kernel) clean() *Inventory {
	k.t.Helper()
	inv := k.read()
	for _, p := range inv.Problems {
		k.t.Error(p)
	}
	return inv
}

func TestReadCard(t *testing.T) {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	inv := k.clean()
	if len(inv.Devices) != 1 {
		t.Fatalf("%d devices", len(inv.Devices))
	}
	d := inv.Devices[0]
	ports, health := d.Ports, d.Health
	d.Ports, d.Health = nil, nil
	want := Device{Handle: pf0, Driver: "mlx5_core", Board: "MT_0359", Serial: "SN-1", Firmware: "22.1", Mode: ModeSwitchdev,
		InlineMode: InlineNone, EncapMode: EncapBasic, SwitchID: "0011223344556677"}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if len(health) != 2 || health[0].Key() != "fw" || health[1].Key() != "tx of port 0" || health[0].State != wire.Healthy {
		t.Errorf("%+v", health)
	}
	vf1 := Port{Device: pf0, Index: 2, Flavour: FlavourVF, Kind: hwif.PortVF, VF: 1, Ifindex: 12, Name: "apf0vf1", PhysPortName: "pf0vf1",
		SwitchID: "0011223344556677", MAC: hwif.MAC{2, 0, 0, 0, 10, 2}, MTU: 1500, Up: true, AdminUp: true, TCOffload: TCOffloadOn}
	if diff := cmp.Diff(vf1, ports[1]); diff != "" {
		t.Error(diff)
	}
	if p, ok := inv.ByName("apf0sf88"); !ok || p.Kind != hwif.PortSF || p.SF != 88 || p.Ifindex != 13 {
		t.Errorf("%+v", p)
	}
	if p, ok := inv.ByIfindex(10); !ok || p.Kind != hwif.PortUplink || p != d.Uplinks0(inv) {
		t.Errorf("%+v", p)
	}
	if dev, ok := inv.DeviceOf(13); !ok || dev.Handle != pf0 {
		t.Error("no device of the SF")
	}
	if _, ok := inv.ByName("lo"); ok {
		t.Error("lo is a port")
	}
	if l, ok := inv.LinkByName("lo"); !ok || l.Index != 1 || len(inv.Links()) != 5 {
		t.Error("lo is lost")
	}
	if !inv.SameGroup(10, 12) || inv.SameGroup(10, 1) || inv.SameGroup(1, 1) {
		t.Error("groups")
	}
}

// Uplinks0 is the first uplink, through the inventory's own copy.
func (d *Device) Uplinks0(inv *Inventory) *Port {
	own, _ := inv.Device(d.Handle)
	return own.Uplinks()[0]
}

// TestTwoFunctions: both PFs of a card have its switch id, and are two eswitches.
func TestTwoFunctions(t *testing.T) {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	k.card(pf1, "b", 20, id8)
	inv := k.clean()
	if len(inv.Devices) != 2 || inv.Devices[0].SwitchID != inv.Devices[1].SwitchID {
		t.Fatalf("%+v", inv.Devices)
	}
	if inv.SameGroup(10, 20) || !inv.SameGroup(20, 21) {
		t.Error("the same switch id was taken for the same eswitch")
	}
	a, _ := inv.GroupOf(11)
	b, _ := inv.GroupOf(21)
	if a == b || a.SwitchID != b.SwitchID {
		t.Errorf("%v %v", a, b)
	}
}

func TestSwitchIDs(t *testing.T) {
	k := newKernel(t)
	long := make([]byte, 32) // MAX_PHYS_ITEM_ID_LEN; the first half is the other card's
	copy(long, id8)
	long[31] = 7
	k.card(pf0, "a", 10, long)
	k.card(pf1, "b", 20, append(long[:31:31], 8))
	inv := k.clean()
	if inv.Devices[0].SwitchID != hex.EncodeToString(long) || inv.Devices[0].SwitchID == inv.Devices[1].SwitchID {
		t.Errorf("%+v", inv.Devices)
	}
	l := k.links[11]
	l.switchID = make([]byte, 33)
	k.links[11] = l
	inv = k.read()
	if _, ok := inv.Link(11); ok || len(inv.Problems) == 0 || !strings.Contains(inv.Problems[0].Error(), "33 bytes") {
		t.Errorf("a switch id that no kernel sends was taken: %v", inv.Problems)
	}
	if _, ok := inv.ByIfindex(10); !ok {
		t.Error("and with it went the other ports")
	}
	l.switchID = []byte{1}
	k.links[11] = l
	if inv = k.read(); len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0].Error(), "different switch ids") || inv.SameGroup(10, 11) {
		t.Errorf("%v", inv.Problems)
	}
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		dev  kdev
		want Mode
	}{
		{kdev{mode: 0}, ModeLegacy}, {kdev{mode: 1}, ModeSwitchdev}, {kdev{mode: 2}, ModeInactive}, {kdev{mode: 7}, ModeOther},
		{kdev{noEswitch: true}, ModeNone},
	} {
		k := newKernel(t)
		k.devs[pf0] = &tc.dev
		tc.dev.driver = "ice"
		if got := k.clean().Devices[0].Mode; got != tc.want {
			t.Errorf("%+v: %v, want %v", tc.dev, got, tc.want)
		}
	}
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	k.refuse[cmd(devlinkFamily, unix.DEVLINK_CMD_ESWITCH_GET)] = refusal{unix.EBUSY, "in reset"}
	inv := k.read()
	if inv.Devices[0].Mode != ModeUnknown || len(inv.Problems) != 1 {
		t.Fatalf("%v %v", inv.Devices[0].Mode, inv.Problems)
	}
	var e *Error
	if err := inv.Problems[0]; !errors.As(err, &e) || e.Device != pf0 || e.Text != "in reset" || !errors.Is(err, unix.EBUSY) {
		t.Errorf("%v", err)
	}
}

// TestNoDevlink is this very host: an empty inventory whose links are known.
func TestNoDevlink(t *testing.T) {
	k := newKernel(t)
	k.links[5] = klink{name: "eth0", mtu: 1500}
	c := k.conn()
	c.devlink, c.devices = 0, nil
	inv, err := c.Read(context.Background())
	if err != nil || len(inv.Devices) != 0 || len(inv.Problems) != 0 {
		t.Fatalf("%v %+v", err, inv)
	}
	if s := inv.Resolve(5); s.OK() || s.Legs[0].Refused.Code != RefusedNotPort {
		t.Errorf("%v", &s)
	}
	if err := c.SetEswitchMode(context.Background(), pf0, ModeSwitchdev); !errors.Is(err, ErrNoDevlink) {
		t.Errorf("%v", err)
	}
}

// TestDriver: without devlink info, ethtool says it, of the uplink.
func TestDriver(t *testing.T) {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	k.devs[pf0].driver = ""
	if d := k.clean().Devices[0]; d.Driver != "mlx5_core" || d.Board != "" {
		t.Errorf("%+v", d)
	}
}

func TestUnsettled(t *testing.T) {
	for name, tc := range map[string]struct {
		between func(k *kernel) func(int)
		wantErr error
	}{
		"a VF appears once": {func(k *kernel) func(int) {
			return func(n int) {
				if n == 1 {
					k.ports = append(k.ports, kport{dev: pf0, index: 9, flavour: FlavourVF, vf: 9})
				}
			}
		}, nil},
		"a device vanishes once": {func(k *kernel) func(int) {
			return func(n int) {
				if n == 1 {
					delete(k.devs, pf1)
					k.ports = k.ports[:4]
				}
			}
		}, nil},
		"ports change each time": {func(k *kernel) func(int) {
			return func(n int) { k.ports[0].ifindex = hwif.Ifindex(100 + n) }
		}, ErrUnsettled},
	} {
		k := newKernel(t)
		k.card(pf0, "a", 10, id8)
		k.card(pf1, "b", 20, id8)
		k.between = tc.between(k)
		inv, err := k.conn().Read(context.Background())
		if !errors.Is(err, tc.wantErr) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		n := 0
		for _, d := range inv.Devices {
			n += len(d.Ports)
		}
		if len(inv.Devices) != len(k.devs) || n != len(k.ports) {
			t.Errorf("%s: %d devices and %d ports, kernel has %d and %d", name, len(inv.Devices), n, len(k.devs), len(k.ports))
		}
	}
}

func TestInterruptedListing(t *testing.T) {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	k.torn = 3
	if inv := k.clean(); len(inv.Links()) != 5 {
		t.Errorf("%d links", len(inv.Links()))
	}
	k.torn = 1000
	if _, err := k.conn().Read(context.Background()); !errors.Is(err, ErrUnsettled) {
		t.Errorf("%v", err)
	}
}

func TestRefusedListings(t *testing.T) {
	for _, c := range []int{cmd(0, unix.RTM_GETLINK), cmd(devlinkFamily, unix.DEVLINK_CMD_PORT_GET)} {
		k := newKernel(t)
		k.refuse[c] = refusal{unix.EPERM, "no"}
		_, err := k.conn().Read(context.Background())
		var e *Error
		if !errors.As(err, &e) || e.Errno != unix.EPERM || e.Text != "no" || e.Hint == "" {
			t.Errorf("%v", err)
		}
	}
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	for _, c := range []int{cmd(devlinkFamily, unix.DEVLINK_CMD_HEALTH_REPORTER_GET), cmd(devlinkFamily, unix.DEVLINK_CMD_INFO_GET), cmd(ethtoolFamily, unix.ETHTOOL_MSG_FEATURES_GET)} {
		k.refuse[c] = refusal{unix.EIO, ""}
	}
	inv := k.read()
	if len(inv.Problems) != 6 || inv.Devices[0].Mode != ModeSwitchdev || inv.Devices[0].Ports[0].TCOffload != TCOffloadUnknown {
		t.Errorf("%v", inv.Problems)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := k.conn().Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
