package bnxt

import (
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// New is the driver, whose Open always says no.
func New() *flower.Driver { return flower.New(profile) }

var profile = &flower.Profile{
	Name:   "bnxt",
	Kernel: "bnxt_en",
	Board:  "simnic-bnxt",
	Caps:   func(switchdev.Mode) hwif.Caps { return hwif.Caps{} },
	Shape:  func(switchdev.Mode) tc.Shape { return tc.Shape{} },
	Mode:   flower.Switchdev,
	Joins:  func(switchdev.Mode, *switchdev.Port, *switchdev.Port) string { return "" },
	Refuse: "this card's kernel driver takes rules that it does not honour: it never changes the TTL, and it ignores TCP flags, so that closes would pass conntrack by; nothing is offloaded to it",
}
