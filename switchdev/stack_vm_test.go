//go:build vm

package switchdev

import (
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

// TestCardStacks resolves what lies above real ports.
func TestCardStacks(t *testing.T) {
	a := newCard(t, "profile=mlx5 mode=switchdev serial=77")
	b := newCard(t, "profile=mlx5 mode=switchdev serial=77")
	t.Cleanup(func() { run(t, "for i in st-br st-bond st-gone; do ip link del $i 2>/dev/null || true; done") })
	run(t, "ip link add link "+a.name("pf0vf0")+" name st-v5 type vlan id 5; ip link add link st-v5 name st-q9 type vlan id 9; ip link add link "+a.name("p0")+" name st-ad type vlan id 100 protocol 802.1ad; ip link add link st-ad name st-c type vlan id 7")
	run(t, "ip link add st-bond type bond mode active-backup miimon 50; ip link set "+b.name("p0")+" master st-bond; ip link add link st-bond name st-bv type vlan id 12; ip link add link st-v5 name st-mv type macvlan mode bridge")
	run(t, "ip link add st-br type bridge; ip link set "+a.name("pf0vf1")+" master st-br; ip link set st-bv master st-br")
	inv := look(t)
	for name, want := range map[string]string{
		"st-v5": "st-v5: " + a.name("pf0vf0") + " vlan 5",
		"st-q9": "st-q9: " + a.name("pf0vf0") + " vlan 5 vlan 9",
		"st-c":  "st-c: " + a.name("p0") + " vlan 100 proto 0x88a8 vlan 7",
		"st-mv": "st-mv: " + a.name("pf0vf0") + " vlan 5",
	} {
		l, _ := inv.LinkByName(name)
		s := inv.Resolve(l.Index)
		if s.String() != want || !s.OK() {
			t.Errorf("%s, want %s", &s, want)
		}
	}
	l, _ := inv.LinkByName("st-br")
	s := inv.Resolve(l.Index)
	if !s.OK() || s.Bridge != l.Index || s.Bond == nil || s.Bond.Name != "st-bond" || len(s.Legs) != 2 {
		t.Errorf("%s", &s)
	}
	if got := inv.Resolve(a.port(inv, "pf0vf1").Ifindex); len(got.Masters) != 1 || got.Masters[0] != l.Index {
		t.Errorf("%+v", got)
	}
	far, _ := inv.LinkByName(a.name("v0"))
	if s := inv.Resolve(far.Index); s.OK() {
		t.Errorf("a VF's own interface is followed to %s", &s)
	}
}

// TestCardBond fails a bond over and takes it apart, and is told.
func TestCardBond(t *testing.T) {
	a := newCard(t, "profile=mlx5 mode=switchdev serial=77")
	b := newCard(t, "profile=mlx5 mode=switchdev serial=77")
	run(t, "for i in "+a.name("p0")+" "+a.name("p0w")+" "+b.name("p0")+" "+b.name("p0w")+"; do ip link set $i down; done")
	run(t, "ip link add fo-bond type bond mode active-backup miimon 20")
	t.Cleanup(func() { run(t, "ip link del fo-bond 2>/dev/null || true") })
	run(t, "ip link set "+a.name("p0")+" master fo-bond; ip link set "+b.name("p0")+" master fo-bond; ip link set fo-bond up; ip link set "+a.name("p0w")+" up; ip link set "+b.name("p0w")+" up")
	f := watchCards(t, WatchOptions{Poll: -1})
	bond, _ := f.Inventory().LinkByName("fo-bond")
	first, second := a.port(f.Inventory(), "p0").Ifindex, b.port(f.Inventory(), "p0").Ifindex
	for _, to := range []struct {
		name string
		i    hwif.Ifindex
	}{{b.name("p0"), second}, {a.name("p0"), first}, {b.name("p0"), second}} {
		if link, _ := f.Inventory().Link(bond.Index); link.BondActive == to.i {
			continue // chosen by the kernel already
		}
		run(t, "ip link set fo-bond type bond active_slave "+to.name)
		f.until("fail-over to "+to.name, func(e Event) bool {
			link, _ := f.Inventory().Link(bond.Index)
			_, ok := e.(StackChanged)
			return ok && link.BondActive == to.i
		})
	}
	s := f.Inventory().Resolve(bond.Index)
	if !s.OK() || len(s.Legs) != 2 || s.Bond.Mode != BondActiveBackup || s.Bond.Active != second || !s.Legs[0].Backup || s.Legs[1].Backup {
		t.Errorf("%s %+v", &s, s.Bond)
	}
	if p := a.port(f.Inventory(), "p0"); p.Master != bond.Index {
		t.Errorf("%+v", p)
	}
	run(t, "ip link set "+b.name("p0")+" nomaster")
	f.until("one slave less", changed(b.name("p0"), ChangedMaster))
	f.until("another active one", func(e Event) bool {
		s := f.Inventory().Resolve(bond.Index)
		return len(s.Legs) == 1 && s.Bond.Active == first && !s.Legs[0].Backup
	})
	run(t, "ip link del fo-bond")
	f.until("no bond", func(e Event) bool { return e == StackChanged{bond.Index} })
	same(t, f.Inventory(), look(t))
}
