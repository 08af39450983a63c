package switchdev

import (
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// TestWords holds the closed lists to the spelling of devlink, ethtool and ip.
func TestWords(t *testing.T) {
	for want, s := range map[string]interface{ String() string }{
		"legacy": ModeLegacy, "switchdev": ModeSwitchdev, "switchdev_inactive": ModeInactive, "unknown(99)": Mode(99),
		"transport": InlineTransport, "basic": EncapBasic, "off [fixed]": TCOffloadOffFixed, "on": TCOffloadOn,
		"physical": FlavourPhysical, "pcipf": FlavourPF, "pcivf": FlavourVF, "virtual": FlavourVirtual, "pcisf": FlavourSF,
		"attached": FuncAttached, "802.3ad": Bond8023AD, "active-backup": BondActiveBackup, "team": BondTeam,
		"not_a_port": RefusedNotPort, "contradiction": RefusedDuplicate, "too_deep": RefusedDepth,
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}

func TestPortOf(t *testing.T) {
	s := newSight()
	for want, p := range map[FuncState]wire.Port{
		FuncUnknown:  {},
		FuncInactive: {HasState: true},
		FuncActive:   {HasState: true, State: 1},
		FuncAttached: {HasState: true, State: 1, OpState: 1},
	} {
		if got := s.port(p, Link{}).FuncState; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	for flavour, want := range map[Flavour]hwif.PortKind{FlavourPhysical: hwif.PortUplink, FlavourPF: hwif.PortPF, FlavourVF: hwif.PortVF,
		FlavourSF: hwif.PortSF, FlavourVirtual: hwif.PortOther, 77: hwif.PortOther} {
		if got := s.port(wire.Port{Flavour: uint16(flavour), HasFlavour: true}, Link{}); got.Kind != want || got.Flavour != flavour {
			t.Errorf("%v: %v, want %v", flavour, got.Kind, want)
		}
	}
	// A port without a flavour is not taken for an uplink, whose number is 0.
	if got := s.port(wire.Port{}, Link{}); got.Kind != hwif.PortOther || got.Flavour != FlavourUnused {
		t.Errorf("%+v", got)
	}
	p := Port{Ifindex: 3, Name: "x", Kind: hwif.PortVF, MAC: hwif.MAC{2}, MTU: 9000, Up: true}
	if h := p.Hwif(); h.Ifindex != 3 || h.Name != "x" || h.Kind != hwif.PortVF || h.MAC != p.MAC || h.MTU != 9000 || !h.Up || h.Joins != nil || h.Refused != "" {
		t.Errorf("%+v", h)
	}
	for want, p := range map[string]Port{
		"no interface (ifindex 0, pf 0 of controller 1, pci/0000:03:00.0/4)": {Device: pf0, Index: 4, Kind: hwif.PortPF, External: true, Controller: 1},
		"x (ifindex 3, virtual, pci/0000:03:00.0/0)":                         {Device: pf0, Ifindex: 3, Name: "x", Flavour: FlavourVirtual},
	} {
		if p.String() != want {
			t.Errorf("%s, want %s", &p, want)
		}
	}
}
