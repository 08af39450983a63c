package sim

import (
	"slices"

	"github.com/shunt-offload/shunt/hwif"
)

// Ports gives the ports as they are now.
func (n *NIC) Ports() []hwif.Port {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.ports)
}

// port finds a port; the pipeline's own, for the holder of the lock.
func (n *NIC) port(i hwif.Ifindex) (*hwif.Port, bool) {
	for k := range n.ports {
		if n.ports[k].Ifindex == i {
			return &n.ports[k], true
		}
	}
	return nil, false
}

// SetPort changes the port with p's ifindex, or adds it.
func (n *NIC) SetPort(p hwif.Port) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old, ok := n.port(p.Ifindex); ok {
		*old = p
		return
	}
	n.ports = append(n.ports, p)
}

// SetLink takes a port's carrier away or gives it back. It reports whether there
// is such a port.
func (n *NIC) SetLink(i hwif.Ifindex, up bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.port(i)
	if ok {
		p.Up = up
	}
	return ok
}

// Vanish removes a port, and the rules on it, as the kernel removes the filters of
// an interface that unregisters. Rules that redirect to it stay: what they match
// is lost, until somebody removes them.
func (n *NIC) Vanish(i hwif.Ifindex) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports = slices.DeleteFunc(n.ports, func(p hwif.Port) bool { return p.Ifindex == i })
	n.table.removeIf(func(e *entry) bool { return e.rule.Match.InPort == i })
}
