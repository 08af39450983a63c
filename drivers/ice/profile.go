package ice

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
	Name:      "ice",
	Kernel:    "ice",
	Board:     "simnic-ice",
	Caps:      func(switchdev.Mode) hwif.Caps { return caps },
	Shape:     func(switchdev.Mode) tc.Shape { return tc.Shape{} },
	Mode:      mode,
	Joins:     joins,
	OneDevice: true, // it takes rules to another PF and sends them out of its own
	Check:     check,
	Kind:      kind,
}

var caps = hwif.Caps{
	Fields: hwif.FieldsOf(hwif.FieldInPort, hwif.FieldEthDst, hwif.FieldVLAN, hwif.FieldEthType, hwif.FieldIPProto,
		hwif.FieldIPSrc, hwif.FieldIPDst, hwif.FieldL4Src, hwif.FieldL4Dst, hwif.FieldTTL),
	Actions:  hwif.ActionsOf(hwif.ActRedirect, hwif.ActDrop),
	Counters: hwif.CountersNone,
	Loose:    hwif.FieldsOf(hwif.FieldVLAN),
	Notes: []string{
		"drop and plain redirect only: it rewrites no header, so routed flows stay in software (action_unsupported)",
		"it counts nothing: a rule in it lives by its hard life alone",
		"it compares neither TCP flags nor fragments, and a rule for untagged frames matches tagged ones too",
	},
}

func mode(d *switchdev.Device) string {
	if d.Mode == switchdev.ModeLegacy {
		return fmt.Sprintf("its eswitch is in mode legacy; remove all VFs, devlink dev eswitch set %s mode switchdev, and make them again", d.Handle)
	}
	return flower.Switchdev(d)
}

// joins is ice_tc_forward_to_queue's and ice_eswitch_tc_parse_action's: an uplink
// is one end at most.
func joins(_ switchdev.Mode, in, out *switchdev.Port) string {
	switch {
	case in.Device != out.Device:
		return "the card would send it out of its own port instead"
	case in.Kind == hwif.PortUplink && out.Kind == hwif.PortUplink:
		return "Unsupported netdevice in switchdev mode"
	}
	return ""
}

// check is the whitelist that the kernel driver lacks.
func check(r *hwif.Rule) (field, text string) {
	m := &r.Match
	for _, k := range []struct {
		f    hwif.Field
		zero bool
	}{
		{hwif.FieldEthDst, m.EthDst.IsZero()}, {hwif.FieldIPSrc, m.Src.IsZero()}, {hwif.FieldIPDst, m.Dst.IsZero()},
		{hwif.FieldL4Src, m.SrcPort == 0}, {hwif.FieldL4Dst, m.DstPort == 0},
	} {
		if m.Fields.Has(k.f) && k.zero {
			return k.f.String(), "zero is no value to the card but a wildcard"
		}
	}
	ports := m.Fields.Has(hwif.FieldL4Src) || m.Fields.Has(hwif.FieldL4Dst)
	if m.Fields.Has(hwif.FieldIPProto) && !(ports && (m.Proto == hwif.ProtoTCP || m.Proto == hwif.ProtoUDP)) {
		return hwif.FieldIPProto.String(), "the card compares it only together with ports of TCP or UDP"
	}
	return "", ""
}

func kind(errno unix.Errno, text string) (hwif.Kind, bool) {
	switch {
	case strings.Contains(text, "Unable to add filter because it already exist"):
		return hwif.KindExist, true
	case strings.Contains(text, "Unable to add filter due to error"):
		return hwif.KindFull, true // recipes or memory
	case strings.Contains(text, "turn ON hw-tc-offload"):
		return hwif.KindBusy, true
	}
	return 0, false
}
