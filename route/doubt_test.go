package route

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// TestMasquerade: without a packet, a source that became another interface's address
// is in doubt.
func TestMasquerade(t *testing.T) {
	f := newFixture(t)
	own := func(a string, dev hwif.Ifindex, gone bool) {
		f.onAddress(&rtnl.Address{Addr: ip(a), Family: hwif.IPv4, Ifindex: dev, Len: 24}, gone)
		f.work()
		f.tell()
	}
	q := natted(1, "10.0.0.2:4000", "198.51.100.9:80", "198.51.100.9:80", "10.0.2.1:5")
	ok := func(want flow.Reasons) {
		t.Helper()
		q.Gen++
		if a := f.ask1(q); a.Reasons != want {
			t.Errorf("%v %s, want %v", a.Reasons.List(), a.Text, want.List())
		}
	}
	ok(0) // nobody's address: SNAT
	own("10.0.2.1", 3, false)
	ok(flow.Of(flow.RouteUnobserved))
	own("10.0.2.1", 2, false)
	ok(0)
	own("10.0.2.1", 2, true)
	ok(flow.Of(flow.RouteUnobserved))
}

// TestContradictionEnds: a flow that was refused for what its packets did is looked at
// once more at the next change, and the next lap.
func TestContradictionEnds(t *testing.T) {
	for name, stir := range map[string]func(*fixture){
		"change": func(f *fixture) { f.affected(pfx("198.51.100.0/24"), func() string { return "" }); f.work() },
		"lap":    func(f *fixture) { f.sweepAll(""); f.work() },
	} {
		t.Run(name, func(t *testing.T) {
			f, l := observed(t)
			f.expected(toB)
			var said []flow.Event
			for len(said) == 0 {
				f.now++
				said = append(said, f.show(f.see(toB, flow.Orig, 1, 3, macC), f.see(toB, flow.Reply, 2, 1, macA))...)
			}
			if a := f.answered(said); a.Reasons != flow.Of(flow.RouteUnobserved) {
				t.Fatalf("%v %s", a.Reasons.List(), a.Text)
			}
			l.asked = nil
			f.now++
			stir(f)
			if !slices.Contains(l.asked, toB.Orig) || !slices.Contains(l.asked, toB.Reply) {
				t.Fatalf("asked for %v", l.asked)
			}
			f.now++
			if a := f.answered(f.show(f.both()...)); a.Reasons != 0 {
				t.Errorf("%v %s", a.Reasons.List(), a.Text)
			}
		})
	}
}

// TestAskedAgain: a question that was lost, or used up by a packet that does not count, is
// put again, for the direction that is missing alone.
func TestAskedAgain(t *testing.T) {
	f, l := observed(t)
	f.expected(toB)
	f.now++
	seen := f.both()
	asked := func(what string, want ...flow.Tuple) {
		t.Helper()
		if !slices.Equal(l.asked, want) {
			t.Errorf("%s: asked for %v, want %v", what, l.asked, want)
		}
		l.asked = nil
	}
	l.asked = nil
	early := *seen[0]
	early.At = 0
	f.show(&early)
	asked("a packet of before", toB.Orig)
	blind := *seen[0]
	blind.Came = observe.Came{}
	f.show(&blind)
	asked("its way in was not seen", toB.Orig)
	f.show(seen[0])
	asked("one direction is known")
	f.now += packetPatience
	f.look()
	f.tell()
	f.again.due = 1
	f.work()
	asked("a lap", toB.Reply)
	f.now++
	if a := f.answered(f.show(f.both()[1])); a.Reasons != 0 {
		t.Errorf("%v %s", a.Reasons.List(), a.Text)
	}
}

// TestTwoChanges: a packet that was seen between two changes is of before the second,
// although flows are looked at again for the first.
func TestTwoChanges(t *testing.T) {
	route := &rtnl.Route{Dst: ip("198.51.100.0"), DstLen: 24, Family: hwif.IPv4}
	for name, change := range map[string]func(*fixture){
		"of the prefix":  func(f *fixture) { f.onRoute(route, &rtnl.Msg{Type: unix.RTM_NEWROUTE}) },
		"of everything":  func(f *fixture) { f.onRoute(&rtnl.Route{Family: hwif.IPv4}, &rtnl.Msg{Type: unix.RTM_NEWROUTE}) },
		"of a neighbour": func(f *fixture) { f.enqueue([]flow.ID{toB.ID}, "") },
	} {
		f, _ := observed(t)
		f.legs()
		f.expected(toB)
		f.now++
		f.tell()
		change(f)
		f.now++
		f.answered(f.show(f.see(toB, flow.Orig, 1, 3, macC), f.see(toB, flow.Reply, 3, 1, macA)))
		f.now++
		change(f)
		f.work()
		if s := f.tell(); len(s) != 1 {
			t.Errorf("%s: said %v", name, s)
		}
	}
}

