//go:build netns

package route

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// base are flows over both uplinks in both families: 1 and 2 to 198.51.100.x,
// 3 to 203.0.113.9, 4 and 5 their IPv6 likes, 6 from a neighbour of r1 to r2.
func base() []flow.Query {
	return []flow.Query{
		tcp(1, "10.0.0.2:4000", "198.51.100.9:80"),
		tcp(2, "10.0.0.2:4000", "198.51.100.200:80"),
		tcp(3, "10.0.0.2:4000", "203.0.113.9:80"),
		tcp(4, "[fd00::2]:4000", "[2001:db8:1::9]:80"),
		tcp(5, "[fd00::2]:4000", "[2001:db8:2::9]:80"),
		tcp(6, "10.0.1.2:4000", "10.0.2.2:80"),
	}
}

// mq needs more than one queue: an Ethernet pair has as many as the machine has CPUs.
const mq = "tc qdisc add dev r2 root handle 1: mq"

// bridged puts r2 into a bridge, which takes over its addresses, routes and next hop.
const bridged = `ip link add br0 address 02:00:00:00:00:09 type bridge forward_delay 0
	ip link add r9 type veth peer name p9; ip link set r9 master br0; ip link set r9 up; ip link set p9 up
	ip addr flush dev r2; ip link set r2 master br0; ip link set br0 up
	ip addr add 10.0.2.1/24 dev br0; ip addr add fd00:2::1/64 dev br0 nodad
	ip neigh replace 10.0.2.2 lladdr 02:00:00:00:00:22 dev br0 nud permanent; ip neigh replace fd00:2::2 lladdr 02:00:00:00:00:22 dev br0 nud permanent
	bridge fdb replace 02:00:00:00:00:22 dev r2 master static
	ip route replace 203.0.113.0/24 via 10.0.2.2; ip -6 route replace 2001:db8:2::/48 via fd00:2::2; sleep 0.3`

