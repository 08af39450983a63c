package doctor

import (
	"context"
	"fmt"
	"slices"
)

// clsact looks at the qdisc that filters hang from. shuntd makes it; while shuntd
// runs, a port without one has lost its rules with it.
func clsact(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	served := h.servedPorts(ctx)
	var out []Finding
	var has, gets []string
	for i := range s.ports {
		p := &s.ports[i]
		f := Finding{Name: "clsact", Level: Fail}
		switch {
		case p.Port.Port == nil:
			continue
		case p.qdisc.Block != 0:
			f.Text = fmt.Sprintf("%s has the ingress of shared block %d: somebody else (Open vSwitch does that) puts rules there for several ports at once", p.Name, p.qdisc.Block)
			f.Mend = "end its owner's use of the port, then: sudo tc qdisc del dev " + p.Name + " clsact"
			out = append(out, f)
		case p.qdisc.Kind == "" && slices.Contains(served, p.Name):
			f.Text = p.Name + " has lost its clsact qdisc while shuntd runs, and every rule with it; shuntd makes it again at its next look, a second later"
			f.Mend = "find who runs `tc qdisc del dev " + p.Name + " clsact`: ps ax | grep -e ifup -e tc"
			out = append(out, f)
		case p.qdisc.Kind == "":
			gets = append(gets, p.Name)
		default:
			has = append(has, p.Name)
		}
	}
	switch f := (Finding{Name: "clsact"}); {
	case len(gets) > 0 && len(has) > 0:
		f.Text = "there on " + list(has) + "; shuntd makes it on " + list(gets)
		out = append(out, f)
	case len(gets) > 0:
		f.Text = "not there yet on " + list(gets) + "; shuntd makes it"
		out = append(out, f)
	case len(has) > 0:
		f.Text = "there on " + list(has)
		out = append(out, f)
	}
	return out
}
