package switchdev

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// Event is one of the types in this file.
type Event interface {
	fmt.Stringer
	event()
}

// PortAppeared says that an interface now stands for a port: plugged in,
// created by a change of mode, or moved here.
type PortAppeared struct{ Port Port }

// PortVanished says that an interface no longer stands for a port. Port is what
// it last was, with the old ifindex, which will not come back for it: rules that
// redirect to it are to be removed at once.
type PortVanished struct{ Port Port }

// PortChanged says that a port's interface is the same and something else about
// it is not.
type PortChanged struct {
	Old, New Port
	What     Change
}

// Change is a set of what changed about a port.
type Change uint16

const (
	ChangedName      Change = 1 << iota // renamed
	ChangedCarrier                      // Up
	ChangedAdmin                        // AdminUp
	ChangedMTU                          // MTU
	ChangedMAC                          // MAC
	ChangedMaster                       // put into or taken out of a bond, bridge, VRF
	ChangedTCOffload                    // hw-tc-offload
	ChangedSwitchID                     // SwitchID or PhysPortName
	ChangedFunction                     // FuncMAC or FuncState
	ChangedNumbers                      // flavour or one of devlink's numbers
)

// DeviceAppeared says that devlink has a new device.
type DeviceAppeared struct{ Device Handle }

// DeviceVanished says that devlink lost a device: removed, unbound, or moved to
// another namespace. A PortVanished for each of its ports comes before it.
type DeviceVanished struct{ Device Handle }

// ModeChanged says that the mode of an eswitch changed.
type ModeChanged struct {
	Device   Handle
	Old, New Mode
}

// HealthChanged says that a health reporter reported, recovered, or changed its
// state.
type HealthChanged struct {
	Device Handle
	Old    Reporter // zero when it is new
	New    Reporter
}

// DeviceReset says that the hardware was or may have been set up anew: its rules
// are gone, though tc may still say in_hw. All must be written again.
type DeviceReset struct {
	Device Handle
	Cause  string // "health reporter fw recovered", "devlink reload"
}

// StackChanged says that an interface which is no port, but may lie above one,
// appeared, changed or vanished, or that a bond's active slave did: Resolve may
// answer otherwise.
type StackChanged struct{ Ifindex hwif.Ifindex }

// Resync says that the kernel dropped notifications. Everything has been read
// anew, and the events after this one are the differences; but what came and
// went in between is not known, so every rule is in doubt.
type Resync struct{ Cause string }

func (PortAppeared) event()   {}
func (PortVanished) event()   {}
func (PortChanged) event()    {}
func (DeviceAppeared) event() {}
func (DeviceVanished) event() {}
func (ModeChanged) event()    {}
func (HealthChanged) event()  {}
func (DeviceReset) event()    {}
func (StackChanged) event()   {}
func (Resync) event()         {}
