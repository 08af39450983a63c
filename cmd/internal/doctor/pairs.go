package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/shunt-offload/shunt/cmd/internal/card"
)

// pairs says which ports the card can join, by what its driver is known to do. The
// card itself is asked by "devices probe", and by shuntd at its start.
func pairs(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	if len(h.opts.Ports) == 0 || s.err != nil {
		return nil
	}
	var ok, no []string
	why := map[string][]string{} // reason → pairs
	var order []string
	for i := range s.ports {
		for k := range s.ports {
			in, out := &s.ports[i], &s.ports[k]
			if i == k || in.Dev == nil || out.Dev == nil {
				continue
			}
			pair := in.Name + " → " + out.Name
			text := refusedPair(in, out)
			if text == "" {
				ok = append(ok, pair)
				continue
			}
			no = append(no, pair)
			if !slices.Contains(order, text) {
				order = append(order, text)
			}
			why[text] = append(why[text], pair)
		}
	}
	var out []Finding
	for _, text := range order {
		f := Finding{Name: "pairs", Level: Warn, Text: list(why[text]) + ": " + text + "; flows between them stay in software (different_eswitch)"}
		f.Mend = "route such flows over a representor, or over another pair of ports"
		if len(ok) == 0 {
			f.Level = Fail
			f.Mend = "name ports that the card joins: an uplink and its representors; devlink port lists them"
		}
		out = append(out, f)
	}
	switch {
	case len(ok) > 0:
		out = append(out, Finding{Name: "pairs", Text: list(ok) + ": the card joins them"})
	case len(no) == 0 && len(s.ports) == 1 && s.ports[0].Dev != nil:
		out = append(out, Finding{
			Name: "pairs", Level: Warn, Text: "one port is named: only flows that turn back through it, by VLAN, can be offloaded",
			Mend: "name every port between which packets are forwarded: --ports " + s.ports[0].Name + "," + neighbour(s, &s.ports[0]),
		})
	}
	return out
}

// refusedPair says why frames cannot go from in to out, or "".
func refusedPair(in, out *portLook) string {
	fi, fo := card.Of(in.Dev), card.Of(out.Dev)
	switch {
	case fi == nil || fo == nil || fi.Profile.Refuse != "":
		return "no driver of ours knows the card"
	case fi.Name() != fo.Name():
		return fmt.Sprintf("they are ports of different cards (%s, %s)", in.Dev.Handle, out.Dev.Handle)
	case in.Dev.SwitchID != out.Dev.SwitchID:
		return fmt.Sprintf("they are ports of different cards (switch %s and %s)", or(in.Dev.SwitchID, "without id"), or(out.Dev.SwitchID, "without id"))
	case in.Dev.Handle != out.Dev.Handle && fi.Profile.OneDevice:
		return fmt.Sprintf("they are ports of different eswitches (%s, %s), although their switch id is the same", in.Dev.Handle, out.Dev.Handle)
	case in.Dev.Mode != out.Dev.Mode:
		return fmt.Sprintf("the eswitch of %s is in mode %s, that of %s in %s", in.Name, in.Dev.Mode, out.Name, out.Dev.Mode)
	}
	return fi.Profile.Joins(in.Dev.Mode, in.Port.Port, out.Port.Port)
}

// neighbour is another port of the same card, for an example.
func neighbour(s *survey, p *portLook) string {
	for i := range p.Dev.Ports {
		if q := &p.Dev.Ports[i]; q.Name != "" && q.Name != p.Name {
			return q.Name
		}
	}
	return "pf0vf0"
}

// servedPorts are those that a daemon which answers has; none without a daemon.
func (h *host) servedPorts(ctx context.Context) []string {
	var out []string
	devices, err := h.daemonDevices(ctx)
	if err != nil {
		return nil
	}
	for _, d := range devices {
		if !card.IsFlower(d.GetDriver()) {
			continue
		}
		for _, p := range d.GetPorts() {
			out = append(out, p.GetName())
		}
	}
	return out
}