// TestChange makes one change each and expects exactly the affected flows.
func TestChange(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare, change string
		cause           flow.Cause
		dirty           []flow.ID
		text            string
	}{
		"replaced":           {"", "ip route replace 198.51.100.0/24 via 10.0.2.2", flow.CauseRouteChanged, []flow.ID{1, 2}, "route 198.51.100.0/24 via 10.0.2.2 dev"},
		"replaced v6":        {"", "ip -6 route replace 2001:db8:1::/48 via fd00:2::2", flow.CauseRouteChanged, []flow.ID{4}, "2001:db8:1::/48 via fd00:2::2"},
		"replaced by itself": {"", "ip route replace 198.51.100.0/24 via 10.0.1.2", flow.CauseNone, nil, ""},
		"more specific":      {"", "ip route add 198.51.100.128/25 via 10.0.2.2", flow.CauseRouteChanged, []flow.ID{2}, "198.51.100.128/25"},
		"less specific":      {"", "ip route add 198.51.0.0/16 via 10.0.2.2; ip route add default via 10.0.2.2; ip -6 route add 2001:db8::/32 via fd00:2::2", flow.CauseNone, nil, ""},
		"deleted":            {"", "ip route del 198.51.100.0/24", flow.CauseRouteChanged, []flow.ID{1, 2}, "deleted"},
		"other table":        {"", "ip route add 198.51.100.0/24 via 10.0.2.2 table 99", flow.CauseNone, nil, ""},
		"to the source":      {"", "ip route add 10.0.0.2/32 via 10.0.2.2", flow.CauseRouteChanged, []flow.ID{1, 2, 3}, "10.0.0.2/32"},
		"multipath now":      {"", "ip route replace 198.51.100.0/24 nexthop via 10.0.1.2 nexthop via 10.0.2.2", flow.CauseRouteChanged, []flow.ID{1, 2}, "over 2 nexthops"},
		"blackhole":          {"", "ip route add blackhole 203.0.113.9", flow.CauseRouteChanged, []flow.ID{3}, ""},
		"default":            {"ip route del 203.0.113.0/24; ip route add default via 10.0.2.2", "ip route replace default via 10.0.1.2", flow.CauseRouteChanged, []flow.ID{3}, "0.0.0.0/0"},
		"local now":          {"", "ip addr add 203.0.113.9/32 dev r1", flow.CauseRouteChanged, []flow.ID{3}, ""},
		"local now v6":       {"", "ip addr add 2001:db8:2::9/128 dev r1 nodad", flow.CauseRouteChanged, []flow.ID{5}, ""},
		"route mtu":          {"", "ip route replace 198.51.100.0/24 via 10.0.1.2 mtu lock 1400", flow.CauseMTUChanged, []flow.ID{1, 2}, "198.51.100.0/24"},
		"port mtu":           {"", "ip link set r2 mtu 1400", flow.CauseMTUChanged, []flow.ID{3, 5, 6}, "r2 changed its MTU from 1500 to 1400"},
		"port mac":           {"", "ip link set r2 address 02:00:00:00:00:77", flow.CauseRouteChanged, []flow.ID{3, 5, 6}, "r2 changed its address"},
		"into a bridge":      {"ip link add br0 type bridge", "ip link set r2 master br0", flow.CauseRouteChanged, []flow.ID{3, 5, 6}, "r2 changed its master"},
		"group":              {"ip link set r2 group 5; ip route add 198.51.100.0/24 via 10.0.2.2 table 88; ip rule add pref 100 lookup 88 suppress_ifgroup 5", "ip link set r2 group 0", flow.CauseRouteChanged, []flow.ID{1, 2}, "r2 changed its group"},
		"group of no matter": {"", "ip link set r2 group 5", flow.CauseNone, nil, ""},
		"station moved":      {bridged, "bridge fdb replace 02:00:00:00:00:22 dev r9 master static", flow.CauseNeighbourChanged, []flow.ID{3, 5, 6}, "bridge br0 has 02:00:00:00:00:22 behind r9"},
		"station forgotten":  {bridged, "bridge fdb del 02:00:00:00:00:22 dev r2 master", flow.CauseNeighbourChanged, []flow.ID{3, 5, 6}, "has forgotten"},
		"other station":      {bridged, "bridge fdb replace 02:00:00:00:00:77 dev r9 master static", flow.CauseNone, nil, ""},
		"spanning tree":      {bridged, "bridge link set dev r2 state 0", flow.CauseRouteChanged, []flow.ID{3, 5, 6}, "r2 changed"},
		"port left":          {bridged, "ip link set r2 nomaster", flow.CauseNeighbourChanged, []flow.ID{3, 5, 6}, "has forgotten"},
		"shaped":             {"", "tc qdisc add dev r2 root htb", flow.CauseRouteChanged, []flow.ID{3, 5, 6}, "r2 changed its queueing discipline to htb"},
		"plain queue":        {"", "tc qdisc add dev r2 root pfifo_fast", flow.CauseNone, nil, ""},
		"shaped below mq":    {mq, "tc qdisc replace dev r2 parent 1:1 tbf rate 8kbit burst 2kb latency 50ms", flow.CauseRouteChanged, []flow.ID{3, 5, 6}, "r2 changed its queueing discipline to tbf"},
		"plain below mq":     {mq, "tc qdisc replace dev r2 parent 1:1 bfifo; ip link set r2 promisc on", flow.CauseNone, nil, ""},
		"mq over a shaper":   {"", mq + "; tc qdisc replace dev r2 parent 1:1 htb; ip link set r2 promisc on; ip link set r2 promisc off", flow.CauseRouteChanged, []flow.ID{3, 5, 6}, "to htb"},
		"link down":          {"", "ip link set r2 down", flow.CauseLinkDown, []flow.ID{3, 5, 6}, "r2 went down"},
		"carrier lost":       {"", "ip netns exec %peer ip link set p2 down", flow.CauseLinkDown, []flow.ID{3, 5, 6}, "r2 went down"},
		"removed":            {"", "ip link del r2", flow.CauseLinkDown, []flow.ID{3, 5, 6}, "r2"},
		"neighbour moved":    {"", "ip neigh replace 10.0.2.2 lladdr 02:00:00:00:00:66 dev r2 nud permanent", flow.CauseNeighbourChanged, []flow.ID{3, 6}, "neighbour 10.0.2.2 on r2 is at 02:00:00:00:00:66"},
		"neighbour gone":     {"", "ip neigh del 10.0.2.2 dev r2", flow.CauseNeighbourChanged, []flow.ID{3, 6}, "10.0.2.2 on r2"},
		"neighbour v6":       {"", "ip neigh replace fd00:2::2 lladdr 02:00:00:00:00:66 dev r2 nud permanent", flow.CauseNeighbourChanged, []flow.ID{5}, "fd00:2::2"},
		"other neighbour":    {"", "ip neigh replace 10.0.2.99 lladdr 02:00:00:00:00:66 dev r2 nud permanent", flow.CauseNone, nil, ""},
		"rule":               {"ip route add default via 10.0.2.2 table 88", "ip rule add to 198.51.100.200 table 88", flow.CauseRouteChanged, []flow.ID{2}, "policy rule"},
		"uid rule":           {"ip route add 198.51.100.0/24 via 10.0.2.2 table 88", "ip rule add uidrange 0-0 table 88", flow.CauseRouteChanged, []flow.ID{1, 2}, "policy rule"},
		"uid rule v6":        {"ip -6 route add 2001:db8:1::/48 via fd00:2::2 table 88", "ip -6 rule add uidrange 0-0 table 88", flow.CauseRouteChanged, []flow.ID{4}, "policy rule"},
		"rule of no matter":  {"ip route add default via 10.0.2.2 table 88", "ip rule add to 192.0.2.200 table 88", flow.CauseNone, nil, ""},
		"mark rule":          {"", "ip -6 rule add fwmark 1 table 88", flow.CauseRouteChanged, []flow.ID{4, 5}, "policy rule"},
		"ipsec":              {"", "ip xfrm policy add src 10.0.0.0/24 dst 203.0.113.0/24 dir out tmpl src 10.0.2.1 dst 10.0.2.9 proto esp mode tunnel", flow.CauseRouteChanged, []flow.ID{3}, "IPsec"},
		"forwarding":         {"", "sysctl -qw net.ipv4.conf.r0.forwarding=0", flow.CauseRouteChanged, []flow.ID{1, 2, 3}, "forwarding configuration"},
		"forwarding v6":      {"", "sysctl -qw net.ipv6.conf.all.forwarding=0", flow.CauseRouteChanged, []flow.ID{4, 5}, "forwarding configuration"},
		"nexthop deleted":    {"ip nexthop add id 5 via 10.0.2.2 dev r2; ip route replace 203.0.113.0/24 nhid 5", "ip nexthop del id 5", flow.CauseRouteChanged, []flow.ID{3}, "nexthop"},
		"nexthop replaced":   {"ip nexthop add id 5 via 10.0.2.2 dev r2; ip route replace 203.0.113.0/24 nhid 5", "ip nexthop replace id 5 via 10.0.1.2 dev r1", flow.CauseRouteChanged, []flow.ID{3}, ""},
		"nexthop, no compat": {"sysctl -qw net.ipv4.nexthop_compat_mode=1; ip nexthop add id 5 via 10.0.2.2 dev r2; ip route replace 203.0.113.0/24 nhid 5", "ip neigh replace 10.0.2.3 lladdr 02:00:00:00:00:67 dev r2 nud permanent; ip nexthop replace id 5 via 10.0.2.3 dev r2", flow.CauseRouteChanged, []flow.ID{3}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if tc.prepare != "" {
				l.sh(tc.prepare)
			}
			w := l.start(Options{Recheck: -1, WatchTC: true})
			w.good(w.ask(base()...))
			w.exactly(flow.CauseNone)
			before := w.Stats().Judged
			if c, ok := strings.CutPrefix(tc.change, "ip netns exec %peer "); ok {
				l.psh(c)
				time.Sleep(1200 * time.Millisecond) // the kernel's linkwatch says so within a second
			} else {
				l.sh(tc.change)
			}
			d := w.exactly(tc.cause, tc.dirty...)
			if !strings.Contains(d.Text, tc.text) {
				t.Errorf("text %q, want %q in it", d.Text, tc.text)
			}
			t.Logf("%d looked up; %s", w.Stats().Judged-before, d.Text)
			if left, want := w.Stats().Flows, len(base())-len(tc.dirty); left != want {
				t.Errorf("%d flows tracked, want %d", left, want)
			}
		})
	}
}

