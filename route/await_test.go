package route

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// looker is an observer that only writes down what it is asked for.
type looker struct {
	asked []flow.Tuple
	reset []flow.Tuple
	fault error
}

func (l *looker) Ask(orig, reply []flow.Tuple) error {
	l.asked = append(append(l.asked, orig...), reply...)
	return l.fault
}

func (l *looker) Reset(orig []flow.Tuple) error {
	l.reset = append(l.reset, orig...)
	return l.fault
}

// observed is a fixture whose packets are seen when the test says so.
func observed(t *testing.T) (*fixture, *looker) {
	f, l := newFixture(t), &looker{}
	f.await.watcher = l
	f.now = 1e9
	return f, l
}

// expected queries, and wants nothing said before a packet is seen.
func (f *fixture) expected(q flow.Query) {
	f.t.Helper()
	if err := f.resolve([]flow.Query{q}); err != nil {
		f.t.Fatal(err)
	}
	if s := f.tell(); len(s) != 0 {
		f.t.Fatalf("said %v before any packet was seen", s)
	}
}

// see is a packet of q that came in by one port and left by another, to a MAC.
func (f *fixture) see(q flow.Query, d flow.Dir, in, out hwif.Ifindex, to hwif.MAC) *observe.Sight {
	s := &observe.Sight{Own: q.Orig, Other: q.Reply, Dir: d, At: f.now, In: in, Out: out, EthDst: to,
		EthSrc: f.view.links[out].MAC, TTL: 63, Kind: observe.Left}
	s.Came = observe.Came{Port: in, TTL: 64, Paired: true}
	if d == flow.Reply {
		s.Own, s.Other = q.Reply, q.Orig
	}
	return s
}

// show hands sights over and does what follows.
func (f *fixture) show(ss ...*observe.Sight) []flow.Event {
	f.t.Helper()
	for _, s := range ss {
		f.sights([]observe.Sight{*s})
	}
	f.look()
	return f.tell()
}

// look does what there is to do about packets.
func (f *fixture) look() {
	f.t.Helper()
	for {
		busy, err := f.stepSeen()
		if err != nil {
			f.t.Fatal(err)
		}
		if !busy {
			return
		}
	}
}

func (f *fixture) answered(s []flow.Event) flow.Answer {
	f.t.Helper()
	if len(s) != 1 {
		f.t.Fatalf("said %v, want one answer", s)
	}
	a, ok := s[0].(flow.Answer)
	if !ok {
		f.t.Fatalf("said %+v, want an answer", s[0])
	}
	return a
}

var (
	macA = hwif.MAC{2, 0, 0, 0, 1, 2} // 10.0.0.2 on a
	macB = hwif.MAC{2, 0, 0, 0, 2, 2} // 10.0.1.2 on b
	macC = hwif.MAC{2, 0, 0, 0, 3, 2} // 10.0.2.2 on c
)

// both are packets of toB in both directions, by a and b.
func (f *fixture) both() []*observe.Sight {
	return []*observe.Sight{f.see(toB, flow.Orig, 1, 2, macB), f.see(toB, flow.Reply, 2, 1, macA)}
}

func TestAnsweredByPackets(t *testing.T) {
	f, l := observed(t)
	f.expected(toB)
	if !slices.Contains(l.asked, toB.Orig) || !slices.Contains(l.asked, toB.Reply) {
		t.Fatalf("the observer was asked for %v", l.asked)
	}
	f.now++
	seen := f.both()
	if s := f.show(seen[0]); len(s) != 0 {
		t.Fatalf("said %v after one direction", s)
	}
	a := f.answered(f.show(seen[1]))
	if a.Reasons != 0 || a.Routes[0].Out != 2 || a.Routes[0].DstMAC != macB || a.Routes[0].TTL != 64 || a.Evidence[0].Learnt() != flow.LearntPacket {
		t.Errorf("%+v", a)
	}
}

// TestSeenBeforeItWasAsked: a packet that was told of earlier is no answer.
func TestSeenBeforeItWasAsked(t *testing.T) {
	f, _ := observed(t)
	early := f.both()
	f.now += 10
	f.expected(toB)
	if s := f.show(early...); len(s) != 0 {
		t.Errorf("said %v", s)
	}
}

