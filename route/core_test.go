package route

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

var (
	toB = tcp(1, "10.0.0.2:4000", "198.51.100.9:80")
	toC = tcp(2, "10.0.0.2:4000", "203.0.113.9:80")
)

// onlyDirty fails unless one Dirty with this cause and these flows was said.
func onlyDirty(t *testing.T, s []flow.Event, cause flow.Cause, text string, ids ...flow.ID) {
	t.Helper()
	if len(s) != 1 {
		t.Fatalf("said %v, want one Dirty", s)
	}
	d, ok := s[0].(flow.Dirty)
	if !ok || d.Cause != cause || !strings.Contains(d.Text, text) || len(d.IDs) != len(ids) {
		t.Fatalf("said %+v, want %v dirty for %v (%s)", s[0], ids, cause, text)
	}
	for i := range ids {
		if d.IDs[i] != ids[i] {
			t.Fatalf("dirty %v, want %v", d.IDs, ids)
		}
	}
}

// TestLinkDownAsksNothing holds "at once": the flows are out before any look-up,
// and the round that follows touches the others only.
func TestLinkDownAsksNothing(t *testing.T) {
	f := newFixture(t)
	f.ask1(toB)
	f.ask1(toC)
	asked := f.ask.asked
	l := f.view.links[2]
	l.Flags = 0
	f.setLink(l)
	onlyDirty(t, f.tell(), flow.CauseLinkDown, "b went down", 1)
	if f.ask.asked != asked {
		t.Error("look-ups were made before Dirty")
	}
	f.work()
	if s := f.tell(); len(s) != 0 || f.index.count != 1 {
		t.Errorf("then said %v, %d flows left", s, f.index.count)
	}
}

// TestNeighbourMoves holds that a new MAC needs no look-up, and that the first
// word of a link that went down may be its neighbour's.
func TestNeighbourMoves(t *testing.T) {
	f := newFixture(t)
	f.ask1(toB)
	f.ask1(toC)
	asked := f.ask.asked
	f.neigh("10.0.1.2", 2, unix.NUD_REACHABLE, hwif.MAC{2, 9})
	onlyDirty(t, f.tell(), flow.CauseNeighbourChanged, "is at 02:09:", 1)
	l := f.view.links[3]
	l.Flags = unix.IFF_UP
	f.host.links[3] = l // the kernel's word on it is still on its way
	f.onNeigh(&rtnl.Neigh{Dst: ip("10.0.2.2"), Family: hwif.IPv4, Ifindex: 3}, true)
	onlyDirty(t, f.tell(), flow.CauseLinkDown, "c went down", 2)
	if f.ask.asked != asked {
		t.Error("look-ups were made before Dirty")
	}
}

// TestStale holds the upkeep of a neighbour in use and its traps.
func TestStale(t *testing.T) {
	k := rtnl.Neigh{Dst: ip("10.0.1.2"), Family: hwif.IPv4, Ifindex: 2, State: unix.NUD_STALE, MAC: hwif.MAC{2, 0, 0, 0, 2, 2},
		Flags: unix.NTF_EXT_LEARNED, FlagsExt: 1}
	f := newFixture(t)
	f.onNeigh(&k, false)
	if len(f.host.uses) != 0 {
		t.Fatal("a neighbour that nobody uses was probed")
	}
	f.ask1(toB) // it is stale already
	f.ask1(toB)
	if len(f.host.uses) != 1 || f.host.uses[0].create || f.host.uses[0].n.Flags != k.Flags || f.host.uses[0].n.FlagsExt != 1 {
		t.Fatalf("probed %+v, want once, with its flags", f.host.uses)
	}
	f.onNeigh(&k, false)
	if len(f.host.uses) != 2 {
		t.Fatalf("%d probes after another STALE, want 2", len(f.host.uses))
	}
	for _, state := range []uint16{unix.NUD_PERMANENT, unix.NUD_NOARP, unix.NUD_PERMANENT | unix.NUD_STALE, unix.NUD_REACHABLE, unix.NUD_PROBE, unix.NUD_DELAY} {
		k.State = state
		f.onNeigh(&k, false)
	}
	if len(f.host.uses) != 2 {
		t.Errorf("probed %+v", f.host.uses[2:])
	}
	if s := f.tell(); len(s) != 0 {
		t.Errorf("said %v", s)
	}
}

