package card

import (
	"slices"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

// port is one of a card of that kernel driver, all well.
func port(name, kernel string) Port {
	h := switchdev.Handle{Bus: "pci", Name: "0000:03:00.0"}
	d := &switchdev.Device{Handle: h, Driver: kernel, Mode: switchdev.ModeSwitchdev}
	p := &switchdev.Port{Device: h, Ifindex: 7, Name: name, Kind: hwif.PortUplink, TCOffload: switchdev.TCOffloadOn}
	return Port{Name: name, Link: switchdev.Link{Index: 7, Name: name}, Port: p, Dev: d,
		Stack: switchdev.Stack{Legs: []switchdev.Leg{{Name: name, Port: p}}}}
}

// over is an interface that lies on another.
func over(name, kind string, below ...Port) Port {
	p := Port{Name: name, Link: switchdev.Link{Index: 8, Name: name, Kind: kind}}
	for _, b := range below {
		p.Stack.Legs = append(p.Stack.Legs, b.Stack.Legs...)
	}
	if len(below) == 0 {
		p.Stack.Refused = switchdev.Refusal{Code: switchdev.RefusedNotPort, Text: name + " is an ordinary NIC"}
	}
	return p
}

func TestChoose(t *testing.T) {
	board := port("s0", "simnic")
	board.Dev.Board = "simnic-nfp"
	for name, tc := range map[string]struct {
		ports []Port
		want  string // the driver, or what the error says
	}{
		"ConnectX":        {[]Port{port("p0", "mlx5_core"), port("vf0", "mlx5_core")}, "mlx5"},
		"E800":            {[]Port{port("p0", "ice")}, "ice"},
		"Agilio":          {[]Port{port("p0", "nfp")}, "nfp"},
		"emulated Agilio": {[]Port{board}, "nfp"},
		"no ports":        {nil, "none is named"},
		"missing":         {[]Port{{Name: "p9"}}, "p9 is not there"},
		"VLAN":            {[]Port{over("p0.7", "vlan", port("p0", "ice"))}, "p0.7 is a vlan and no port itself; name what lies below it: p0"},
		"bond":            {[]Port{over("bond0", "bond", port("p0", "ice"), port("p1", "ice"))}, "below it: p0, p1"},
		"ordinary":        {[]Port{over("eth0", "")}, "eth0 is no port of a card with an eswitch (eth0 is an ordinary NIC); --nic xdp"},
		"Broadcom":        {[]Port{port("p0", "bnxt_en")}, "ignores TCP flags"},
		"unknown":         {[]Port{port("p0", "fancy")}, `kernel driver "fancy" no driver of ours knows; --nic xdp`},
		"two makes":       {[]Port{port("p0", "ice"), port("q0", "mlx5_core")}, "p0 wants driver ice, and q0 wants mlx5"},
		"each is told":    {[]Port{{Name: "p8"}, over("eth0", "")}, "p8 is not there; ip -br link lists the interfaces that are; eth0 is no port"},
	} {
		got, err := Choose(tc.ports)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tc.want) || (err == nil) != slices.Contains(Names(), tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestUnfit(t *testing.T) {
	mlx5, ok := Flower("mlx5")
	ice, ok2 := Flower("ice")
	if !ok || !ok2 || IsFlower("xdp") || IsFlower("mlx9") || !IsFlower("auto") || !IsFlower("flower") {
		t.Fatal("which drivers are flower's")
	}
	change := func(p Port, f func(*Port)) Port { f(&p); return p }
	legacy := func(p *Port) { p.Dev.Mode = switchdev.ModeLegacy }
	for name, tc := range map[string]struct {
		port Port
		want string // of mlx5; "" for fit
	}{
		"fit":               {port("p0", "mlx5_core"), ""},
		"legacy":            {change(port("p0", "mlx5_core"), legacy), ""},
		"another's":         {port("p0", "ice"), "p0 is a port of pci/0000:03:00.0, whose driver is ice, and not mlx5"},
		"inactive":          {change(port("p0", "mlx5_core"), func(p *Port) { p.Dev.Mode = switchdev.ModeInactive }), "p0: the eswitch of"},
		"offload off":       {change(port("p0", "mlx5_core"), func(p *Port) { p.Port.TCOffload = switchdev.TCOffloadOff }), "p0: hw-tc-offload is off"},
		"nobody may see it": {change(port("p0", "mlx5_core"), func(p *Port) { p.Port.TCOffload, p.Dev.Mode = switchdev.TCOffloadUnknown, switchdev.ModeUnknown }), ""},
		"missing":           {Port{Name: "p9"}, "p9 is not there"},
	} {
		if got := Unfit(mlx5, &tc.port); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	p := change(port("p0", "ice"), legacy)
	if got := Unfit(ice, &p); !strings.Contains(got, "mode switchdev") {
		t.Errorf("ice in legacy mode: %q", got)
	}
}

// TestNames: what may be written is what exists, less what is recognised only to be
// refused.
func TestNames(t *testing.T) {
	names := Names()
	if slices.Contains(names, "bnxt") || names[0] != Auto {
		t.Errorf("%v", names)
	}
	for _, n := range names[1:] {
		if d, err := ByName(n); err != nil || d.Name() != n {
			t.Errorf("%s: %v", n, err)
		}
	}
	if _, err := ByName("mlx9"); err == nil || !strings.Contains(err.Error(), strings.Join(names, ", ")) {
		t.Errorf("the error does not name them: %v", err)
	}
}
