package xdp

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/shunt-offload/shunt/hwif"
)

// Mode is where the pipeline runs.
type Mode string

const (
	ModeAuto    Mode = "auto"    // native when every port can, else generic
	ModeNative  Mode = "native"  // in the network driver, before there is an sk_buff
	ModeGeneric Mode = "generic" // on the sk_buff, on any interface
)

// defaultRules is room for 32768 flows, 13 MB of table.
const defaultRules = 1 << 16

// maxRules keeps the table below 2^32 bytes, the limit of a map on older kernels.
const maxRules = 1 << 24

// settings are hwif.OpenOptions, checked.
type settings struct {
	ports    []string
	maxRules int
	mode     Mode
	pin      string // directory, empty for none
	log      *slog.Logger
	hold     time.Duration // Driver.hold
}

func readSettings(o hwif.OpenOptions) (settings, error) {
	s := settings{ports: o.Ports, maxRules: o.MaxRules, mode: ModeAuto, log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	refuse := func(field, text string) (settings, error) {
		return settings{}, &hwif.Error{Op: "open", Device: driverName, Kind: hwif.KindInvalid, Field: field, Text: text}
	}
	for _, key := range sortedKeys(o.Settings) {
		value := o.Settings[key]
		switch key {
		case "mode":
			s.mode = Mode(value)
			if !slices.Contains([]Mode{ModeAuto, ModeNative, ModeGeneric}, s.mode) {
				return refuse("mode", fmt.Sprintf("%q is not auto, native or generic", value))
			}
		case "pin":
			if value == "" {
				return refuse("pin", "give a directory on a bpffs, such as /sys/fs/bpf/shunt, or leave the setting out")
			}
			s.pin = value
		default:
			return refuse(key, "no such setting; there are mode and pin")
		}
	}
	switch {
	case len(s.ports) == 0:
		return refuse("ports", "name the interfaces between which to forward")
	case len(s.ports) > maxPorts:
		return refuse("ports", fmt.Sprintf("%d named, at most %d", len(s.ports), maxPorts))
	case s.maxRules < 0 || s.maxRules > maxRules:
		return refuse("max_rules", fmt.Sprintf("%d is not within 0..%d", s.maxRules, maxRules))
	case s.maxRules == 0:
		s.maxRules = defaultRules
	}
	seen := map[string]bool{}
	for _, name := range s.ports {
		if seen[name] {
			return refuse("ports", name+" is named twice")
		}
		seen[name] = true
	}
	return s, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
