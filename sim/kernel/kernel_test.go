package kernel_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/sim"
	"github.com/shunt-offload/shunt/sim/kernel"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

const (
	clientA, serverA = "10.1.0.10:40000", "203.0.113.80:443"
	client6, server6 = "[2001:db8:a::10]:40000", "[2001:db8:f::80]:443"
)

// TestIntoHardware: each family and protocol goes in, and what the card sends is
// what the kernel would have sent.
func TestIntoHardware(t *testing.T) {
	w := newWorld(t)
	for _, proto := range []uint8{hwif.ProtoTCP, hwif.ProtoUDP} {
		for _, ends := range [][2]string{{clientA, serverA}, {client6, server6}} {
			w.wantNIC(w.open(proto, ends[0], ends[1]))
		}
	}
	if n := w.k.NIC().Stats().Rules; n != 8 {
		t.Errorf("%d rules for four flows", n)
	}
}

// TestRouteReplaced: the old rules leave, and the new ones go where the new route
// goes.
func TestRouteReplaced(t *testing.T) {
	w := newWorld(t)
	four, six := w.open(hwif.ProtoTCP, clientA, serverA), w.open(hwif.ProtoUDP, client6, server6)
	must(t, w.k.ReplaceRoute(kernel.Route{Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Link: kernel.DemoWAN2,
		Via: netip.MustParseAddr("2001:db8:2::fe")}))
	before := w.view(four).Installs
	w.pump()
	w.wantNIC(four)
	if n := w.view(four).Installs; n != before {
		t.Errorf("the flow that has nothing to do with the route was installed %d times, not %d", n, before)
	}
	six.Send(1, 1)
	w.pump()
	w.second()
	w.wantNIC(six)
	if out := w.view(six).Routes[flow.Orig].Out; out != 3 {
		t.Errorf("leaves by port %d, want 3", out)
	}
}

// TestNeighbourGone: a next hop that does not answer any more takes the flow out;
// a new address brings it back.
func TestNeighbourGone(t *testing.T) {
	w := newWorld(t)
	f := w.open(hwif.ProtoTCP, clientA, serverA)
	gateway := netip.MustParseAddr("198.51.100.254")
	must(t, w.k.SetNeighbour(kernel.DemoWAN, gateway, hwif.MAC{}))
	w.pump()
	if w.inHW(f) || w.k.NIC().Stats().Rules != 0 {
		t.Errorf("still in hardware: %s", w.k.NIC())
	}
	if s := f.SendOne(flow.Orig, []byte("x")); s.Lost != 1 || w.k.Stats().NoNeighbour != 1 {
		t.Errorf("%+v, %+v: want one frame without a neighbour", s, w.k.Stats())
	}
	must(t, w.k.SetNeighbour(kernel.DemoWAN, gateway, hwif.MAC{2, 1, 1, 1, 1, 1}))
	w.pump()
	f.Send(1, 1)
	for range 10 {
		w.second()
		f.Send(1, 1)
	}
	w.wantNIC(f)
}

// TestLinkDown: down takes its flows out; their frames are lost meanwhile.
func TestLinkDown(t *testing.T) {
	w := newWorld(t)
	f := w.open(hwif.ProtoTCP, clientA, serverA)
	must(t, w.k.LinkDown(kernel.DemoWAN))
	w.pump()
	if w.inHW(f) || w.k.NIC().Stats().Rules != 0 {
		t.Errorf("still in hardware: %s", w.k.NIC())
	}
	if s := f.SendOne(flow.Orig, nil); s.Lost != 1 {
		t.Errorf("%+v, want lost", s)
	}
	must(t, w.k.LinkUp(kernel.DemoWAN))
	for range 10 {
		w.second()
		f.Send(1, 1)
	}
	w.wantNIC(f)
}

// TestEnd: FIN, RST and the operator's delete end a flow, and its rules with it.
func TestEnd(t *testing.T) {
	for name, end := range map[string]func(w *world, f *kernel.Flow){
		"fin":    func(w *world, f *kernel.Flow) { f.Close() },
		"rst":    func(w *world, f *kernel.Flow) { f.Reset() },
		"delete": func(w *world, f *kernel.Flow) { must(w.T, w.k.DeleteConn(f.Tuple())) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := w.open(hwif.ProtoTCP, clientA, serverA)
			w.wantNIC(f)
			end(w, f)
			w.pump()
			if n := w.k.NIC().Stats().Rules; n != 0 {
				t.Errorf("%d rules left:\n%s", n, w.k.NIC())
			}
			w.wantRight()
		})
	}
}

// TestKeptAlive: a UDP entry whose packets only the card sees outlives its own
// time-out many times; left alone, it ends.
func TestKeptAlive(t *testing.T) {
	w := newWorld(t)
	f := w.open(hwif.ProtoUDP, clientA, serverA)
	kernelSaw := w.k.Stats().Forwarded.Packets
	for range 300 {
		w.wantNIC(f)
		w.second()
	}
	if s := w.k.Stats(); s.Forwarded.Packets != kernelSaw || s.Conns != 1 {
		t.Errorf("the kernel saw %d packets and has %d entries", s.Forwarded.Packets-kernelSaw, s.Conns)
	}
	for range 200 {
		w.second()
	}
	if s := w.k.Stats(); s.Conns != 0 || s.Expired != 1 || w.k.NIC().Stats().Rules != 0 {
		t.Errorf("after 200 silent seconds: %+v\n%s", s, w.k.NIC())
	}
}

