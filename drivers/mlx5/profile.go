package mlx5

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// New is the driver.
func New() *flower.Driver { return flower.New(profile) }

var profile = &flower.Profile{
	Name:   "mlx5",
	Kernel: "mlx5_core",
	Board:  "simnic-mlx5",
	Caps:   caps,
	Shape:  shape,
	Mode:   mode,
	Guards: true,
	Joins:  joins,
	Kind:   kind,
}

func caps(m switchdev.Mode) hwif.Caps {
	c := hwif.Caps{Fields: tc.Fields(), Actions: tc.Actions(), Counters: hwif.CountersFull, CounterLag: flower.DriverLag,
		Notes: []string{
			"egress MTU, IPv4 options and IPv6 extension headers are not looked at: routes to a smaller MTU stay in software",
			"a rule whose VF was removed still points to that VF's number; its removal follows the representor's at once",
		}}
	if m == switchdev.ModeLegacy {
		c.Actions &^= flower.Tags
		c.Notes = append(c.Notes, "legacy mode: flows between the two ports of one card go through hairpin queues, without VLANs")
	}
	return c
}

func shape(m switchdev.Mode) tc.Shape {
	// In legacy mode there is no trap; accepting ends the rule and the packet is the
	// kernel's (tc_acts_nic in en/tc/act/act.c).
	return tc.Shape{NoCsum: true, Retag: true, Accept: m == switchdev.ModeLegacy}
}

func mode(d *switchdev.Device) string {
	switch d.Mode {
	case switchdev.ModeSwitchdev, switchdev.ModeLegacy:
		return ""
	}
	return fmt.Sprintf("the eswitch of %s is in mode %s; devlink dev eswitch set %s mode switchdev, or legacy to join the two ports of one card", d.Handle, d.Mode, d.Handle)
}

// joins is en/tc/act/mirred.c and verify_uplink_forwarding in en_tc.c.
func joins(m switchdev.Mode, in, out *switchdev.Port) string {
	same := in.Ifindex == out.Ifindex
	uplinks := in.Kind == hwif.PortUplink && out.Kind == hwif.PortUplink
	switch {
	case m == switchdev.ModeLegacy && same:
		return "a hairpin leads to the card's other port"
	case m == switchdev.ModeLegacy:
		return ""
	case uplinks && !same:
		return "devices are not the same uplink, can't offload forwarding"
	case same && !uplinks:
		return "can't forward from a VF to itself"
	}
	return ""
}

// kind knows texts that errno alone would misplace.
func kind(errno unix.Errno, text string) (hwif.Kind, bool) {
	switch {
	case strings.Contains(text, "TC offload is disabled"):
		return hwif.KindBusy, true // somebody turned hw-tc-offload off; Ports says so
	case errno == unix.EINVAL && text != "", errno == unix.EOPNOTSUPP:
		return hwif.KindUnsupported, true
	}
	return 0, false
}