// TestResolvedNow holds that a flow that waits for its neighbour is answered
// again, by itself, and only for its latest query.
func TestResolvedNow(t *testing.T) {
	f := newFixture(t)
	f.onNeigh(&rtnl.Neigh{Dst: ip("10.0.1.2"), Family: hwif.IPv4, Ifindex: 2}, true)
	f.onNeigh(&rtnl.Neigh{Dst: ip("10.0.0.2"), Family: hwif.IPv4, Ifindex: 1}, true)
	q := toB
	f.ask1(q)
	q.Gen = 77
	if a := f.ask1(q); a.Reasons != flow.Of(flow.NeighbourUnresolved) {
		t.Fatalf("reasons %v", a.Reasons.List())
	}
	if len(f.host.uses) != 2 || !f.host.uses[0].create {
		t.Fatalf("asked to resolve %+v, want both next hops, once", f.host.uses)
	}
	f.neigh("10.0.1.2", 2, unix.NUD_INCOMPLETE, hwif.MAC{})
	f.neigh("10.0.1.2", 2, unix.NUD_REACHABLE, hwif.MAC{2, 2})
	f.work()
	if s := f.tell(); len(s) != 0 {
		t.Fatalf("said %v while one next hop is missing", s)
	}
	f.neigh("10.0.0.2", 1, unix.NUD_REACHABLE, hwif.MAC{2, 1})
	f.work()
	s := f.tell()
	if len(s) != 1 {
		t.Fatalf("said %v, want one answer", s)
	}
	a := s[0].(flow.Answer)
	if a.Gen != 77 || a.Reasons != 0 || a.Routes[0].DstMAC != (hwif.MAC{2, 2}) || a.Routes[1].DstMAC != (hwif.MAC{2, 1}) {
		t.Errorf("answer %+v", a)
	}
	// And from here on it is watched like any other.
	f.neigh("10.0.0.2", 1, unix.NUD_FAILED, hwif.MAC{})
	onlyDirty(t, f.tell(), flow.CauseNeighbourChanged, "10.0.0.2 on a is FAILED", 1)
}

// TestRouteMessage holds that only flows inside the prefix are asked about, and
// only those with another answer become dirty.
func TestRouteMessage(t *testing.T) {
	f := newFixture(t)
	f.ask1(toB)
	f.ask1(toC)
	judged := f.stats.Judged
	message := func(typ uint16, prefix string, r rtnl.Route) {
		p := netip.MustParsePrefix(prefix)
		r.Family, r.DstLen = hwif.IPv4, uint8(p.Bits())
		r.Dst, _ = hwif.AddrFrom(p.Addr())
		f.onRoute(&r, &rtnl.Msg{Type: typ})
		f.work()
	}
	message(unix.RTM_NEWROUTE, "192.0.2.0/24", via("10.0.1.2", 2))
	if f.stats.Judged != judged {
		t.Error("flows outside the prefix were looked up")
	}
	message(unix.RTM_NEWROUTE, "198.51.0.0/16", via("10.0.2.2", 3))
	if s := f.tell(); len(s) != 0 || f.stats.Judged != judged+1 {
		t.Errorf("a less specific route: said %v, looked up %d", s, f.stats.Judged-judged)
	}
	r := via("10.0.2.2", 3)
	f.host.routes[netip.MustParsePrefix("198.51.100.0/24")] = r
	message(unix.RTM_NEWROUTE, "198.51.100.0/24", r)
	onlyDirty(t, f.tell(), flow.CauseRouteChanged, "route 198.51.100.0/24 via 10.0.2.2 dev 3 added", 1)
	message(unix.RTM_DELROUTE, "198.51.100.0/24", r) // void: nothing more about it
	if s := f.tell(); len(s) != 0 {
		t.Errorf("said %v after Dirty", s)
	}
}

// TestReplacedWhileQueued holds that a query in place of one that waits for a
// second look is not looked at twice, and is not made dirty by the old doubt.
func TestReplacedWhileQueued(t *testing.T) {
	f := newFixture(t)
	f.ask1(toB)
	f.host.routes[netip.MustParsePrefix("198.51.100.0/24")] = via("10.0.2.2", 3)
	f.affected(netip.MustParsePrefix("198.51.100.0/24"), func() string { return "test" })
	q := toB
	q.Gen++
	f.ask1(q)
	judged := f.stats.Judged
	f.work()
	if s := f.tell(); len(s) != 0 || f.stats.Judged != judged {
		t.Errorf("said %v after %d more look-ups", s, f.stats.Judged-judged)
	}
}