// TestSilent deletes a route behind the resolver's back, so to speak: the
// periodic round must find what no notification told.
func TestSilent(t *testing.T) {
	l := newLab(t)
	w := l.start(Options{Recheck: 500 * time.Millisecond})
	w.good(w.ask(base()...))
	w.queue.call(func() error {
		tr := w.index.get(3)
		n := w.index.found(tr)
		n.path[0].Route.MTU = 1300 // as if a path MTU had come and gone
		w.index.amend(tr, &n)
		return nil
	})
	d := w.dirtyOf(3)
	if d.Cause != flow.CauseMTUChanged || !strings.Contains(d.Text, "periodic") {
		t.Errorf("dirty for %v: %s", d.Cause, d.Text)
	}
	w.exactly(flow.CauseNone)
}

// TestNeighbour lets the kernel resolve, confirm and lose real neighbours.
func TestNeighbour(t *testing.T) {
	l := newLab(t)
	l.sh("ip neigh del 10.0.2.2 dev r2; ip neigh del 10.0.0.2 dev r0")
	w := l.start(Options{Recheck: -1})
	q := tcp(1, "10.0.0.2:4000", "203.0.113.9:80")
	first := w.ask(q)[1]
	if first.Reasons != flow.Of(flow.NeighbourUnresolved) {
		t.Fatalf("got %v (%s), want neighbour_unresolved", first.Reasons.List(), first.Text)
	}
	second := w.answer(1, q.Gen)
	if second.Reasons != 0 || second.Routes[0].DstMAC != mac("02:00:00:00:00:22") {
		t.Fatalf("resolved to %v: %v (%s)", second.Routes, second.Reasons.List(), second.Text)
	}

	// Stale in use: one probe, and it is reachable again without a word to the engine.
	l.sh("ip neigh change 10.0.2.2 lladdr 02:00:00:00:00:22 dev r2 nud stale")
	w.settled()
	l.state("10.0.2.2", "r2", "REACHABLE", "DELAY", "PROBE")

	// The next hop falls silent: the kernel's own probing says so, and the flow is out.
	l.sh("sysctl -qw net.ipv4.neigh.r2.delay_first_probe_time=1 net.ipv4.neigh.r2.retrans_time_ms=100")
	l.psh("ip addr del 10.0.2.2/24 dev p2")
	l.sh("ip neigh change 10.0.2.2 lladdr 02:00:00:00:00:22 dev r2 nud stale")
	if d := w.dirtyOf(1); d.Cause != flow.CauseNeighbourChanged || !strings.Contains(d.Text, "FAILED") {
		t.Errorf("dirty for %v: %s", d.Cause, d.Text)
	}
	q.Gen++
	if a := w.ask(q)[1]; a.Reasons != flow.Of(flow.NeighbourUnresolved) {
		t.Errorf("got %v (%s), want neighbour_unresolved", a.Reasons.List(), a.Text)
	}
}

