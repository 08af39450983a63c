package doctor

import (
	"context"
	"fmt"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

// eswitches looks at the mode of each card whose ports were looked at.
func eswitches(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	devices := s.named()
	if len(h.opts.Ports) == 0 {
		devices = nil // a card in legacy mode may have no port to be found by
		for i := range s.devices {
			if s.devices[i].Mode != switchdev.ModeNone {
				devices = append(devices, &s.devices[i])
			}
		}
	}
	var out []Finding
	for _, d := range devices {
		out = append(out, eswitch(d))
		if d.Mode == switchdev.ModeSwitchdev && len(representors(d)) == 0 && len(d.Uplinks()) < 2 {
			out = append(out, noRepresentor(d))
		}
	}
	return out
}

func eswitch(d *switchdev.Device) Finding {
	f := Finding{Name: "eswitch", Level: Fail, Mend: "sudo devlink dev eswitch set " + d.Handle.String() + " mode switchdev"}
	own := card.Of(d)
	refused := ""
	if own != nil && own.Profile.Mode != nil {
		refused = own.Profile.Mode(d)
	}
	at := d.Handle.String()
	switch d.Mode {
	case switchdev.ModeSwitchdev:
		f.Level, f.Text, f.Mend = OK, at+" is in switchdev mode", ""
	case switchdev.ModeLegacy:
		f.Text = at + " is in legacy mode, without representors"
		if own != nil && refused == "" {
			f.Level = Warn
			f.Text += ": flows between its uplinks can be offloaded (hairpin), as fast as its hairpin queues are and without VLAN tags; for VFs it needs switchdev mode"
		} else if refused != "" {
			f.Text += ": " + refused
		}
		if d.Driver == "ice" {
			f.Mend = removeVFs(d) + f.Mend
		}
	case switchdev.ModeNone:
		f.Text, f.Mend = at+" has no eswitch: it is a function's own device, and rules belong to the card's ports on the host", "name uplink and representors: devlink port"
	case switchdev.ModeUnknown:
		f.Level, f.Text, f.Mend = Warn, at+" does not say which mode its eswitch is in", "sudo devlink dev eswitch show "+at
	default:
		f.Text = fmt.Sprintf("the eswitch of %s is in mode %s, which forwards nothing for us", at, d.Mode)
	}
	return f
}

// removeVFs is for cards that change their mode only while they have no VF.
func removeVFs(d *switchdev.Device) string {
	for _, p := range d.Uplinks() {
		return "echo 0 | sudo tee /sys/class/net/" + p.Name + "/device/sriov_numvfs && "
	}
	return ""
}

func noRepresentor(d *switchdev.Device) Finding {
	f := Finding{Name: "representors", Level: Warn, Text: d.Handle.String() + " has one port and no representor: only flows that turn back through it, by VLAN, can be offloaded"}
	f.Mend = "create VFs (sriov_numvfs) or SFs (devlink port add), and give their representors to shuntd"
	for _, p := range d.Ports {
		if p.Kind == hwif.PortUplink && p.Name != "" {
			f.Mend = "echo 2 | sudo tee /sys/class/net/" + p.Name + "/device/sriov_numvfs   # or SFs: devlink port add"
			break
		}
	}
	return f
}