// TestJudge: a rule that is not what the kernel would do is noticed.
func TestJudge(t *testing.T) {
	w := newWorld(t)
	f := w.open(hwif.ProtoTCP, clientA, serverA)
	must(t, w.k.SetNeighbour(kernel.DemoWAN, netip.MustParseAddr("198.51.100.254"), hwif.MAC{2, 1, 1, 1, 1, 1}))
	f.SendOne(flow.Orig, []byte("before the daemon has heard of it"))
	if s := w.k.Stats(); s.Wrong != 1 {
		t.Errorf("%d frames wrong, want 1", s.Wrong)
	}
}

// TestEvents is the sequence that a real kernel was seen to send.
func TestEvents(t *testing.T) {
	clock := sim.NewClock(1)
	k, err := kernel.NewDemo(clock)
	must(t, err)
	k.Drain()
	var got []string
	note := func() {
		for _, ev := range k.Drain() {
			for _, c := range ev.(flow.Conns) {
				e := c.Entry
				got = append(got, fmt.Sprintf("%s status 0x%x %s timeout %d counters %v", c.Kind, e.Status, e.TCPState, e.Timeout, e.Packets))
			}
		}
	}
	f, err := k.OpenFlow(kernel.FlowSpec{Proto: hwif.ProtoTCP, Client: addr(client6), Server: addr(server6)})
	must(t, err)
	f.Send(1, 10)
	f.Close()
	clock.Advance(121 * time.Second)
	note()
	u, err := k.OpenFlow(kernel.FlowSpec{Proto: hwif.ProtoUDP, Client: addr(client6), Server: addr(server6)})
	must(t, err)
	u.Send(1, 10)
	clock.Advance(2*time.Second + 1)
	u.Send(1, 10)
	must(t, k.DeleteConn(u.Tuple()))
	note()
	want := []string{
		"new status 0x8 SYN_SENT timeout 120 counters [0 0]",
		"update status 0xa SYN_RECV timeout 60 counters [0 0]",
		"update status 0xe ESTABLISHED timeout 432000 counters [0 0]",
		"update status 0xe FIN_WAIT timeout 120 counters [0 0]",
		"update status 0xe CLOSE_WAIT timeout 60 counters [0 0]",
		"update status 0xe LAST_ACK timeout 30 counters [0 0]",
		"update status 0xe TIME_WAIT timeout 120 counters [0 0]",
		"destroy status 0x20e TIME_WAIT timeout 0 counters [5 4]",
		"new status 0x8 NONE timeout 30 counters [0 0]",
		"update status 0xa NONE timeout 30 counters [0 0]",
		"update status 0xe NONE timeout 120 counters [0 0]",
		"destroy status 0x20e NONE timeout 0 counters [3 3]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

// TestPorts: two clients with one port get two of the router's.
func TestPorts(t *testing.T) {
	k, err := kernel.NewDemo(sim.NewClock(1))
	must(t, err)
	seen := map[flow.Tuple]bool{}
	for i := range 5 {
		f, err := k.OpenFlow(kernel.FlowSpec{Proto: hwif.ProtoTCP, Client: addr(fmt.Sprintf("10.1.0.1%d:40000", i)), Server: addr(serverA)})
		must(t, err)
		if seen[f.Reply()] {
			t.Errorf("reply tuple %s was given twice", f.Reply())
		}
		seen[f.Reply()] = true
		if s := f.Send(3, 300); s.Kernel != 6 {
			t.Errorf("%+v, want six by the kernel", s)
		}
	}
}

func TestErrors(t *testing.T) {
	k, err := kernel.NewDemo(sim.NewClock(1))
	must(t, err)
	p := netip.MustParsePrefix
	_, badFlow := k.OpenFlow(kernel.FlowSpec{Proto: 1, Client: addr(clientA), Server: addr(serverA)})
	_, farFlow := k.OpenFlow(kernel.FlowSpec{Proto: 6, Client: addr(client6), Server: addr("[2001:db8:dead::1]:443")})
	got := []string{}
	for _, err := range []error{
		k.AddRoute(kernel.Route{Prefix: p("0.0.0.0/0"), Link: kernel.DemoWAN}),
		k.AddRoute(kernel.Route{Prefix: p("10.0.0.0/8"), Link: "eth9"}),
		k.AddRoute(kernel.Route{Prefix: p("10.9.9.9/8"), Link: kernel.DemoLAN}),
		k.DelRoute(p("10.0.0.0/8")),
		k.LinkDown("eth9"),
		k.SetNeighbour("eth9", netip.MustParseAddr("10.0.0.1"), hwif.MAC{}),
		k.AddLink(kernel.Link{Name: "x", Port: 77}),
		k.AddLink(kernel.Link{Name: "x", Port: 1}),
		k.DeleteConn(flow.Tuple{Family: hwif.IPv4, Proto: 6}),
		badFlow, farFlow,
	} {
		got = append(got, fmt.Sprint(err))
	}
	want := []string{
		"route 0.0.0.0/0: exists",
		`route 10.0.0.0/8: no link "eth9"`,
		"route 10.9.9.9/8: not a prefix",
		"route 10.0.0.0/8: does not exist",
		"set link: no link eth9",
		`neighbour 10.0.0.1: no link "eth9"`,
		"add link x: the card has no port 77",
		"add link x: wan0 is on port 1 with VLAN 0 already",
		"delete entry: no entry has tcp 0.0.0.0:0 > 0.0.0.0:0",
		"open flow: protocol icmp cannot be offloaded; use tcp or udp",
		"open flow tcp [2001:db8:a::10]:40000 > [2001:db8:dead::1]:443: tcp [2001:db8:a::10]:40000 > [2001:db8:dead::1]:443: lost in the router",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("errors (-want +got):\n%s", d)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
