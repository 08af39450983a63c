package flowertest

import (
	"net"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim/simnic"
	"github.com/shunt-offload/shunt/switchdev"
)

// minFrame is the shortest frame that an Ethernet port carries, without its FCS.
const minFrame = 60

// Card makes a card for the time of the test, with both sides of its ports up.
func Card(t testing.TB, o simnic.Options) *simnic.Card {
	t.Helper()
	if !simnic.Present() {
		t.Fatal("the simnic module is not loaded: tests with tag vm run in the guest")
	}
	c, err := simnic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Harness is a card with the driver on two of its ports, a VF and the uplink, and
// a third beside them. Counters are live.
func Harness(t *testing.T, d *flower.Driver, o simnic.Options) *hwiftest.Harness {
	if o.CounterM == 0 {
		o.CounterM = -1
	}
	if o.Mode == "" {
		o.Mode = "switchdev"
	}
	c := Card(t, o)
	names := []string{c.VF(0), c.Uplink(0), c.VF(1)}
	offload(t, names)
	return On(t, d, map[string]*simnic.Card{names[0]: c, names[1]: c, names[2]: c}, names, func() error { return c.Unplug(0) }, 0)
}

// offload turns hw-tc-offload on, which ice has off at first.
func offload(t *testing.T, names []string) {
	t.Helper()
	conn, err := switchdev.Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := conn.SetTCOffload(t.Context(), hwif.Ifindex(simnic.Index(n)), true); err != nil {
			t.Error(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// On is a harness on ports of cards. vanish makes the port with this place in names
// vanish; nil when none can.
func On(t *testing.T, d *flower.Driver, cards map[string]*simnic.Card, names []string, vanish func() error, which int) *hwiftest.Harness {
	for name, c := range cards {
		if err := c.Quieten(name); err != nil {
			t.Fatal(err)
		}
	}
	tap, err := simnic.NewTap(cards)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &hwiftest.Harness{MinFrame: minFrame, Ports: ports(t, names)}
	byIndex, byName := map[hwif.Ifindex]string{}, map[string]hwif.Ifindex{}
	for _, p := range h.Ports {
		byIndex[p.Ifindex], byName[p.Name] = p.Name, p.Ifindex
	}
	var dev hwif.Device
	open := func(o hwiftest.Options) hwif.Device {
		var err error
		if dev, err = d.Open(t.Context(), hwif.OpenOptions{Ports: names, MaxRules: o.MaxRules}); err != nil {
			t.Fatal(err)
		}
		return dev
	}
	h.Open, h.Reopen = open, open
	h.Inject = func(in hwif.Ifindex, frame []byte) hwiftest.Out {
		out, err := tap.Inject(byIndex[in], frame)
		if err != nil {
			t.Errorf("inject: %v", err)
		}
		fates := map[simnic.Fate]hwiftest.Verdict{simnic.ToKernel: hwiftest.ToKernel, simnic.Forwarded: hwiftest.Forwarded, simnic.Dropped: hwiftest.Dropped}
		return hwiftest.Out{Verdict: fates[out.Fate], Port: byName[out.Port], Frame: out.Frame}
	}
	if vanish != nil {
		h.Ports[which], h.Ports[1] = h.Ports[1], h.Ports[which] // the suite lets the second port vanish
		h.Vanish = func(hwif.Ifindex) {
			if err := vanish(); err != nil {
				t.Fatal(err)
			}
			gone(t, dev, h.Ports[1].Name)
		}
	}
	return h
}

// gone waits until the device has learnt that a port vanished.
func gone(t *testing.T, dev hwif.Device, name string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		ports, err := dev.Ports(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		there := false
		for _, p := range ports {
			there = there || p.Name == name
		}
		if !there {
			return
		}
	}
	t.Fatalf("%s vanished, and the device does not notice", name)
}

func ports(t *testing.T, names []string) []hwif.Port {
	t.Helper()
	var out []hwif.Port
	for _, n := range names {
		i, err := net.InterfaceByName(n)
		if err != nil {
			t.Fatal(err)
		}
		p := hwif.Port{Ifindex: hwif.Ifindex(i.Index), Name: n, MTU: uint32(i.MTU)}
		copy(p.MAC[:], i.HardwareAddr)
		out = append(out, p)
	}
	return out
}
