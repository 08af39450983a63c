package flower

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// Profile is one make of card. Its functions are called with what switchdev saw,
// and change nothing.
type Profile struct {
	Name string
	// Kernel is the kernel driver's name; Board that of the emulated card.
	Kernel, Board string
	// Caps are what a card in the given mode can do, by its driver's source. Driver
	// and Persistent are filled in.
	Caps func(mode switchdev.Mode) hwif.Caps
	// Shape is how its rules are written in that mode.
	Shape func(mode switchdev.Mode) tc.Shape
	// Mode says in one sentence why a card in this mode takes no rules and what
	// mends it, or "".
	Mode func(d *switchdev.Device) string
	// Guards asks for rules before all others that give frames with TTL 0 and 1
	// to the kernel: the card's TTL-1 knows no end.
	Guards bool
	// Joins says why the card cannot send from in to out, or "". Ports of other
	// devices of the same switch id come here too. What passes is probed.
	Joins func(mode switchdev.Mode, in, out *switchdev.Port) string
	// OneDevice says that all ports have to be one devlink device's.
	OneDevice bool
	// Check refuses rules that the card would take and not honour: the field, and
	// why. Nil refuses none.
	Check func(r *hwif.Rule) (field, text string)
	// Kind classifies a refusal in the driver's own words; ok is false for one that
	// it does not know. Nil knows none.
	Kind func(errno unix.Errno, text string) (k hwif.Kind, ok bool)
	// Prove takes out of Caps what the card refuses in a probe at the start.
	Prove bool
	// Refuse is for cards that are known and of no use: why.
	Refuse string
}

// Accepts reports whether the device is of this make.
func (p *Profile) Accepts(d *switchdev.Device) bool {
	return p.Kernel != "" && d.Driver == p.Kernel || p.Board != "" && d.Board == p.Board
}

// Routed are the actions that a rule of a routed flow is made of, with NAT and tags.
const Routed = hwif.Routed | hwif.ActionSet(1<<hwif.ActIPSrc|1<<hwif.ActIPDst|1<<hwif.ActL4Src|1<<hwif.ActL4Dst)

// Tags are the actions on VLAN tags.
const Tags = hwif.ActionSet(1<<hwif.ActVLANPop | 1<<hwif.ActVLANPush)
