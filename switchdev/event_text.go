package switchdev

import (
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
)

func (e PortAppeared) String() string { return "port appeared: " + e.Port.String() }
func (e PortVanished) String() string { return "port vanished: " + e.Port.String() }
func (e PortChanged) String() string {
	return fmt.Sprintf("port changed: %s: %s", e.New.String(), e.What)
}
func (e DeviceAppeared) String() string { return "device appeared: " + e.Device.String() }
func (e DeviceVanished) String() string { return "device vanished: " + e.Device.String() }
func (e ModeChanged) String() string {
	return fmt.Sprintf("eswitch mode of %s changed: %s, was %s", e.Device, e.New, e.Old)
}
func (e HealthChanged) String() string {
	return fmt.Sprintf("health reporter %s of %s: %s, %d errors, %d recoveries", e.New.Key(), e.Device, e.New.State, e.New.Errors, e.New.Recoveries)
}
func (e DeviceReset) String() string {
	return fmt.Sprintf("device %s was reset: %s", e.Device, e.Cause)
}
func (e StackChanged) String() string { return fmt.Sprintf("interface %d changed", e.Ifindex) }
func (e Resync) String() string       { return "notifications were lost, read anew: " + e.Cause }

// changes are the words for Change, by bit.
var changes = []string{"name", "carrier", "admin", "mtu", "mac", "master", "hw-tc-offload", "switch_id", "function", "numbers"}

func (c Change) String() string {
	var out []string
	for i, w := range changes {
		if c&(1<<i) != 0 {
			out = append(out, w)
		}
	}
	return strings.Join(out, ",")
}

// String names a port as a person would look for it: "p0_1 (ifindex 7, vf 1 of
// pf 0, pci/0000:03:00.0/65537)".
func (p *Port) String() string {
	at := fmt.Sprintf("%s/%d", p.Device, p.Index)
	name := p.Name
	if p.Ifindex == 0 {
		name = "no interface"
	}
	return fmt.Sprintf("%s (ifindex %d, %s, %s)", name, p.Ifindex, p.function(), at)
}

// function is what the port stands for.
func (p *Port) function() string {
	at := ""
	if p.External {
		at = fmt.Sprintf(" of controller %d", p.Controller)
	}
	switch p.Kind {
	case hwif.PortUplink:
		return fmt.Sprintf("uplink %d", p.Number)
	case hwif.PortPF:
		return fmt.Sprintf("pf %d%s", p.PF, at)
	case hwif.PortVF:
		return fmt.Sprintf("vf %d of pf %d%s", p.VF, p.PF, at)
	case hwif.PortSF:
		return fmt.Sprintf("sf %d of pf %d%s", p.SF, p.PF, at)
	}
	return p.Flavour.String()
}
