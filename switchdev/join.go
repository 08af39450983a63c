package switchdev

import (
	"fmt"
	"maps"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// join finds each port's interface: by the ifindex that devlink gives, else by
// the port that the interface names (IFLA_DEVLINK_PORT), else by parent device
// and port name. What is claimed twice, or denied, is nobody's: a rule on a
// guessed port would send packets to a stranger.
func (s *sight) join(inv *Inventory) map[portKey]Link {
	out := make(map[portKey]Link, len(s.ports))
	claims := map[hwif.Ifindex]portKey{}
	keys := slices.SortedFunc(maps.Keys(s.ports), func(a, b portKey) int {
		if c := a.dev.Compare(b.dev); c != 0 {
			return c
		}
		return int(int64(a.index) - int64(b.index))
	})
	byPort, byName := s.linksByPort()
	for _, k := range keys {
		p := s.ports[k]
		l, ok := s.links[p.Ifindex]
		if ok && l.Devlink != (Handle{}) && (l.Devlink != k.dev || l.DevlinkPort != k.index) {
			inv.contradict(l, fmt.Sprintf("%s/%d says that its interface is %s, which says that it belongs to %s/%d", k.dev, k.index, l.Name, l.Devlink, l.DevlinkPort))
			continue
		}
		if !ok {
			l, ok = byPort[k]
		}
		if n := physPortName(&p); !ok && n != "" {
			l, ok = byName[named{k.dev, n}]
		}
		if !ok || l.Index == 0 {
			continue
		}
		if other, twice := claims[l.Index]; twice {
			inv.contradict(l, fmt.Sprintf("%s is the interface of two ports, %s/%d and %s/%d", l.Name, other.dev, other.index, k.dev, k.index))
			delete(out, other)
			continue
		}
		claims[l.Index], out[k] = k, l
	}
	return out
}

func (inv *Inventory) contradict(l Link, text string) {
	inv.Problems = append(inv.Problems, fmt.Errorf("%s", text))
	inv.doubt[l.Index] = text
}

type named struct {
	dev  Handle
	name string
}

// linksByPort indexes the interfaces by what they say of themselves. Two that
// say the same are no answer.
func (s *sight) linksByPort() (byPort map[portKey]Link, byName map[named]Link) {
	byPort, byName = map[portKey]Link{}, map[named]Link{}
	for _, l := range s.links {
		if l.Devlink != (Handle{}) {
			add(byPort, portKey{l.Devlink, l.DevlinkPort}, l)
		} else if l.ParentDev != "" && l.PhysPortName != "" {
			add(byName, named{Handle{Bus: l.ParentBus, Name: l.ParentDev}, l.PhysPortName}, l)
		}
	}
	return byPort, byName
}

// add keeps l, or an interface of number 0 when k is taken.
func add[K comparable](m map[K]Link, k K, l Link) {
	if _, twice := m[k]; twice {
		l = Link{}
	}
	m[k] = l
}

// physPortName is the name that devlink gives a port's interface,
// __devlink_port_phys_port_name_get; "" for flavours without one.
func physPortName(p *wire.Port) string {
	if !p.HasFlavour {
		return ""
	}
	prefix := ""
	if p.External {
		prefix = fmt.Sprintf("c%d", p.Controller)
	}
	switch Flavour(p.Flavour) {
	case FlavourPhysical:
		return fmt.Sprintf("p%d", p.Number)
	case FlavourPF:
		return fmt.Sprintf("%spf%d", prefix, p.PF)
	case FlavourVF:
		return fmt.Sprintf("%spf%dvf%d", prefix, p.PF, p.VF)
	case FlavourSF:
		return fmt.Sprintf("%spf%dsf%d", prefix, p.PF, p.SF)
	}
	return ""
}