// TestNoPacketComes: then it stays with the kernel, until packets of both directions
// have come.
func TestNoPacketComes(t *testing.T) {
	f, _ := observed(t)
	f.expected(toB)
	f.now += packetPatience
	f.look()
	a := f.answered(f.tell())
	if a.Reasons != flow.Of(flow.RouteUnobserved) || !strings.Contains(a.Text, "no orig packet of it was seen to leave") {
		t.Errorf("%v %s", a.Reasons.List(), a.Text)
	}
	seen := f.both()
	if s := f.show(seen[0]); len(s) != 0 {
		t.Errorf("said %v", s)
	}
	// A change meanwhile: what was seen before is of no use.
	f.now++
	f.affected(pfx("198.51.100.0/24"), func() string { return "" })
	f.work()
	f.now++
	if s := f.show(f.both()[1]); len(s) != 0 {
		t.Errorf("said %v", s)
	}
	a = f.answered(f.show(f.both()[0]))
	if a.Reasons != 0 || a.Evidence[0].Learnt() != flow.LearntPacket {
		t.Errorf("%v %s", a.Reasons.List(), a.Text)
	}
}

// TestContradiction: a packet that was under way while the tables changed is not
// believed, and the next one is waited for.
func TestContradiction(t *testing.T) {
	f, l := observed(t)
	f.expected(toB)
	l.asked = nil
	f.now++
	if s := f.show(f.see(toB, flow.Orig, 1, 3, macC), f.see(toB, flow.Reply, 2, 1, macA)); len(s) != 0 {
		t.Fatalf("said %v", s)
	}
	if len(l.asked) != 2 {
		t.Errorf("asked again for %v", l.asked)
	}
	f.now++
	if a := f.answered(f.show(f.both()...)); a.Reasons != 0 {
		t.Errorf("%v: %s", a.Reasons.List(), a.Text)
	}
	// One that is contradicted for good is refused, in words.
	g, _ := observed(t)
	g.expected(toB)
	for range maxTries + 1 {
		g.now++
		if s := g.show(g.see(toB, flow.Orig, 1, 3, macC), g.see(toB, flow.Reply, 2, 1, macA)); len(s) > 0 {
			a := g.answered(s)
			if a.Reasons != flow.Of(flow.RouteUnobserved) || !strings.Contains(a.Text, "seen leaving by c") {
				t.Errorf("%v: %s", a.Reasons.List(), a.Text)
			}
			return
		}
	}
	t.Error("never answered")
}

// legs makes the route to toB one over b and c.
func (f *fixture) legs() {
	p := netip.MustParsePrefix("198.51.100.0/24")
	r := via("10.0.1.2", 2)
	r.Legs = 2
	for _, h := range []rtnl.Route{via("10.0.1.2", 2), via("10.0.2.2", 3)} {
		r.Hops = append(r.Hops, rtnl.Hop{Gateway: h.Gateway, GwFamily: h.GwFamily, Oif: h.Oif})
	}
	f.host.routes[p] = r
}

// TestLegByLabel: an IPv6 packet's leg may change with its flow label, unless ports
// choose it.
func TestLegByLabel(t *testing.T) {
	for name, m := range map[string]multipathSysctls{"addresses": {}, "inner": {policy6: 2}, "label": {policy6: 3, fields6: 8}, "ports": {policy6: 1}, "fields": {policy6: 3, fields6: 0x37}} {
		f, _ := observed(t)
		f.view.multipath = m
		f.neigh("fe80::3", 3, unix.NUD_REACHABLE, macC)
		r := via("fe80::2", 2)
		r.Legs = 2
		for _, h := range []rtnl.Route{via("fe80::2", 2), via("fe80::3", 3)} {
			r.Hops = append(r.Hops, rtnl.Hop{Gateway: h.Gateway, GwFamily: h.GwFamily, Oif: h.Oif})
		}
		f.host.routes[pfx("2001:db8::/32")] = r
		q := tcp(1, "[fd00::2]:1", "[2001:db8::9]:2")
		f.expected(q)
		f.now++
		a := f.answered(f.show(f.see(q, flow.Orig, 1, 3, macC), f.see(q, flow.Reply, 3, 1, macA)))
		if free := name == "ports" || name == "fields"; free != (a.Reasons == 0) || !free && (a.Reasons != flow.Of(flow.Multipath) || !strings.Contains(a.Text, "flow label")) {
			t.Errorf("%s: %v %s", name, a.Reasons.List(), a.Text)
		}
	}
}

// TestLegsByNeighbours: where dead next hops are passed over, one that dies or comes back
// has every choice made anew.
func TestLegsByNeighbours(t *testing.T) {
	f, _ := observed(t)
	f.legs()
	f.expected(toB)
	f.now++
	if a := f.answered(f.show(f.see(toB, flow.Orig, 1, 3, macC), f.see(toB, flow.Reply, 3, 1, macA))); a.Reasons != 0 {
		t.Fatalf("%v %s", a.Reasons.List(), a.Text)
	}
	f.neigh("10.0.1.2", 2, unix.NUD_FAILED, hwif.MAC{})
	if s := f.tell(); len(s) != 0 {
		t.Errorf("said %v of a leg that was not taken", s)
	}
	f.view.multipath.useNeigh = 1
	f.neigh("10.0.1.2", 2, unix.NUD_REACHABLE, macB)
	onlyDirty(t, f.tell(), flow.CauseRouteChanged, "10.0.1.2 on b is at", 1)
}

