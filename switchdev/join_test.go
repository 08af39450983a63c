package switchdev

import (
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// TestJoin takes away one way after another by which a port finds its interface.
func TestJoin(t *testing.T) {
	for name, tc := range map[string]struct {
		mend func(k *kernel)
		want hwif.Ifindex // of VF 1
		say  string       // in a problem
	}{
		"all ways agree": {func(*kernel) {}, 12, ""},
		"6.1: the interface names no port": {func(k *kernel) {
			k.edit(12, func(l *klink) { l.port = nil })
		}, 12, ""},
		"devlink gives no ifindex": {func(k *kernel) { k.ports[2].ifindex = 0 }, 12, ""},
		"only parent and port name": {func(k *kernel) {
			k.ports[2].ifindex = 0
			k.edit(12, func(l *klink) { l.port = nil })
		}, 12, ""},
		"the parent is another": {func(k *kernel) {
			k.ports[2].ifindex = 0
			k.edit(12, func(l *klink) { l.port, l.parent = nil, pf1 })
		}, 0, ""},
		"two with the same name": {func(k *kernel) {
			k.ports[2].ifindex = 0
			k.edit(12, func(l *klink) { l.port = nil })
			l := k.links[12]
			l.name = "double"
			k.links[77] = l
		}, 0, ""},
		"in another namespace": {func(k *kernel) {
			k.ports[2].ifindex = 0
			delete(k.links, 12)
		}, 0, ""},
		"listed nowhere": {func(k *kernel) { delete(k.links, 12) }, 0, ""},
		"the interface names another port": {func(k *kernel) {
			k.edit(12, func(l *klink) { l.port = &portKey{pf0, 1} })
		}, 0, "says that it belongs to pci/0000:03:00.0/1"},
		"two ports, one interface": {func(k *kernel) {
			k.ports[2].ifindex = 11
			k.edit(11, func(l *klink) { l.port = nil })
		}, 0, "is the interface of two ports"},
		"a port listed twice": {func(k *kernel) { k.ports = append(k.ports, k.ports[2]) }, 12, "listed twice"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t)
			k.card(pf0, "a", 10, id8)
			tc.mend(k)
			inv := k.read()
			p, _ := inv.Devices[0].Port(2)
			if p.Ifindex != tc.want || p.VF != 1 {
				t.Errorf("%+v, want interface %d", p, tc.want)
			}
			if up, ok := inv.ByIfindex(10); !ok || up.Name != "ap0" {
				t.Error("the uplink is lost")
			}
			var all string
			for _, e := range inv.Problems {
				all += e.Error() + "\n"
			}
			if (tc.say == "") != (all == "") || !strings.Contains(all, tc.say) {
				t.Errorf("problems: %q, want %q", all, tc.say)
			}
			if tc.want == 0 && tc.say != "" {
				for _, i := range []hwif.Ifindex{11, 12} {
					if s := inv.Resolve(i); s.OK() && i == p.Ifindex {
						t.Errorf("%v", &s)
					}
				}
			}
		})
	}
}

func TestContradictionIsNoPort(t *testing.T) {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	k.ports[2].ifindex = 11
	k.edit(11, func(l *klink) { l.port = nil })
	inv := k.read()
	if _, ok := inv.ByIfindex(11); ok {
		t.Error("an interface that two ports claim is a port")
	}
	if s := inv.Resolve(11); s.OK() || s.Legs[0].Refused.Code != RefusedDuplicate || s.Why() == "" {
		t.Errorf("%v", &s)
	}
}

func (k *kernel) edit(i hwif.Ifindex, f func(l *klink)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.links[i]
	f(&l)
	k.links[i] = l
}

func TestPhysPortName(t *testing.T) {
	for want, p := range map[string]wire.Port{
		"p1":           {HasFlavour: true, Flavour: 0, Number: 1},
		"pf2":          {HasFlavour: true, Flavour: 3, PF: 2},
		"c1pf0":        {HasFlavour: true, Flavour: 3, External: true, Controller: 1},
		"pf0vf12":      {HasFlavour: true, Flavour: 4, VF: 12},
		"c2pf1vf3":     {HasFlavour: true, Flavour: 4, External: true, Controller: 2, PF: 1, VF: 3},
		"pf0sf4000000": {HasFlavour: true, Flavour: 7, SF: 4000000},
	} {
		if got := physPortName(&p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, p := range []wire.Port{{}, {HasFlavour: true, Flavour: 5}, {HasFlavour: true, Flavour: 99}} {
		if got := physPortName(&p); got != "" {
			t.Errorf("%+v has name %q", p, got)
		}
	}
}
