package flower

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/shunt-offload/shunt/hwif"
)

// SettingPrio is the key in OpenOptions.Settings for the first of the prios that
// are ours; Prios follow each other.
const SettingPrio = "prio"

// defaultPrio leaves room before us for operators' own rules, and ends at 16: some
// firmware of mlx5 knows no more (mlx5/core/lib/fs_chains.c).
const defaultPrio = 10

// Prios of ours, counted from the setting. A card that reads a classifier's
// protocol has one prio for each; others use the first.
const (
	prioGuard  = 0
	prioFlow   = 1 // to 3: IPv4, IPv6, tagged
	prioProbe  = 4 // to 6
	prioLast   = 6
	perFamily  = 3
	maxOurPrio = 0xffff - prioLast
)

type settings struct {
	prio uint16
}

// parse reads the driver's own settings; unknown ones are refused.
func (d *Driver) parse(opts hwif.OpenOptions) (settings, error) {
	s := settings{prio: defaultPrio}
	for _, k := range slices.Sorted(maps.Keys(opts.Settings)) {
		v := opts.Settings[k]
		switch k {
		case SettingPrio:
			n, err := strconv.ParseUint(v, 10, 16)
			if err != nil || n == 0 || n > maxOurPrio {
				return s, d.refuse(k, "", fmt.Sprintf("%q is no prio; 1 to %d, and the %d that follow it are used too", v, maxOurPrio, prioLast))
			}
			s.prio = uint16(n)
		default:
			return s, d.refuse(k, "", `unknown setting; the driver knows "prio"`)
		}
	}
	if opts.MaxRules < 0 {
		return s, d.refuse("max rules", "", fmt.Sprintf("%d is negative; 0 is the card's own size", opts.MaxRules))
	}
	for i, name := range opts.Ports {
		if slices.Contains(opts.Ports[:i], name) {
			return s, d.refuse("ports", name, "named twice")
		}
	}
	if len(opts.Ports) == 0 {
		return s, d.refuse("ports", "", "none named; name uplink and representors between which flows are forwarded")
	}
	return s, nil
}

func (d *Driver) refuse(field, port, text string) error {
	return &hwif.Error{Op: "open", Device: d.Name(), Port: port, Kind: hwif.KindInvalid, Field: field, Text: text}
}
