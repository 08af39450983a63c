package doctor

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// survey is one look at cards, ports and what hangs at the ports. The checks of
// flower drivers judge it; they ask the kernel nothing more about ports.
type survey struct {
	devices []switchdev.Device // every device that devlink knows here
	ports   []portLook         // those that were named, in that order; every card's own when none was
	// problems are the kernel's contradictions and refusals while looking.
	problems []error
	err      error // why there is no survey
}

// portLook is what is known of one port.
type portLook struct {
	card.Port
	master  switchdev.Link // the bond, bridge or switch that it belongs to; Index 0 for none
	qdisc   tc.Clsact
	classes []classifier // what hangs at its ingress
	err     error        // why classes is not known
}

// look takes the survey once.
func (h *host) look(ctx context.Context) *survey {
	if h.seen == nil {
		h.seen = h.take(ctx, h.opts.Ports)
	}
	return h.seen
}

// takeSurvey looks at the host, in the calling thread's network namespace.
func takeSurvey(ctx context.Context, names []string) *survey {
	inv, err := switchdev.Read(ctx)
	if err != nil {
		return &survey{err: err}
	}
	s := &survey{devices: inv.Devices, problems: inv.Problems}
	if len(names) == 0 {
		for i := range inv.Devices {
			for _, p := range inv.Devices[i].Ports {
				if p.Ifindex != 0 {
					names = append(names, p.Name)
				}
			}
		}
	}
	for _, name := range names {
		p := portLook{Port: card.Look(inv, name)}
		p.master, _ = inv.Link(p.Link.Master)
		s.ports = append(s.ports, p)
	}
	qdiscs, err := readQdiscs(ctx)
	if err != nil {
		s.problems = append(s.problems, err)
	}
	for i := range s.ports {
		p := &s.ports[i]
		p.qdisc = qdiscs[p.Link.Index]
		if p.qdisc.Kind != "" {
			p.classes, p.err = readClassifiers(ctx, p.Link.Index, p.qdisc.Block)
		}
	}
	return s
}

func readQdiscs(ctx context.Context) (map[hwif.Ifindex]tc.Clsact, error) {
	c, err := tc.Open()
	if err != nil {
		return nil, err
	}
	out, err := c.Clsacts(ctx)
	return out, errors.Join(err, c.Close())
}

// named are the devices of the ports that were looked at, by handle.
func (s *survey) named() (out []*switchdev.Device) {
	for i := range s.ports {
		if d := s.ports[i].Dev; d != nil && !slices.ContainsFunc(out, func(o *switchdev.Device) bool { return o.Handle == d.Handle }) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *switchdev.Device) int { return cmp.Compare(a.Handle.String(), b.Handle.String()) })
	return out
}

// representors are a device's ports that stand for functions.
func representors(d *switchdev.Device) (out []*switchdev.Port) {
	for i := range d.Ports {
		if p := &d.Ports[i]; p.Ifindex != 0 && p.Kind != hwif.PortUplink && p.Kind != hwif.PortOther {
			out = append(out, p)
		}
	}
	return out
}