// state waits until a neighbour is in one of the states.
func (l *lab) state(addr, dev string, states ...string) {
	l.t.Helper()
	var out []byte
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		out, _ = exec.Command("ip", "-n", l.router, "neigh", "show", addr, "dev", dev).Output()
		for _, s := range states {
			if strings.Contains(string(out), s) {
				return
			}
		}
	}
	l.t.Fatalf("neighbour %s on %s: %s, want %v", addr, dev, out, states)
}

// TestARPChange lets a real ARP exchange bring the next hop's new address.
func TestARPChange(t *testing.T) {
	l := newLab(t)
	l.sh("ip neigh del 10.0.2.2 dev r2; sysctl -qw net.ipv4.neigh.r2.locktime=0 net.ipv4.conf.r2.arp_accept=1")
	w := l.start(Options{Recheck: -1})
	q := tcp(1, "10.0.0.2:4000", "203.0.113.9:80")
	w.ask(q)
	w.good(map[flow.ID]flow.Answer{1: w.answer(1, q.Gen)})
	// A standby router takes the address over. It asks for the router's MAC,
	// and the request carries its own.
	l.psh("ip link set p2 address 02:00:00:00:00:29; ip neigh flush dev p2; ping -c1 -W1 -I p2 10.0.2.1 || true")
	d := w.dirtyOf(1)
	if d.Cause != flow.CauseNeighbourChanged || !strings.Contains(d.Text, "02:00:00:00:00:29") {
		t.Errorf("dirty for %v: %s", d.Cause, d.Text)
	}
	q.Gen++
	if a := w.ask(q)[1]; a.Reasons != 0 || a.Routes[0].DstMAC != (hwif.MAC{2, 0, 0, 0, 0, 0x29}) {
		t.Errorf("now %v: %v %s", a.Routes, a.Reasons.List(), a.Text)
	}
}

