package switchdev

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// Handle is devlink's name of a device: "pci/0000:03:00.0".
type Handle = wire.Handle

// Reporter is a devlink health reporter and its counters.
type Reporter = wire.Reporter

// ParseHandle reads "bus/name".
func ParseHandle(s string) (Handle, error) { return wire.ParseHandle(s) }

// Mode is the mode of a device's eswitch.
type Mode uint8

const (
	ModeUnknown   Mode = iota // the kernel would not say; Inventory.Problems has its words
	ModeNone                  // the device has no eswitch (a VF's or SF's own device)
	ModeLegacy                // DEVLINK_ESWITCH_MODE_LEGACY: no representors
	ModeSwitchdev             // DEVLINK_ESWITCH_MODE_SWITCHDEV
	ModeInactive              // DEVLINK_ESWITCH_MODE_SWITCHDEV_INACTIVE: set up, not forwarding
	ModeOther                 // one that we don't know
)

func (m Mode) String() string {
	return name([]string{"unknown", "none", "legacy", "switchdev", "switchdev_inactive", "other"}, uint8(m))
}

// InlineMode is how many headers a VF must put into its send descriptors
// (ConnectX-4): below the layer that a rule matches, the rule is refused.
type InlineMode uint8

const (
	InlineUnknown   InlineMode = iota // not said: most cards have no such thing
	InlineNone                        // DEVLINK_ESWITCH_INLINE_MODE_NONE
	InlineLink                        // DEVLINK_ESWITCH_INLINE_MODE_LINK
	InlineNetwork                     // DEVLINK_ESWITCH_INLINE_MODE_NETWORK
	InlineTransport                   // DEVLINK_ESWITCH_INLINE_MODE_TRANSPORT
)

func (m InlineMode) String() string {
	return name([]string{"unknown", "none", "link", "network", "transport"}, uint8(m))
}

// EncapMode says whether rules may encapsulate.
type EncapMode uint8

const (
	EncapUnknown EncapMode = iota // not said
	EncapNone                     // DEVLINK_ESWITCH_ENCAP_MODE_NONE
	EncapBasic                    // DEVLINK_ESWITCH_ENCAP_MODE_BASIC
)

func (m EncapMode) String() string { return name([]string{"unknown", "none", "basic"}, uint8(m)) }

// Device is one devlink instance: one PF of most cards, and thereby one eswitch.
type Device struct {
	Handle
	Driver     string // the kernel driver: "mlx5_core", "ice", "nfp", "bnxt_en", "simnic"
	Board      string // devlink info, fixed version "board.id"; "simnic-mlx5" for the emulated card
	Serial     string // devlink info serial_number
	Firmware   string // devlink info, running version "fw", else "fw.version"
	Mode       Mode   // the eswitch's own word: a switch id does not prove switchdev mode
	InlineMode InlineMode
	EncapMode  EncapMode
	SwitchID   string     // of its ports, IFLA_PHYS_SWITCH_ID, all bytes in hex; empty when no port has one
	Reloads    uint64     // devlink reloads and remote resets since the driver was bound
	Ports      []Port     // by devlink port index
	Health     []Reporter // device reporters and port reporters, as listed
}

// Group is a set of ports that may be able to forward to each other: the same
// switch id alone is not the same eswitch (both PFs of one card share it).
type Group struct {
	SwitchID string
	Device   Handle
}

// Group is the device's one group.
func (d *Device) Group() Group { return Group{d.SwitchID, d.Handle} }

// Port finds a port of the device by devlink's index.
func (d *Device) Port(index uint32) (*Port, bool) {
	for i := range d.Ports {
		if d.Ports[i].Index == index {
			return &d.Ports[i], true
		}
	}
	return nil, false
}

// Uplinks are the ports with a wire that have an interface here.
func (d *Device) Uplinks() (out []*Port) {
	for i := range d.Ports {
		if p := &d.Ports[i]; p.Kind == hwif.PortUplink && p.Ifindex != 0 {
			out = append(out, p)
		}
	}
	return out
}

// name is the i-th word of a closed list.
func name(words []string, i uint8) string {
	if int(i) < len(words) {
		return words[i]
	}
	return fmt.Sprintf("%s(%d)", words[0], i)
}