// TestNotToBeAsked holds that next hops that the kernel is asking for already,
// or never will, are left alone.
func TestNotToBeAsked(t *testing.T) {
	for _, state := range []uint16{unix.NUD_INCOMPLETE, unix.NUD_NOARP, unix.NUD_PERMANENT} {
		f := newFixture(t)
		f.neigh("10.0.1.2", 2, state, hwif.MAC{})
		if a := f.ask1(toB); a.Reasons != flow.Of(flow.NeighbourUnresolved) || len(f.host.uses) != 0 {
			t.Errorf("state %#x: %v, probed %v", state, a.Reasons.List(), f.host.uses)
		}
	}
}

// TestSweepRests holds the bound on rounds: changes that come during one lead to
// one more, not to one each.
func TestSweepRests(t *testing.T) {
	f := newFixture(t)
	f.ask1(toB)
	for range 1000 {
		f.sweep(hwif.IPv4, "storm")
	}
	f.work()
	for range 1000 {
		f.sweep(hwif.IPv4, "storm")
	}
	f.now += 1000
	f.work()
	if f.stats.Sweeps != 2 {
		t.Errorf("%d rounds for two storms", f.stats.Sweeps)
	}
}

// TestOrder holds that Resolve and Forget act in the order of the calls.
func TestOrder(t *testing.T) {
	f := newFixture(t)
	r := &Resolver{core: *f.core}
	r.core.emit = func(e flow.Event) { f.said = append(f.said, e) }
	r.queue.wake = make(chan struct{}, 1)
	p := pace{r: r}
	run := func() {
		for {
			more, err := p.commands()
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				if len(r.queue.in) == 0 {
					return
				}
			}
		}
	}
	again := toB
	again.Gen++
	r.Resolve([]flow.Query{toB, toC, again})
	r.Forget([]flow.ID{1, 2})
	r.Resolve([]flow.Query{toC})
	r.Forget([]flow.ID{99})
	run()
	if r.index.get(1) != nil || r.index.get(2) == nil {
		t.Error("flow 1 is tracked after Forget, or flow 2 is not after Resolve")
	}
	var last flow.Answer
	for _, e := range f.tell() {
		if a := e.(flow.Answer); a.ID == 1 {
			if a.Gen < last.Gen {
				t.Error("an older answer came after a newer one")
			}
			last = a
		}
	}
	r.SetPorts(nil)
	r.Resolve([]flow.Query{again})
	run()
	if a := f.tell()[0].(flow.Answer); a.Reasons != flow.Of(flow.PortNotOffloadable) {
		t.Errorf("after SetPorts(nil): %v", a.Reasons.List())
	}
}

// TestPorts holds that a port that can no longer carry rules takes its flows out.
func TestPorts(t *testing.T) {
	f := newFixture(t)
	f.ask1(toB)
	f.ask1(toC)
	ports := []hwif.Port{{Ifindex: 1}, {Ifindex: 2, Refused: "XDP is busy"}, {Ifindex: 3}}
	f.setPorts(ports)
	f.work()
	onlyDirty(t, f.tell(), flow.CauseRouteChanged, "ports", 1)
	f.setPorts(ports)
	if !f.idle() {
		t.Error("the same ports led to another round")
	}
}