func TestMultipathIsWhatThePacketTook(t *testing.T) {
	f, _ := observed(t)
	f.legs()
	f.expected(toB)
	f.now++
	a := f.answered(f.show(f.see(toB, flow.Orig, 1, 3, macC), f.see(toB, flow.Reply, 3, 1, macA)))
	if a.Reasons != 0 || a.Routes[0].Out != 3 || a.Routes[0].DstMAC != macC || a.Evidence[0].Legs != 2 || a.Routes[1].In != 3 {
		t.Fatalf("%+v", a)
	}
	// A change of what the choice was made from takes it out, although its leg is
	// still there: the kernel may choose anew.
	f.now++
	f.host.routes[netip.MustParsePrefix("198.51.100.0/24")].Hops[0].Weight = 3
	f.onRoute(&rtnl.Route{Dst: ip("198.51.100.0"), DstLen: 24, Family: hwif.IPv4}, &rtnl.Msg{Type: unix.RTM_NEWROUTE})
	f.work()
	onlyDirty(t, f.tell(), flow.CauseRouteChanged, "198.51.100.0/24", 1)
}

// TestAChoiceIsOlderThanTheChange: the tables had changed already when the flow was
// judged, and the notification comes after. What the packet chose was of before.
func TestAChoiceIsOlderThanTheChange(t *testing.T) {
	f, _ := observed(t)
	f.expected(toB)
	f.now++
	seen := f.both() // by the single way of before
	f.legs()
	if a := f.answered(f.show(seen...)); a.Reasons != 0 || a.Routes[0].Out != 2 {
		t.Fatalf("%+v", a)
	}
	f.now++
	f.onRoute(&rtnl.Route{Dst: ip("198.51.100.0"), DstLen: 24, Family: hwif.IPv4}, &rtnl.Msg{Type: unix.RTM_NEWROUTE})
	f.work()
	onlyDirty(t, f.tell(), flow.CauseRouteChanged, "198.51.100.0/24", 1)
}

// TestAChangeWhileItWaits: what was seen of one direction before is dropped.
func TestAChangeWhileItWaits(t *testing.T) {
	f, l := observed(t)
	f.expected(toB)
	f.now++
	f.show(f.see(toB, flow.Orig, 1, 2, macB))
	l.asked = nil
	f.now++
	f.onRoute(&rtnl.Route{Dst: ip("198.51.100.0"), DstLen: 24, Family: hwif.IPv4}, &rtnl.Msg{Type: unix.RTM_NEWROUTE})
	f.work()
	if len(l.asked) != 2 {
		t.Errorf("asked again for %v", l.asked)
	}
	f.now++
	if s := f.show(f.see(toB, flow.Reply, 2, 1, macA)); len(s) != 0 {
		t.Errorf("said %v: orig was seen before the change", s)
	}
	if a := f.answered(f.show(f.see(toB, flow.Orig, 1, 2, macB))); a.Reasons != 0 {
		t.Errorf("%+v", a)
	}
}

// TestAsymmetric: replies leave by another port than requests came in by. Packets
// were seen, so it is known; without them it is refused.
func TestAsymmetric(t *testing.T) {
	f, _ := observed(t)
	f.host.routes[netip.MustParsePrefix("10.0.0.2/32")] = via("10.0.2.2", 3)
	f.expected(toB)
	f.now++
	a := f.answered(f.show(f.see(toB, flow.Orig, 1, 2, macB), f.see(toB, flow.Reply, 2, 3, macC)))
	if a.Reasons != 0 || a.Routes[0].In != 1 || a.Routes[1].Out != 3 {
		t.Errorf("%v %s: %+v", a.Reasons.List(), a.Text, a.Routes)
	}
	g := newFixture(t)
	g.host.routes[netip.MustParsePrefix("10.0.0.2/32")] = via("10.0.2.2", 3)
	g.host.route = func(k *rtnl.Ask) rtnl.Answer {
		if k.Iif == 0 {
			return rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_UNICAST, Oif: 1, DstLen: 32, Family: hwif.IPv4}}
		}
		return g.host.fib(k)
	}
	if a := g.ask1(toB); a.Reasons != flow.Of(flow.Asymmetric) {
		t.Errorf("by the tables alone: %v %s", a.Reasons.List(), a.Text)
	}
}

