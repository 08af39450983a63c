package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// cards looks at each card whose ports were named; without any, at all of them.
func cards(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	if s.err != nil {
		return []Finding{{Name: "card", Level: Fail, Text: "the kernel does not tell of its cards: " + s.err.Error(), Mend: h.again()}}
	}
	var out []Finding
	devices := s.named()
	if len(h.opts.Ports) == 0 {
		out = append(out, unnamed(s))
		devices = nil
		for i := range s.devices {
			if s.devices[i].Mode != switchdev.ModeNone {
				devices = append(devices, &s.devices[i])
			}
		}
	}
	for _, d := range devices {
		out = append(out, h.card(d))
		for _, r := range d.Health {
			if r.State == wire.HealthError {
				out = append(out, Finding{
					Name: "card_health", Level: Warn, Text: fmt.Sprintf("%s: its health reporter %s is in error: the card may have lost rules that tc still shows", d.Handle, r.Key()),
					Mend: fmt.Sprintf("sudo devlink health recover %s reporter %s", d.Handle, r.Name),
				})
			}
		}
	}
	for _, err := range s.problems {
		out = append(out, Finding{Name: "card", Level: Warn, Text: "the kernel's word on its cards is not whole: " + err.Error()})
	}
	return out
}

// hardware tells a user of the emulated NIC of a card that could do it.
func hardware(ctx context.Context, h *host) []Finding {
	var names []string
	driver := ""
	s := h.look(ctx)
	for i := range s.ports {
		p := &s.ports[i]
		if p.Dev == nil {
			continue
		}
		if own := card.Of(p.Dev); own != nil && own.Profile.Refuse == "" {
			names, driver = append(names, p.Name), own.Name()
		}
	}
	if len(h.opts.Ports) == 0 || len(names) == 0 {
		return nil
	}
	return []Finding{{Name: "hardware", Text: fmt.Sprintf("%s: of a card that driver %s takes; doctor --nic auto says whether flows can go into it", list(names), driver)}}
}

// unnamed is for a run without ports: which there are.
func unnamed(s *survey) Finding {
	f := Finding{Name: "ports", Level: Warn, Text: "none named, so every port of every card was looked at", Mend: "shuntctl doctor --nic auto --ports p0,pf0vf0"}
	if len(s.ports) == 0 {
		f.Text = "none named, and no card has a port in this network namespace"
	} else {
		f.Mend = "shuntctl doctor --nic auto --ports " + strings.Join(some(s.ports, 2), ",")
	}
	if len(s.devices) == 0 {
		f.Level, f.Text = Fail, "devlink knows no card in this network namespace"
		f.Mend = "shuntctl doctor --nic xdp   # the emulated NIC works on any interface"
	}
	return f
}

func some(ports []portLook, n int) (out []string) {
	for i := range ports[:min(n, len(ports))] {
		out = append(out, ports[i].Name)
	}
	return out
}

// card says what a card is, and whether the driver that was asked for is its own.
func (h *host) card(d *switchdev.Device) Finding {
	f := Finding{Name: "card"}
	what := fmt.Sprintf("%s is a card of kernel driver %s", d.Handle, or(d.Driver, "unknown"))
	if d.Board != "" {
		what += ", board " + d.Board
	}
	if d.Firmware != "" {
		what += ", firmware " + d.Firmware
	}
	own := card.Of(d)
	want := h.opts.Driver
	switch {
	case own == nil:
		f.Level, f.Text = Fail, what+": no driver of ours knows it"
		f.Mend = h.instead()
	case own.Profile.Refuse != "":
		f.Level, f.Text = Fail, what+": it is recognised and not used: "+own.Profile.Refuse
		f.Mend = h.instead()
	case want == card.Auto || want == own.Name():
		f.Text = what + ": driver " + own.Name()
		switch caps := own.Profile.Caps(d.Mode); {
		case hwif.Routed&^caps.Actions != 0:
			f.Level = Warn
			f.Text += ", which rewrites no header: routed flows stay in software, and nothing goes in but verdicts"
		case caps.ExactTTL:
			f.Level = Warn
			f.Text += ", whose rules match one TTL: with which TTL packets arrive is not learnt yet, so routed flows stay in software (route_unobserved)"
		}
	default:
		f.Level, f.Text = Fail, fmt.Sprintf("%s: its driver is %s, and %s was asked for", what, own.Name(), want)
		f.Mend = strings.Replace(h.again(), "--nic "+want, "--nic "+own.Name(), 1)
	}
	return f
}

// instead is what works without such a card.
func (h *host) instead() string {
	s := "sudo shuntctl doctor --nic xdp"
	if len(h.opts.Ports) > 0 {
		s += " --ports " + strings.Join(h.opts.Ports, ",")
	}
	return s + "   # the emulated NIC"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
