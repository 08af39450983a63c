package simdrv_test

import (
	"testing"

	"github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim"
)

func ports() []hwif.Port {
	var out []hwif.Port
	for i, name := range []string{"wan0", "lan0", "lan1"} {
		out = append(out, hwif.Port{Ifindex: hwif.Ifindex(i + 7), Name: name, MTU: 1500, Up: true,
			MAC: hwif.MAC{0x02, 0, 0, 0, 0xaa, byte(i)}})
	}
	return out
}

// harness is the suite's view of one card. Named cards are persistent.
func harness(t *testing.T, named bool, caps *hwif.Caps) *hwiftest.Harness {
	h := &hwiftest.Harness{Ports: ports(), MaxRules: 48}
	var card *sim.NIC
	var drv *simdrv.Driver
	open := func(opts hwiftest.Options) hwif.Device {
		o := hwif.OpenOptions{Ports: []string{"wan0", "lan0", "lan1"}, MaxRules: opts.MaxRules}
		if named {
			o.Settings = map[string]string{simdrv.SettingName: "card"}
		}
		dev, err := drv.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		card = dev.(*simdrv.Device).NIC()
		return dev
	}
	h.Open = func(opts hwiftest.Options) hwif.Device {
		drv = simdrv.New(sim.New(sim.Options{Name: "card", Ports: ports(), MaxRules: opts.MaxRules, Caps: caps}))
		return open(opts)
	}
	if named {
		h.Reopen = open
	} else {
		for i := range h.Ports { // as the driver numbers the ports of a card that it makes
			h.Ports[i].Ifindex = hwif.Ifindex(i + 1)
			h.Ports[i].MAC = hwif.MAC{0x02, 0, 0, 0, 0, byte(i + 1)}
		}
	}
	h.Inject = func(in hwif.Ifindex, b []byte) hwiftest.Out {
		o := card.Inject(in, b)
		return hwiftest.Out{Verdict: hwiftest.Verdict(o.Verdict), Port: o.Port, Frame: o.Frame}
	}
	h.Vanish = func(p hwif.Ifindex) { card.Vanish(p) }
	return h
}

func TestConformance(t *testing.T) {
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { return harness(t, true, nil) })
}

func TestConformanceFreshCard(t *testing.T) {
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { return harness(t, false, nil) })
}

// TestConformanceLesserCard runs the suite on a card without guards, that counts
// packets only and cannot do NAT.
func TestConformanceLesserCard(t *testing.T) {
	caps := sim.DefaultCaps()
	caps.Guarded = false
	caps.Counters = hwif.CountersPackets
	caps.Fields = caps.Fields.Without(hwif.FieldTTL)
	caps.Actions = caps.Actions.Without(hwif.ActIPSrc).Without(hwif.ActL4Dst).Without(hwif.ActTrap)
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { return harness(t, true, &caps) })
}

// TestConformanceDropCard runs the suite on a card that can only drop and does
// not count, as ice.
func TestConformanceDropCard(t *testing.T) {
	caps := sim.DefaultCaps()
	caps.Counters = hwif.CountersNone
	caps.Fields = caps.Fields.Without(hwif.FieldTCPFlags)
	caps.Actions = hwif.ActionsOf(hwif.ActDrop, hwif.ActRedirect)
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { return harness(t, true, &caps) })
}