// TestMarks: the look-up is made with the mark that the packet had.
func TestMarks(t *testing.T) {
	f, _ := observed(t)
	f.view.rules[0].fwmark = true
	var marks []uint32
	f.host.route = func(k *rtnl.Ask) rtnl.Answer {
		marks = append(marks, k.Mark)
		return f.host.fib(k)
	}
	f.expected(toB)
	f.now++
	seen := f.both()
	seen[0].Mark, seen[1].Mark = 7, 8
	a := f.answered(f.show(seen...))
	if a.Reasons != 0 || a.Evidence[0].Mark != 7 || !slices.Contains(marks, 7) || !slices.Contains(marks, 8) || slices.Contains(marks, 0) {
		t.Errorf("%v %s; looked up with marks %v", a.Reasons.List(), a.Text, marks)
	}
	// The ruleset may set other ones now.
	f.now++
	f.ruleset("nft (pid 1)")
	s := f.tell()
	if len(s) != 2 {
		t.Fatalf("said %v", s)
	}
	onlyDirty(t, s[:1], flow.CauseRouteChanged, "nft (pid 1)", 1)
}

// TestProof: only packets after the given time show that the ruleset lets them pass.
func TestProof(t *testing.T) {
	f, l := observed(t)
	q := toB
	q.Proof = f.now + 100
	f.expected(q)
	f.look()
	if len(l.asked) != 0 {
		t.Errorf("asked for %v before they count", l.asked)
	}
	f.now += 100
	f.look()
	if len(l.asked) != 2 {
		t.Errorf("asked for %v", l.asked)
	}
	f.now += packetPatience
	f.look()
	a := f.answered(f.tell())
	if a.Reasons != flow.Of(flow.RouteUnobserved) || !strings.Contains(a.Text, "since the ruleset changed") {
		t.Errorf("%v: %s", a.Reasons.List(), a.Text)
	}
	// It goes on when they come at last.
	f.now++
	if a := f.answered(f.show(f.both()...)); a.Reasons != 0 {
		t.Errorf("%v: %s", a.Reasons.List(), a.Text)
	}
	// Without an observer there is no proof.
	g := newFixture(t)
	if a := g.ask1(q); a.Reasons != flow.Of(flow.RouteUnobserved) {
		t.Errorf("%v: %s", a.Reasons.List(), a.Text)
	}
}

// TestAlone: packets without a connection are one direction, and one of them is needed.
func TestAlone(t *testing.T) {
	f, l := observed(t)
	q := toB
	q.Alone = true
	f.expected(q)
	if len(l.asked) != 1 || l.asked[0] != q.Orig {
		t.Errorf("asked for %v", l.asked)
	}
	f.now++
	s := f.see(q, flow.Orig, 1, 2, macB)
	s.Kind = observe.Alone
	a := f.answered(f.show(s))
	if a.Reasons != 0 || a.Routes[0].Out != 2 || a.Routes[1].In != 0 {
		t.Errorf("%v %s: %+v", a.Reasons.List(), a.Text, a.Routes)
	}
	f.forget(q.ID)
	if len(l.reset) != 1 {
		t.Errorf("counted anew: %v", l.reset)
	}
	q.Gen++
	f.expected(q)
	f.now += packetPatience
	f.look()
	if a := f.answered(f.tell()); a.Reasons != flow.Of(flow.RouteUnobserved) {
		t.Errorf("%v %s", a.Reasons.List(), a.Text)
	}
}

// TestBlind: an observer that fails leaves everything to the tables.
func TestBlind(t *testing.T) {
	f, l := observed(t)
	l.fault = errors.New("gone")
	f.expected(toB)
	f.look()
	if a := f.answered(f.tell()); a.Reasons != 0 || a.Evidence[0].Learnt() != flow.LearntTables {
		t.Errorf("%+v", a)
	}
	if f.await.fault == nil {
		t.Error("nothing is known of the fault")
	}
}

// TestDropIsIngressAlone: of a flow to be dropped, where its packets come in is all
// that is asked; what is for this host is left to it.
func TestDropIsIngressAlone(t *testing.T) {
	f, _ := observed(t)
	q := tcp(9, "10.0.0.2:4000", "192.0.2.250:80")
	q.Verdict, q.In[flow.Orig] = flow.Drop, 1
	delete(f.host.routes, netip.MustParsePrefix("192.0.2.0/24"))
	a := f.ask1(q)
	if a.Reasons != 0 || a.Routes[0].In != 1 || a.Routes[0].InMAC != f.view.links[1].MAC || a.Routes[1].In != 0 {
		t.Errorf("%v %s: %+v", a.Reasons.List(), a.Text, a.Routes)
	}
	f.host.route = func(*rtnl.Ask) rtnl.Answer { return rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_LOCAL, Oif: 1}} }
	if a := f.ask1(q); a.Reasons != flow.Of(flow.Local) {
		t.Errorf("to this host: %v %s", a.Reasons.List(), a.Text)
	}
}