// TestMarkedTables: where rules select by mark, a change of routes takes the flows inside
// it out, whatever the tables say for the mark with which packets left; other changes do
// not.
func TestMarkedTables(t *testing.T) {
	f, _ := observed(t)
	f.view.rules[0].add(rtnl.Rule{Priority: 5, Fwmark: true})
	f.expected(toB)
	f.now++
	f.answered(f.show(f.both()...))
	f.now++
	f.sweepAll("somebody's link came up")
	f.work()
	if s := f.tell(); len(s) != 0 {
		t.Errorf("said %v", s)
	}
	f.onRoute(&rtnl.Route{Dst: ip("198.51.0.0"), DstLen: 16, Family: hwif.IPv4, Table: 100}, &rtnl.Msg{Type: unix.RTM_NEWROUTE})
	f.work()
	onlyDirty(t, f.tell(), flow.CauseRouteChanged, "198.51.0.0/16", 1)
}

// TestMangled: a packet that leaves otherwise than a rule would have it is no pattern
// for one.
func TestMangled(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*observe.Sight)
		reason flow.Reason
		text   string
	}{
		"ttl":          {func(s *observe.Sight) { s.TTL = 33 }, flow.RouteUnsupported, "come in with TTL 64 and TOS 0x00, and leave with TTL 33, TOS 0x00"},
		"tos":          {func(s *observe.Sight) { s.TOS = 0x60 }, flow.RouteUnsupported, "TOS 0x60"},
		"congestion":   {func(s *observe.Sight) { s.TOS, s.Came.TOS = 0x63, 0x61 }, flow.ReasonNone, ""},
		"altered":      {func(s *observe.Sight) { s.Altered = true }, flow.RouteUnsupported, "other addresses or ports"},
		"other port":   {func(s *observe.Sight) { s.Came.Port = 3 }, flow.RouteUnobserved, "coming in by c vlan 0, but the tables say a vlan 0"},
		"other tag":    {func(s *observe.Sight) { s.Came.VLAN = 5 }, flow.RouteUnobserved, "coming in by a vlan 5"},
		"not seen":     {func(s *observe.Sight) { s.Came = observe.Came{} }, flow.RouteUnobserved, "not coming in by a"},
		"as it should": {func(s *observe.Sight) {}, flow.ReasonNone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := observed(t)
			f.expected(toB)
			var said []flow.Event
			for len(said) == 0 {
				f.now++
				pair := f.both()
				tc.change(pair[0])
				said = append(said, f.show(pair...)...)
			}
			a := f.answered(said)
			if want := flow.Reasons(0); tc.reason != flow.ReasonNone {
				want = flow.Of(tc.reason)
				if a.Reasons != want || !strings.Contains(a.Text, tc.text) {
					t.Errorf("%v %s", a.Reasons.List(), a.Text)
				}
			} else if a.Reasons != want {
				t.Errorf("%v %s", a.Reasons.List(), a.Text)
			}
		})
	}
}

// TestTrusted: rules that an earlier daemon left keep packets from being seen, and the
// tables are taken at their word; a packet that contradicts them takes the flow out.
func TestTrusted(t *testing.T) {
	q := toB
	q.Trust = true
	f, _ := observed(t)
	f.expected(q)
	f.now += packetPatience
	f.look()
	a := f.answered(f.tell())
	if a.Reasons != 0 || a.Evidence[0].Learnt() != flow.LearntTables || a.Routes[0].TTL != 0 {
		t.Errorf("%+v", a)
	}
	if s := f.show(f.both()...); len(s) != 0 {
		t.Errorf("said %v", s)
	}
	g, _ := observed(t)
	g.expected(q)
	g.now += packetPatience
	g.look()
	g.tell()
	onlyDirty(t, g.show(g.see(toB, flow.Orig, 1, 3, macC), g.see(toB, flow.Reply, 2, 1, macA)), flow.CauseRouteChanged, "a packet left otherwise", 1)
}
