package doctor

import (
	"context"
	"fmt"

	"github.com/safchain/ethtool"

	"github.com/shunt-offload/shunt/hwif"
)

// lldpFlag is the private flag of ice that hands LLDP frames to the firmware. With
// it on, every rule is refused with a bare EINVAL (ice_tc_lib.c:ice_add_cls_flower).
const lldpFlag = "fw-lldp-agent"

func privFlags(port string) (map[string]bool, error) {
	et, err := ethtool.NewEthtool()
	if err != nil {
		return nil, fmt.Errorf("ethtool socket: %w", err)
	}
	defer et.Close()
	return et.PrivFlags(port)
}

// lldpAgent looks at the uplinks of ice cards.
func lldpAgent(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	var out []Finding
	for _, d := range s.named() {
		if d.Driver != "ice" {
			continue
		}
		for i := range d.Ports {
			p := &d.Ports[i]
			if p.Kind != hwif.PortUplink || p.Ifindex == 0 {
				continue
			}
			f := Finding{Name: "fw_lldp_agent", Text: p.Name + " leaves LLDP to the host"}
			flags, err := h.privFlags(p.Name)
			switch on, known := flags[lldpFlag]; {
			case err != nil || !known:
				f.Level, f.Text = Warn, p.Name+" does not say whether its firmware's LLDP agent is off, as it must be"
				f.Mend = "ethtool --show-priv-flags " + p.Name
			case on:
				f.Level, f.Text = Fail, p.Name+" has "+lldpFlag+" on: its driver refuses every rule, with EINVAL and no word why"
				f.Mend = "sudo ethtool --set-priv-flags " + p.Name + " " + lldpFlag + " off"
			}
			out = append(out, f)
		}
	}
	return out
}
