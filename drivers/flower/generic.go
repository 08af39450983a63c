package flower

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// Generic is for switchdev cards that have no profile of their own. It thinks of
// the card what flower says, and takes back what a probe refutes. Cards that are
// known to accept rules and not to honour them are not for it.
var Generic = &Profile{
	Name:   "flower",
	Board:  "simnic-flower",
	Caps:   genericCaps,
	Shape:  func(switchdev.Mode) tc.Shape { return tc.Shape{} },
	Mode:   Switchdev,
	Guards: true,
	Joins:  func(switchdev.Mode, *switchdev.Port, *switchdev.Port) string { return "" },
	Prove:  true,
}

func genericCaps(switchdev.Mode) hwif.Caps {
	return hwif.Caps{Fields: tc.Fields(), Actions: tc.Actions(), Counters: hwif.CountersFull, CounterLag: DriverLag,
		Notes: []string{"this card has no driver of its own here: what it takes was proved by probes, what it does with it was not"}}
}

// DriverLag is how old the counters of the known drivers may be: they read their
// cards once a second (mlx5/core/fs_counters.c, bnxt_tc.c).
const DriverLag = 1e9

// Switchdev is Profile.Mode for cards that take rules in switchdev mode only.
func Switchdev(d *switchdev.Device) string {
	switch d.Mode {
	case switchdev.ModeSwitchdev:
		return ""
	case switchdev.ModeUnknown:
		return fmt.Sprintf("the eswitch mode of %s cannot be read; devlink dev eswitch show %s", d.Handle, d.Handle)
	}
	return fmt.Sprintf("its eswitch is in mode %s and takes no rules; devlink dev eswitch set %s mode switchdev, when no traffic of VFs is lost by it", d.Mode, d.Handle)
}
