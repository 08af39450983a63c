package route

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

func TestVerdict(t *testing.T) {
	link := func(f *fixture, i hwif.Ifindex, change func(*rtnl.Link)) {
		l := f.view.links[i]
		change(&l)
		f.setLink(l)
	}
	vlan := func(f *fixture, change func(*rtnl.Link)) {
		l := rtnl.Link{Index: 9, Name: "b.7", Kind: "vlan", Type: unix.ARPHRD_ETHER, Flags: up, MTU: 1496, Parent: 2,
			VLAN: 7, VLANProto: 0x8100, MAC: hwif.MAC{2, 0, 0, 0, 9, 1}}
		change(&l)
		f.setLink(l)
		f.view.setConf(rtnl.Conf{Ifindex: 9, Family: hwif.IPv4, Forwarding: 1})
		f.neigh("10.0.9.2", 9, unix.NUD_STALE, hwif.MAC{2, 0, 0, 0, 9, 2})
		f.host.routes[pfx("198.51.100.0/24")] = via("10.0.9.2", 9)
	}
	answer := func(a rtnl.Answer, when func(*rtnl.Ask) bool) func(*fixture) {
		return func(f *fixture) {
			f.host.route = func(k *rtnl.Ask) rtnl.Answer {
				if when(k) {
					return a
				}
				return f.host.fib(k)
			}
		}
	}
	forth := func(k *rtnl.Ask) bool { return k.Iif == 1 && !k.FibMatch }
	plain := tcp(1, "10.0.0.2:4000", "198.51.100.9:80")
	good := [2]flow.Route{
		{In: 1, Out: 2, InMAC: hwif.MAC{2, 0, 0, 0, 1, 1}, SrcMAC: hwif.MAC{2, 0, 0, 0, 2, 1}, DstMAC: hwif.MAC{2, 0, 0, 0, 2, 2}, MTU: 1500, InMTU: 1500},
		{In: 2, Out: 1, InMAC: hwif.MAC{2, 0, 0, 0, 2, 1}, SrcMAC: hwif.MAC{2, 0, 0, 0, 1, 1}, DstMAC: hwif.MAC{2, 0, 0, 0, 1, 2}, MTU: 1500, InMTU: 1500},
	}
	tagged := good
	tagged[0] = flow.Route{In: 1, Out: 2, OutVLAN: 7, InMAC: good[0].InMAC, SrcMAC: hwif.MAC{2, 0, 0, 0, 9, 1}, DstMAC: hwif.MAC{2, 0, 0, 0, 9, 2}, MTU: 1496, InMTU: 1500}
	tagged[1] = flow.Route{In: 2, Out: 1, InVLAN: 7, InMAC: hwif.MAC{2, 0, 0, 0, 9, 1}, SrcMAC: good[1].SrcMAC, DstMAC: good[1].DstMAC, MTU: 1500, InMTU: 1496}
	short := good
	short[0].MTU = 1400
	six := good
	six[0].MTU, six[1].InMTU = 1280, 1280

	for name, tc := range map[string]struct {
		set    func(*fixture)
		q      flow.Query
		want   flow.Reasons
		text   string
		routes *[2]flow.Route
	}{
		"plain":        {nil, plain, 0, "", &good},
		"ipv6":         {nil, tcp(1, "[fd00::2]:1", "[2001:db8::9]:2"), 0, "", &good},
		"ipv6 mtu":     {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.MTU6 = 1280 }) }, tcp(1, "[fd00::2]:1", "[2001:db8::9]:2"), 0, "", &six},
		"masquerade":   {nil, natted(1, "10.0.0.2:4000", "198.51.100.9:80", "198.51.100.9:80", "10.0.1.1:5"), 0, "", &good},
		"vlan":         {func(f *fixture) { vlan(f, func(*rtnl.Link) {}) }, plain, 0, "", &tagged},
		"802.1ad":      {func(f *fixture) { vlan(f, func(l *rtnl.Link) { l.VLANProto = 0x88a8 }) }, plain, flow.Of(flow.RouteUnsupported), "0x88a8", nil},
		"vlan qos":     {func(f *fixture) { vlan(f, func(l *rtnl.Link) { l.EgressQoS = true }) }, plain, flow.Of(flow.RouteUnsupported), "egress-qos-map", nil},
		"vlan foreign": {func(f *fixture) { vlan(f, func(l *rtnl.Link) { l.Foreign = true }) }, plain, flow.Of(flow.RouteUnsupported), "another network namespace", nil},
		"vlan in vlan": {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.Kind = "vlan" }); vlan(f, func(*rtnl.Link) {}) }, plain, flow.Of(flow.RouteUnsupported), "VLAN inside a VLAN", nil},
		"vlan on bond": {func(f *fixture) {
			link(f, 2, func(l *rtnl.Link) { l.Kind, l.BondMode = "bond", 4 })
			vlan(f, func(*rtnl.Link) {})
		}, plain, flow.Of(flow.LAGUnsupported), "b spreads packets over its members", nil},
		"bond":        {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.Kind, l.BondMode = "bond", 2 }) }, plain, flow.Of(flow.LAGUnsupported), "b spreads packets over its members", nil},
		"bond member": {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.Master, l.SlaveKind = 3, "team" }) }, plain, flow.Of(flow.LAGUnsupported), "member of team c", nil},
		"bridge":      {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.Kind, l.VLANFilter = "bridge", true }) }, plain, flow.Of(flow.Bridged), "b filters VLANs", nil},
		"macsec":      {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.Master, l.SlaveKind = 3, "hsr" }) }, plain, flow.Of(flow.RouteUnsupported), "belongs to c (hsr)", nil},
		"tunnel":      {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.Type, l.Kind = unix.ARPHRD_IPGRE, "gre" }) }, plain, flow.Of(flow.RouteUnsupported), "not an Ethernet", nil},
		"vxlan":       {func(f *fixture) { delete(f.view.ports, 2); link(f, 2, func(l *rtnl.Link) { l.Kind = "vxlan" }) }, plain, flow.Of(flow.RouteUnsupported), "kind vxlan", nil},
		"no port":     {func(f *fixture) { delete(f.view.ports, 2) }, plain, flow.Of(flow.PortNotOffloadable), "b is not a port", nil},
		"port refused": {func(f *fixture) {
			f.view.ports[2] = hwif.Port{Ifindex: 2, Refused: "hw-tc-offload is off; switch it on"}
		}, plain, flow.Of(flow.OffloadDisabledOnPort), "b: hw-tc-offload is off", nil},
		"other device":  {nil, tcp(1, "10.0.0.2:1", "192.0.2.1:2"), flow.Of(flow.DifferentEswitch), "a and d", nil},
		"down":          {func(f *fixture) { link(f, 2, func(l *rtnl.Link) { l.Flags = unix.IFF_UP }) }, plain, flow.Of(flow.NoRoute), "b is down or has no carrier", nil},
		"forwarding":    {func(f *fixture) { f.view.setConf(rtnl.Conf{Ifindex: 2, Family: hwif.IPv4}) }, plain, flow.Of(flow.NoRoute), "ipv4 forwarding is off on b", nil},
		"forwarding v6": {func(f *fixture) { f.view.setConf(rtnl.Conf{Ifindex: rtnl.ConfAll, Family: hwif.IPv6}) }, tcp(1, "[fd00::2]:1", "[2001:db8::9]:2"), flow.Of(flow.NoRoute), "ipv6 forwarding is off", nil},
		"host v6":       {func(f *fixture) { f.view.setConf(rtnl.Conf{Ifindex: 1, Family: hwif.IPv6}) }, tcp(1, "[fd00::2]:1", "[2001:db8::9]:2"), 0, "", &good},
		"no route":      {nil, tcp(1, "10.0.0.2:1", "8.8.8.8:2"), flow.Of(flow.NoRoute), "no route to 8.8.8.8 for packets from a", nil},
		"no source":     {nil, tcp(1, "8.8.8.8:1", "198.51.100.9:2"), flow.Of(flow.NoRoute), "no route to 8.8.8.8 for packets from the router itself", nil},
		"rp_filter":     {answer(rtnl.Answer{Errno: unix.EXDEV}, forth), plain, flow.Of(flow.Asymmetric), "rp_filter refuses packets from 10.0.0.2 that enter by a", nil},
		"prohibited":    {answer(rtnl.Answer{Errno: unix.EACCES}, forth), plain, flow.Of(flow.NoRoute), "prohibits", nil},
		"martian":       {answer(rtnl.Answer{Errno: unix.EINVAL}, forth), plain, flow.Of(flow.NoRoute), "can't be a source", nil},
		"no answer":     {answer(rtnl.Answer{Errno: unix.EIO}, forth), plain, flow.Of(flow.RouteUnobserved), "failed", nil},
		"local":         {answer(rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_LOCAL, Oif: 1}}, forth), plain, flow.Of(flow.Local), "address of this host", nil},
		"broadcast":     {answer(rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_BROADCAST, Oif: 1}}, forth), plain, flow.Of(flow.Multicast), "broadcast", nil},
		"unreachable":   {answer(rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_UNREACHABLE}}, forth), plain, flow.Of(flow.NoRoute), "unreachable", nil},
		"nat route":     {answer(rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_NAT, Oif: 2}}, forth), plain, flow.Of(flow.RouteUnsupported), "type", nil},
		"encap":         {answer(rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_UNICAST, Oif: 2, Encap: true}}, forth), plain, flow.Of(flow.RouteUnsupported), "encapsulates", nil},
		"asymmetric":    {answer(rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_UNICAST, Oif: 3}}, func(k *rtnl.Ask) bool { return k.Iif == 2 && !k.FibMatch }), plain, flow.Of(flow.Asymmetric), "enter by a, but replies leave by c", nil},
		"multipath":     {answer(rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_UNICAST, Oif: 2, Legs: 4, Family: hwif.IPv4}}, func(k *rtnl.Ask) bool { return k.Iif == 1 && k.FibMatch }), plain, flow.Of(flow.Multipath), "4 nexthops", nil},
		"backup": {func(f *fixture) {
			f.host.route = func(k *rtnl.Ask) rtnl.Answer {
				if k.Oif == 3 {
					return rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_UNICAST, Oif: 3, DstLen: 24, Family: hwif.IPv4}}
				}
				return f.host.fib(k)
			}
		}, plain, flow.Of(flow.RouteUnobserved), "may enter by a or by c", nil},
		"backup, strict": {func(f *fixture) {
			f.view.setConf(rtnl.Conf{Ifindex: 1, Family: hwif.IPv4, Forwarding: 1, RPFilter: 1})
			f.host.route = func(k *rtnl.Ask) rtnl.Answer {
				if k.Oif == 3 {
					return rtnl.Answer{Route: rtnl.Route{Type: unix.RTN_UNICAST, Oif: 3, DstLen: 24, Family: hwif.IPv4}}
				}
				return f.host.fib(k)
			}
		}, plain, 0, "", &good},
		"hairpin":    {func(f *fixture) { f.host.routes[pfx("8.0.0.0/8")] = via("10.0.0.3", 1) }, tcp(1, "10.0.0.2:1", "8.8.8.8:2"), flow.Of(flow.RouteUnsupported), "where they came in", nil},
		"route mtu":  {func(f *fixture) { r := via("10.0.1.2", 2); r.MTU = 1400; f.host.routes[pfx("198.51.100.0/24")] = r }, plain, 0, "", &short},
		"big mtu":    {func(f *fixture) { r := via("10.0.1.2", 2); r.MTU = 9000; f.host.routes[pfx("198.51.100.0/24")] = r }, plain, 0, "", &good},
		"mark rule":  {func(f *fixture) { f.view.rules[0].add(rtnl.Rule{Priority: 5, Fwmark: true}) }, plain, flow.Of(flow.RouteUnobserved), "packet mark", nil},
		"mark known": {func(f *fixture) { f.view.rules[0].add(rtnl.Rule{Fwmark: true}); f.ask.markKnown = true }, plain, 0, "", &good},
		"tun rule":   {func(f *fixture) { f.view.rules[0].add(rtnl.Rule{TunID: true}) }, plain, flow.Of(flow.RouteUnsupported), "tunnel id", nil},
		"tos rule":   {func(f *fixture) { f.view.rules[0].add(rtnl.Rule{Tos: true}) }, plain, flow.Of(flow.RouteUnsupported), "TOS", nil},
		"new rule":   {func(f *fixture) { f.view.rules[0].add(rtnl.Rule{Unknown: 99}) }, plain, flow.Of(flow.RouteUnsupported), "FRA 99", nil},
		"v6 rule":    {func(f *fixture) { f.view.rules[1].add(rtnl.Rule{Fwmark: true, TunID: true, Tos: true}) }, plain, 0, "", &good},
		"tos route": {func(f *fixture) {
			f.view.tos.set(&rtnl.Route{Family: hwif.IPv4, Tos: 8, Dst: ip("198.51.0.0"), DstLen: 16}, true)
		}, plain, flow.Of(flow.RouteUnsupported), "TOS", nil},
		"ipsec": {func(f *fixture) {
			f.view.policies = []rtnl.Policy{{Src: pfx("10.0.0.0/8"), Dst: pfx("198.51.100.0/24"), Family: hwif.IPv4, Tmpls: true}}
		}, plain, flow.Of(flow.IPsec), "198.51.100.0/24", nil},
		"ipsec back": {func(f *fixture) {
			f.view.policies = []rtnl.Policy{{Src: pfx("198.51.100.0/24"), Dst: pfx("10.0.0.0/8"), Family: hwif.IPv4, Block: true}}
		}, plain, flow.Of(flow.IPsec), "", nil},
		"ipsec, after snat": {func(f *fixture) {
			f.view.policies = []rtnl.Policy{{Src: pfx("10.0.1.1/32"), Dst: pfx("0.0.0.0/0"), Family: hwif.IPv4, Tmpls: true}}
		},
			natted(1, "10.0.0.2:4000", "198.51.100.9:80", "198.51.100.9:80", "10.0.1.1:5"), flow.Of(flow.IPsec), "", nil},
		"ipsec allow": {func(f *fixture) {
			f.view.policies = []rtnl.Policy{{Src: pfx("0.0.0.0/0"), Dst: pfx("0.0.0.0/0"), Family: hwif.IPv4}}
		}, plain, 0, "", &good},
		"ipsec other": {func(f *fixture) {
			f.view.policies = []rtnl.Policy{{Src: pfx("10.9.0.0/16"), Dst: pfx("0.0.0.0/0"), Family: hwif.IPv4, Tmpls: true}, {Src: pfx("0.0.0.0/0"), Dst: pfx("0.0.0.0/0"), Family: hwif.IPv4, Proto: 17, Tmpls: true}}
		}, plain, 0, "", &good},
		"ipsec unknown": {func(f *fixture) { f.view.ipsecFault = "listing them needs CAP_NET_ADMIN" }, plain, flow.Of(flow.IPsec), "CAP_NET_ADMIN", nil},
		"unresolved":    {func(f *fixture) { f.neigh("10.0.1.2", 2, unix.NUD_FAILED, hwif.MAC{}) }, plain, flow.Of(flow.NeighbourUnresolved), "next hop 10.0.1.2 on b is FAILED", nil},
		"group mac":     {func(f *fixture) { f.neigh("10.0.1.2", 2, unix.NUD_PERMANENT, hwif.MAC{1}) }, plain, flow.Of(flow.RouteUnsupported), "group address", nil},
		"sctp":          {nil, func() flow.Query { q := plain; q.Orig.Proto = 132; return q }(), flow.Of(flow.ProtocolUnsupported), "sctp", nil},
		"no family":     {nil, flow.Query{}, flow.Of(flow.RouteUnsupported), "no usable addresses", nil},
		"4in6": {nil, func() flow.Query {
			q := tcp(1, "[fd00::2]:1", "[2001:db8::9]:2")
			q.Orig.Src = hwif.Addr{10: 0xff, 11: 0xff, 12: 1}
			return q
		}(), flow.Of(flow.RouteUnsupported), "no usable addresses", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if tc.set != nil {
				tc.set(f)
			}
			f.tell()
			a := f.ask1(tc.q)
			if a.Reasons != tc.want {
				t.Fatalf("reasons %v (%s), want %v", a.Reasons.List(), a.Text, tc.want.List())
			}
			if !strings.Contains(a.Text, tc.text) || (a.Text == "") != (a.Reasons == 0) {
				t.Errorf("text %q, want %q in it", a.Text, tc.text)
			}
			if tc.routes != nil && a.Routes != *tc.routes {
				t.Errorf("routes\n%v\n%v, want\n%v\n%v", a.Routes[0], a.Routes[1], tc.routes[0], tc.routes[1])
			}
			// Asked again, nothing has changed, whatever the verdict was.
			f.sweepAll("again")
			f.work()
			f.lap(10)
			f.work()
			if s := f.tell(); len(s) != 0 {
				t.Errorf("asked again: %v", s)
			}
		})
	}
}

// TestQuestion holds what routing is asked when both ends are rewritten.
func TestQuestion(t *testing.T) {
	q := natted(1, "10.0.0.2:4000", "10.0.1.1:8080", "198.51.100.9:80", "192.0.2.1:50000")
	q.Mark = 7
	a := asker{markKnown: true}
	want := rtnl.Ask{Family: hwif.IPv4, Proto: 6, Src: ip("10.0.0.2"), HasSrc: true, SrcPort: 4000, Dst: ip("198.51.100.9"), DstPort: 80, Iif: 3, Mark: 7}
	if got := a.question(&q, flow.Orig, 3); got != want {
		t.Errorf("orig %+v, want %+v", got, want)
	}
	want = rtnl.Ask{Family: hwif.IPv4, Proto: 6, Src: ip("198.51.100.9"), HasSrc: true, SrcPort: 80, Dst: ip("10.0.0.2"), DstPort: 4000, Iif: 5, Mark: 7}
	if got := a.question(&q, flow.Reply, 5); got != want {
		t.Errorf("reply %+v, want %+v", got, want)
	}
	a.markKnown = false
	if got := a.question(&q, flow.Orig, 3); got.Mark != 0 {
		t.Errorf("mark %d asked without being declared", got.Mark)
	}
}
