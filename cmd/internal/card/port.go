package card

import (
	"github.com/shunt-offload/shunt/switchdev"
)

// Port is what an interface's name stands for.
type Port struct {
	Name  string
	Link  switchdev.Link    // Index 0: there is no such interface
	Stack switchdev.Stack   // what lies below it
	Port  *switchdev.Port   // nil when it is no port itself
	Dev   *switchdev.Device // Port's
}

// Look finds what a name stands for.
func Look(inv *switchdev.Inventory, name string) Port {
	p := Port{Name: name}
	l, ok := inv.LinkByName(name)
	if !ok {
		return p
	}
	p.Link, p.Stack = l, inv.Resolve(l.Index)
	if port, ok := inv.ByIfindex(l.Index); ok {
		p.Port = port
		p.Dev, _ = inv.DeviceOf(l.Index)
	}
	return p
}

// Below are the names of the ports that lie below it.
func (p *Port) Below() (out []string) {
	for _, q := range p.Stack.Ports() {
		out = append(out, q.Name)
	}
	return out
}
