package route

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// above puts an interface 9 of a kind in the place of port b (2): routes lead to it
// and the next hop is there, with the MAC that it has on b.
func (f *fixture) above(l rtnl.Link) {
	l.Index, l.Name, l.Type, l.MTU, l.MAC = 9, "top", unix.ARPHRD_ETHER, 1500, hwif.MAC{2, 0, 0, 0, 9, 1}
	l.Flags = up
	f.setLink(l)
	for _, fam := range families {
		f.view.setConf(rtnl.Conf{Ifindex: 9, Family: fam, Forwarding: 1})
	}
	f.neigh("10.0.1.2", 9, unix.NUD_REACHABLE, macB)
	f.host.routes[pfx("198.51.100.0/24")] = via("10.0.1.2", 9)
	f.tell()
}

// enslave makes a port a member of 9.
func (f *fixture) enslave(dev hwif.Ifindex, kind string, change func(*rtnl.Link)) {
	l := f.view.links[dev]
	l.Master, l.SlaveKind = 9, kind
	if change != nil {
		change(&l)
	}
	f.setLink(l)
}

func (f *fixture) station(mac hwif.MAC, dev hwif.Ifindex, gone bool) {
	f.onFDB(&rtnl.FDB{Bridge: 9, Port: dev, MAC: mac}, gone)
}

// by wants the flow to leave and come back by port out, with a tag.
func (f *fixture) by(a flow.Answer, out hwif.Ifindex, tag hwif.VLAN) {
	f.t.Helper()
	o, r := a.Routes[0], a.Routes[1]
	if a.Reasons != 0 || o.In != 1 || o.Out != out || r.In != out || r.Out != 1 || o.OutVLAN != tag || r.InVLAN != tag {
		f.t.Errorf("%v %s: %+v", a.Reasons.List(), a.Text, a.Routes)
	}
}

func TestBridge(t *testing.T) {
	f := newFixture(t)
	f.above(rtnl.Link{Kind: "bridge"})
	f.enslave(2, "bridge", nil)
	f.enslave(3, "bridge", nil)
	f.tell()

	// A bridge that has not learnt the next hop is waited for.
	a := f.ask1(toB)
	if a.Reasons != flow.Of(flow.NeighbourUnresolved) || !strings.Contains(a.Text, "does not know behind which port") {
		t.Fatalf("%v %s", a.Reasons.List(), a.Text)
	}
	f.station(hwif.MAC{2, 1, 1, 1, 1, 1}, 2, false) // somebody else
	f.work()
	if s := f.tell(); len(s) != 0 {
		t.Fatalf("said %v", s)
	}
	f.station(macB, 2, false)
	f.work()
	f.by(f.answered(f.tell()), 2, 0)
	if a := f.view.links[9].MAC; f.index.paths.all[f.index.get(toB.ID).path[0]].Route.SrcMAC != a {
		t.Errorf("frames leave from another address than the bridge's %s", a)
	}

	// It moves to another port, is forgotten, is with the bridge itself.
	f.station(macB, 3, false)
	f.gone(flow.CauseNeighbourChanged, "behind c")
	f.by(f.ask1(toB), 3, 0)
	f.station(macB, 3, true)
	f.gone(flow.CauseNeighbourChanged, "has forgotten")
	f.station(macB, 9, false)
	if a := f.ask1(toB); a.Reasons != flow.Of(flow.Bridged) {
		t.Errorf("%v %s", a.Reasons.List(), a.Text)
	}
	f.index.drop(toB.ID)

	// A port that spanning tree blocks; a bridge that begins to filter.
	f.station(macB, 2, false)
	f.by(f.ask1(toB), 2, 0)
	f.enslave(2, "bridge", func(l *rtnl.Link) { l.Passive = true })
	f.gone(flow.CauseRouteChanged, "")
	f.enslave(2, "bridge", func(l *rtnl.Link) { l.Passive = false })
	f.work()
	f.tell()
	f.by(f.ask1(toB), 2, 0)
	l := f.view.links[9]
	l.VLANFilter = true
	f.setLink(l)
	f.gone(flow.CauseRouteChanged, "")
}

// gone wants toB to be dirty, for a cause.
func (f *fixture) gone(cause flow.Cause, text string) {
	f.t.Helper()
	f.work()
	for _, e := range f.tell() {
		if d, ok := e.(flow.Dirty); ok && len(d.IDs) == 1 && d.IDs[0] == toB.ID && d.Cause == cause && strings.Contains(d.Text, text) {
			return
		}
	}
	f.t.Errorf("the flow stayed")
}