// TestPermanentIsLeftAlone holds the trap: NTF_USE destroys a permanent entry.
func TestPermanentIsLeftAlone(t *testing.T) {
	l := newLab(t)
	w := l.start(Options{Recheck: 200 * time.Millisecond})
	w.good(w.ask(base()...))
	time.Sleep(600 * time.Millisecond)
	w.exactly(flow.CauseNone)
	l.state("10.0.2.2", "r2", "PERMANENT")
	if n := w.Stats().NeighUses; n != 0 {
		t.Errorf("%d neighbours probed, want none", n)
	}
}

// TestLoss overflows a tiny receive buffer while routes change, and expects
// Loss, then every change found, then Synced.
func TestLoss(t *testing.T) {
	l := newLab(t)
	w := l.start(Options{Recheck: -1, RcvBuf: 2048})
	w.good(w.ask(base()...))
	hold, held := make(chan struct{}), make(chan struct{})
	w.queue.call(func() error { close(held); <-hold; return nil })
	<-held
	var batch strings.Builder
	for i := range 3000 {
		batch.WriteString("route add 192.0.2." + itoa(uint32(i%250)) + "/32 via 10.0.1.2\nroute del 192.0.2." + itoa(uint32(i%250)) + "/32\n")
	}
	batch.WriteString("route replace 198.51.100.0/24 via 10.0.2.2\n")
	cmd := exec.Command("ip", "-n", l.router, "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	close(hold)
	w.until("Loss", func(e flow.Event) bool { l, ok := e.(flow.Loss); return ok && l.Source == flow.SourceRoute })
	d := w.until("dirty", func(e flow.Event) bool { _, ok := e.(flow.Dirty); return ok }).(flow.Dirty)
	if len(d.IDs) != 2 {
		t.Errorf("dirty %v, want 1 and 2", d)
	}
	w.until("Synced", func(e flow.Event) bool { _, ok := e.(flow.Synced); return ok })
	w.exactly(flow.CauseNone)
}

// TestShapedBelowMQ holds that a shaper below mq is seen in the first listing, and in
// the later ones where nobody tells of it.
func TestShapedBelowMQ(t *testing.T) {
	l := newLab(t)
	const shape = "tc qdisc replace dev r2 parent 1:1 tbf rate 8kbit burst 2kb latency 50ms"
	l.sh(mq + "; " + shape)
	w := l.start(Options{Recheck: 200 * time.Millisecond})
	q := tcp(1, "10.0.0.2:4000", "203.0.113.9:80")
	if a := w.ask(q)[1]; a.Reasons != flow.Of(flow.OffloadDisabledOnPort) || !strings.Contains(a.Text, "r2 has the queueing discipline tbf") {
		t.Errorf("got %v (%s), want offload_disabled_on_port", a.Reasons.List(), a.Text)
	}
	l.sh("tc qdisc del dev r2 parent 1:1")
	if d := w.dirtyOf(1); !strings.Contains(d.Text, "r2 changed its queueing discipline to a plain one") {
		t.Errorf("dirty for %v: %s", d.Cause, d.Text)
	}
	w.good(w.ask(q))
	l.sh(shape)
	if d := w.dirtyOf(1); !strings.Contains(d.Text, "to tbf") {
		t.Errorf("dirty for %v: %s", d.Cause, d.Text)
	}
}

// TestMultipathSettingsOfNamespace holds that the settings are those of the namespace in
// which the Resolver was opened, whichever thread reads them.
func TestMultipathSettingsOfNamespace(t *testing.T) {
	l := newLab(t)
	l.sh("sysctl -qw net.ipv4.fib_multipath_hash_policy=1 net.ipv4.fib_multipath_use_neigh=1")
	w := l.start(Options{})
	in := func() multipathSysctls {
		got := make(chan multipathSysctls, 1)
		w.queue.call(func() error { got <- w.view.multipath; return nil })
		return <-got
	}
	first := in()
	if first.policy4 != 1 || first.useNeigh != 1 || first.fields4 == 0 || first.policy6 != 0 || first.fields6 == 0 {
		t.Errorf("listed %+v", first)
	}
	l.sh("sysctl -qw net.ipv6.fib_multipath_hash_policy=2")
	want := first
	want.policy6 = 2
	for end := time.Now().Add(wait); in() != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v, want %+v", in(), want)
		}
	}
}