func TestCause(t *testing.T) {
	base := verdict{path: [2]path{{L3Out: 2, Route: flow.Route{Out: 2, MTU: 1500, DstMAC: hwif.MAC{2}}}}}
	change := func(f func(*verdict)) *verdict { v := base; f(&v); return &v }
	for name, tc := range map[string]struct {
		now  *verdict
		want flow.Cause
	}{
		"mtu":       {change(func(v *verdict) { v.path[0].Route.MTU = 1400 }), flow.CauseMTUChanged},
		"mac":       {change(func(v *verdict) { v.path[0].Route.DstMAC = hwif.MAC{4} }), flow.CauseNeighbourChanged},
		"lost mac":  {change(func(v *verdict) { v.path[0].Route.DstMAC = hwif.MAC{}; v.reasons = flow.Of(flow.NeighbourUnresolved) }), flow.CauseNeighbourChanged},
		"port":      {change(func(v *verdict) { v.path[0].Route.Out = 3 }), flow.CauseRouteChanged},
		"next, mac": {change(func(v *verdict) { v.path[0].Nexthop[0]++; v.path[0].Route.DstMAC = hwif.MAC{4} }), flow.CauseRouteChanged},
		"refused":   {change(func(v *verdict) { v.reasons = flow.Of(flow.Local) }), flow.CauseRouteChanged},
	} {
		if got := base.cause(tc.now); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestNewLink holds that interfaces that come and go beside the flows, as those
// of containers do, lead to no round when they come.
func TestNewLink(t *testing.T) {
	f := newFixture(t)
	f.ask1(toB)
	f.stats.Listings = 1
	l := rtnl.Link{Index: 50, Name: "veth50", Type: unix.ARPHRD_ETHER, MTU: 1500}
	f.setLink(l)
	l.Flags = up
	f.setLink(l)
	if !f.idle() {
		t.Error("a new interface led to a round over everything")
	}
	l.Flags = unix.IFF_UP
	f.setLink(l)
	f.work()
	l.Flags = up
	f.setLink(l)
	if f.idle() {
		t.Error("an interface that came back, with what routes ever, led to no round")
	}
}

// countingHost counts how often interfaces are read.
type countingHost struct {
	*fakeHost
	reads int
}

func (h *countingHost) Link(i hwif.Ifindex) (rtnl.Link, error) {
	h.reads++
	return h.fakeHost.Link(i)
}

// attr is a netlink attribute.
func attr(typ uint16, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), data...)
	return append(b, make([]byte, -len(b)&3)...)
}

// netlink is a netlink message.
func netlink(typ uint16, body ...[]byte) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN)
	b = slices.Concat(b, bytes.Join(body, nil))
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], typ)
	return b
}

// TestBelowMQ holds that a tree of qdiscs is looked at once however many of them are
// told of, and that what an interface itself says does not take back what was seen.
func TestBelowMQ(t *testing.T) {
	f := newFixture(t)
	h := &countingHost{fakeHost: f.host}
	f.core.host = h
	l := f.view.links[2]
	l.Qdisc = "mq"
	f.setLink(l)
	f.work()
	f.ask1(toB)
	f.ask1(toC)
	qdisc := func(typ uint16, parent uint32) []byte {
		b := make([]byte, 20) // struct tcmsg
		b[4] = 2
		binary.NativeEndian.PutUint32(b[12:], parent)
		return netlink(typ, b)
	}
	l.Shaper = "tbf"
	h.links[2] = l
	var many []byte
	for i := range uint32(200) {
		many = append(many, qdisc(unix.RTM_DELQDISC, 0x10001+i)...)
		many = append(many, qdisc(unix.RTM_NEWQDISC, 0x10001+i)...)
	}
	f.notice(&rtnl.Notice{Data: many})
	f.work()
	onlyDirty(t, f.tell(), flow.CauseRouteChanged, "b changed its queueing discipline to tbf", 1)
	f.notice(&rtnl.Notice{Data: qdisc(unix.RTM_NEWQDISC, 0xfffffff1)})
	if h.reads != 1 {
		t.Errorf("read %d times for one tree and one ingress qdisc, want once", h.reads)
	}

	u32 := func(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
	info := make([]byte, unix.SizeofIfInfomsg)
	info[2], info[4] = unix.ARPHRD_ETHER, 2
	binary.NativeEndian.PutUint32(info[8:], up|unix.IFF_PROMISC)
	link := func(qdisc string) []byte {
		return netlink(unix.RTM_NEWLINK, info, attr(unix.IFLA_IFNAME, 'b', 0), attr(unix.IFLA_MTU, u32(1500)...),
			attr(unix.IFLA_ADDRESS, l.MAC[:]...), attr(unix.IFLA_QDISC, append([]byte(qdisc), 0)...))
	}
	f.notice(&rtnl.Notice{Data: link("mq")})
	if got := f.view.links[2]; got.Shaper != "tbf" || h.reads != 1 {
		t.Errorf("after a message about the interface: shaped by %q, read %d times", got.Shaper, h.reads)
	}
	f.notice(&rtnl.Notice{Data: append(link("noop"), link("mq")...)})
	if got := f.view.links[2]; got.Shaper != "tbf" || h.reads != 2 {
		t.Errorf("under another root: shaped by %q, read %d times", got.Shaper, h.reads)
	}
}