// TestBridgeBelowVLAN and the other way round: the tag is on the wire either way.
func TestBridgeBelowVLAN(t *testing.T) {
	f := newFixture(t)
	f.above(rtnl.Link{Kind: "bridge"})
	f.enslave(2, "bridge", nil)
	f.enslave(3, "bridge", nil)
	f.station(macB, 3, false)
	f.setLink(rtnl.Link{Index: 8, Name: "top.7", Type: unix.ARPHRD_ETHER, Flags: up, MTU: 1500, Kind: "vlan", Parent: 9, VLAN: 7, VLANProto: vlan8021Q})
	f.view.setConf(rtnl.Conf{Ifindex: 8, Family: hwif.IPv4, Forwarding: 1})
	f.neigh("10.0.1.2", 8, unix.NUD_REACHABLE, macB)
	f.host.routes[pfx("198.51.100.0/24")] = via("10.0.1.2", 8)
	f.tell()
	f.by(f.ask1(toB), 3, 7)
	f.index.drop(toB.ID)

	f.setLink(rtnl.Link{Index: 8, Name: "c.7", Type: unix.ARPHRD_ETHER, Flags: up, MTU: 1500, Kind: "vlan", Parent: 3, VLAN: 7, VLANProto: vlan8021Q, Master: 9, SlaveKind: "bridge"})
	f.enslave(3, "", func(l *rtnl.Link) { l.Master = 0 })
	f.station(macB, 8, false)
	f.host.routes[pfx("198.51.100.0/24")] = via("10.0.1.2", 9)
	f.work()
	f.tell()
	f.by(f.ask1(toB), 3, 7)
}

func TestBond(t *testing.T) {
	f := newFixture(t)
	f.above(rtnl.Link{Kind: "bond", BondMode: bondActiveBackup, Active: 2})
	f.enslave(2, "bond", nil)
	f.enslave(3, "bond", nil)
	f.tell()
	f.by(f.ask1(toB), 2, 0)
	l := f.view.links[9]
	l.Active = 3
	f.setLink(l)
	f.gone(flow.CauseRouteChanged, "")
	f.by(f.ask1(toB), 3, 0)
	l.Active = 0
	f.setLink(l)
	f.gone(flow.CauseRouteChanged, "")
	if a := f.ask1(toB); a.Reasons != flow.Of(flow.NoRoute) {
		t.Errorf("%v %s", a.Reasons.List(), a.Text)
	}
}

// TestVRF: routing asks as the VRF, frames are those of its member.
func TestVRF(t *testing.T) {
	f := newFixture(t)
	f.above(rtnl.Link{Kind: "vrf"})
	f.host.routes[pfx("198.51.100.0/24")] = via("10.0.1.2", 2)
	f.enslave(2, "vrf", nil)
	f.enslave(3, "vrf", nil)
	f.tell()
	var iifs []hwif.Ifindex
	f.host.route = func(k *rtnl.Ask) rtnl.Answer { iifs = append(iifs, k.Iif); return f.host.fib(k) }
	a := f.ask1(toB)
	f.by(a, 2, 0)
	for _, i := range iifs {
		if i == 2 {
			t.Errorf("asked for packets from the member itself: %v", iifs)
		}
	}
	if a.Routes[1].InMAC != f.view.links[2].MAC {
		t.Errorf("reply comes in to %s", a.Routes[1].InMAC)
	}
	// Forwarding is the VRF's own; the port's does not matter.
	f.view.setConf(rtnl.Conf{Ifindex: 2, Family: hwif.IPv4, Forwarding: 0})
	f.sweepAll("")
	f.work()
	if s := f.tell(); len(s) != 0 {
		t.Errorf("said %v", s)
	}
	f.view.setConf(rtnl.Conf{Ifindex: 9, Family: hwif.IPv4, Forwarding: 0})
	f.sweepAll("")
	f.gone(flow.CauseRouteChanged, "")
}

// TestVRFSeen: a packet that came in by a VRF does not say by which member.
func TestVRFSeen(t *testing.T) {
	f, _ := observed(t)
	f.above(rtnl.Link{Kind: "vrf"})
	f.host.routes[pfx("198.51.100.0/24")] = via("10.0.1.2", 2)
	f.enslave(2, "vrf", nil)
	f.enslave(3, "vrf", nil)
	f.tell()
	f.expected(toB)
	f.now++
	o, r := f.see(toB, flow.Orig, 1, 2, macB), f.see(toB, flow.Reply, 9, 1, macA)
	r.Came.Port = 2
	f.by(f.answered(f.show(o, r)), 2, 0)

	// One direction alone says nothing of the way in, unless there is but one.
	q := toB
	q.Alone, q.Orig, q.Reply = true, toB.Reply, toB.Orig
	q.Gen++
	f.expected(q)
	f.now++
	s := f.see(q, flow.Orig, 9, 1, macA)
	s.Kind, s.Came = observe.Alone, observe.Came{}
	a := f.answered(f.show(s, s, s, s))
	if a.Reasons != flow.Of(flow.RouteUnobserved) || !strings.Contains(a.Text, "one of the 2 members of top") {
		t.Errorf("%v %s", a.Reasons.List(), a.Text)
	}
}