// TestVLAN needs 802.1Q devices; a kernel without them says so when one is made.
func TestVLAN(t *testing.T) {
	l := newLab(t)
	if out, err := exec.Command("ip", "-n", l.router, "link", "add", "link", "r1", "name", "r1.5", "type", "vlan", "id", "5").CombinedOutput(); err != nil {
		if strings.Contains(string(out), "Unknown device type") {
			t.Skipf("this kernel has no 802.1Q devices: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	l.sh("ip link set r1.5 address 02:00:00:00:00:15; ip link set r1.5 mtu 1400; ip link set r1.5 up; ip addr add 10.5.0.1/24 dev r1.5; ip neigh replace 10.5.0.2 lladdr 02:00:00:00:05:02 dev r1.5 nud permanent; ip route add 192.0.2.0/24 via 10.5.0.2")
	w := l.start(Options{Recheck: -1})
	a := w.ask(tcp(1, "10.0.0.2:4000", "192.0.2.9:80"))[1]
	w.good(map[flow.ID]flow.Answer{1: a})
	want := flow.Route{In: l.ifindex("r0"), Out: l.ifindex("r1"), OutVLAN: 5, InMAC: mac("02:00:00:00:00:01"),
		SrcMAC: mac("02:00:00:00:00:15"), DstMAC: mac("02:00:00:00:05:02"), MTU: 1400, InMTU: 1500}
	if a.Routes[0] != want {
		t.Errorf("orig %v, want %v", a.Routes[0], want)
	}
	l.sh("ip link set r1 down")
	if d := w.dirtyOf(1); d.Cause != flow.CauseLinkDown {
		t.Errorf("dirty for %v: %s", d.Cause, d.Text)
	}
}

// TestCloseEndsRun holds that Close alone ends Run without an error, that a
// Resolver runs once, and that Explain never hangs.
func TestCloseEndsRun(t *testing.T) {
	l := newLab(t)
	fds := openFDs(t)
	r := l.open(Options{})
	synced, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- r.Run(context.Background(), func(e flow.Event) {
			if _, ok := e.(flow.Synced); ok {
				close(synced)
			}
		})
	}()
	<-synced
	r.Close()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if a := r.Explain(t.Context(), tcp(1, "10.0.0.2:1", "198.51.100.9:2")); a.Reasons != flow.Of(flow.RouteUnobserved) || a.Text == "" {
		t.Errorf("explain after the end: %+v", a)
	}
	if err := r.Run(t.Context(), nil); err == nil {
		t.Error("ran twice")
	}
	r.Close()
	never := l.open(Options{})
	never.Close()
	if err := never.Run(t.Context(), nil); err == nil {
		t.Error("ran after Close")
	}
	if now := openFDs(t); now != fds {
		t.Errorf("%d file descriptors, %d before", now, fds)
	}
}

func openFDs(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}
