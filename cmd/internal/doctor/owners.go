package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// owners looks for filters on the ports that are not shunt's.
func owners(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	var out []Finding
	looked := 0
	for i := range s.ports {
		p := &s.ports[i]
		if p.Port.Port == nil {
			continue
		}
		looked++
		if p.err != nil {
			out = append(out, Finding{Name: "filters", Level: Warn, Text: p.Name + ": its filters cannot be listed: " + p.err.Error(), Mend: h.again()})
			continue
		}
		for _, c := range p.classes {
			if f, ok := h.foreign(p, c); ok {
				out = append(out, f)
			}
		}
	}
	if len(out) == 0 && looked > 0 {
		out = append(out, Finding{Name: "filters", Text: "nobody else has filters on these ports"})
	}
	return append(out, h.offloadedTables(s)...)
}

// foreign judges one classifier of a port.
func (h *host) foreign(p *portLook, c classifier) (Finding, bool) {
	n := c.filters - c.ours
	if n == 0 {
		return Finding{}, false
	}
	at := fmt.Sprintf("pref %d", c.prio)
	if c.chain != 0 {
		at = fmt.Sprintf("chain %d %s", c.chain, at)
	}
	count := plural(uint64(n), "filter", "filters")
	if c.more {
		count = fmt.Sprintf("%d filters or more", n)
	}
	f := Finding{Name: "filters", Level: Warn, Text: fmt.Sprintf("%s has %s (%s) at %s that shunt did not make", p.Name, count, c.kind, at)}
	f.Mend = fmt.Sprintf("tc -s filter show dev %s ingress pref %d   # whose are they?", p.Name, c.prio)
	switch {
	case c.chain == 0 && c.prio >= firstPrio && c.prio <= lastPrio:
		f.Level = Fail
		f.Text += fmt.Sprintf(": these prefs (%d to %d) are shunt's, and it refuses the port", firstPrio, lastPrio)
		f.Mend = fmt.Sprintf("sudo tc filter del dev %s ingress pref %d   # or nic.settings: {prio: N} for another place", p.Name, c.prio)
	case c.cookies == n:
		f.Text += ", each with a cookie, as Open vSwitch's offload makes them: two owners of one port do not know of each other's rules"
		f.Mend = "sudo ovs-vsctl set Open_vSwitch . other_config:hw-offload=false && sudo systemctl restart openvswitch-switch   # or take the port from it"
	case c.chain == 0 && c.prio < firstPrio:
		f.Text += ": they come before shunt's"
	}
	if c.kind != "flower" || c.skipSW < n {
		f.Text += "; since they are not skip_sw, every packet that the kernel still forwards is classified in software"
	}
	return f, true
}

// The prefs that the flower drivers use, unless nic.settings.prio says otherwise.
const (
	firstPrio = 10
	lastPrio  = 16
)

// offloadedTables finds nftables flow tables that put flows into the same cards.
func (h *host) offloadedTables(s *survey) []Finding {
	tables, err := h.tables()
	if err != nil {
		return nil // said by flowtables
	}
	var out []Finding
	for _, t := range tables {
		if !t.offload {
			continue
		}
		var on []string
		for i := range s.ports {
			if slices.Contains(t.devices, s.ports[i].Name) {
				on = append(on, s.ports[i].Name)
			}
		}
		f := Finding{Name: "nft_offload", Level: Warn, Text: fmt.Sprintf("nftables' flow table %s has the flag offload", t.name)}
		if len(on) > 0 {
			f.Level = Fail
			f.Text += " and " + strings.Join(on, ", ") + " among its devices: it puts flows into the card beside shunt, and neither knows of the other's"
		}
		f.Mend = "take \"flags offload\" out of the flow table, or the table's devices out of --ports"
		out = append(out, f)
	}
	return out
}
