package nfp

import (
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
	Name:      "nfp",
	Kernel:    "nfp",
	Board:     "simnic-nfp",
	Caps:      func(switchdev.Mode) hwif.Caps { return caps },
	Shape:     func(switchdev.Mode) tc.Shape { return tc.Shape{Ethertype: true, SetTTL: true} },
	Mode:      func(*switchdev.Device) string { return "" }, // its firmware knows no other
	Joins:     joins,
	OneDevice: true,
	Kind:      kind,
}

var caps = hwif.Caps{
	Fields:    tc.Fields(),
	Actions:   tc.Actions().Without(hwif.ActTrap),
	Counters:  hwif.CountersFull,
	MaxRules:  131072, // contexts for counters (flower/main.c)
	GuardsTTL: true,
	ExactTTL:  true,
	// A rule without VLAN matches any tag, and of the TCP flags only FIN, SYN and
	// RST are compared (flower/match.c).
	Loose: hwif.FieldsOf(hwif.FieldVLAN, hwif.FieldTCPFlags),
	Notes: []string{
		"a rule matches one TTL: packets of the flow with another go to the kernel",
		"a rule for untagged frames matches tagged ones too: flows of untagged ports with VLANs on them stay in software",
		"TCP's ACK flag is not compared: a segment without it, which conntrack calls invalid, is forwarded",
		"the kernel says in_hw when the firmware was asked; whether it did shows in the counters",
	},
}

func joins(_ switchdev.Mode, in, out *switchdev.Port) string {
	if in.Device != out.Device {
		return "ingress and egress interfaces are on different devices"
	}
	return ""
}

func kind(errno unix.Errno, text string) (hwif.Kind, bool) {
	switch {
	case strings.Contains(text, "cannot allocate new stats context"), strings.Contains(text, "cannot allocate a new mask id"):
		return hwif.KindFull, true
	case strings.HasPrefix(text, "unsupported offload:"), strings.Contains(text, ": unsupported offload:"):
		return hwif.KindUnsupported, true
	}
	return 0, false
}
