//go:build netns

package route

import (
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

func mac(s string) (m hwif.MAC) {
	for i := range m {
		for _, c := range []byte(s[i*3 : i*3+2]) {
			v := c - '0'
			if c >= 'a' {
				v = c - 'a' + 10
			}
			m[i] = m[i]<<4 | v
		}
	}
	return m
}

func TestPlain(t *testing.T) {
	l := newLab(t)
	w := l.start(Options{})
	r0, r1 := l.ifindex("r0"), l.ifindex("r1")
	for name, q := range map[string]flow.Query{
		"ipv4":         tcp(1, "10.0.0.2:4000", "198.51.100.9:80"),
		"ipv6":         tcp(2, "[fd00:0::2]:4000", "[2001:db8:1::9]:80"),
		"masquerade":   natted(3, "10.0.0.2:4000", "198.51.100.9:80", "198.51.100.9:80", "10.0.1.1:50000"),
		"port forward": natted(4, "10.0.0.2:4000", "10.0.0.1:8080", "198.51.100.9:80", "10.0.0.2:4000"),
	} {
		a := w.ask(q)[q.ID]
		w.good(map[flow.ID]flow.Answer{q.ID: a})
		want := [2]flow.Route{
			{In: r0, Out: r1, InMAC: mac("02:00:00:00:00:01"), SrcMAC: mac("02:00:00:00:00:11"), DstMAC: mac("02:00:00:00:00:12"), MTU: 1500, InMTU: 1500},
			{In: r1, Out: r0, InMAC: mac("02:00:00:00:00:11"), SrcMAC: mac("02:00:00:00:00:01"), DstMAC: mac("02:00:00:00:00:02"), MTU: 1500, InMTU: 1500},
		}
		if a.Routes != want {
			t.Errorf("%s: routes\n%v\n%v, want\n%v\n%v", name, a.Routes[0], a.Routes[1], want[0], want[1])
		}
		if got, want := a.Nexthop[flow.Orig].Netip(q.Orig.Family).String(), map[hwif.Family]string{hwif.IPv4: "10.0.1.2", hwif.IPv6: "fd00:1::2"}[q.Orig.Family]; got != want {
			t.Errorf("%s: nexthop %s, want %s", name, got, want)
		}
		if x := w.Explain(t.Context(), q); x.Routes != a.Routes || x.Reasons != 0 {
			t.Errorf("%s: explain says %v %s", name, x.Reasons.List(), x.Text)
		}
	}
	w.exactly(flow.CauseNone)
}

func TestRefused(t *testing.T) {
	l := newLab(t)
	w := l.start(Options{})
	flow1 := tcp(1, "10.0.0.2:4000", "198.51.100.9:80")
	for name, tc := range map[string]struct {
		before, after string
		q             flow.Query
		want          flow.Reason
		text          string
	}{
		"no route":         {"", "", tcp(1, "10.0.0.2:4000", "192.0.2.77:80"), flow.NoRoute, "no route to 192.0.2.77"},
		"prohibit":         {"ip route add prohibit 192.0.2.78", "ip route del prohibit 192.0.2.78", tcp(1, "10.0.0.2:4000", "192.0.2.78:80"), flow.NoRoute, "prohibits"},
		"blackhole":        {"ip route add blackhole 192.0.2.78", "ip route del blackhole 192.0.2.78", tcp(1, "10.0.0.2:4000", "192.0.2.78:80"), flow.NoRoute, "blackhole"},
		"blackhole v6":     {"ip route add blackhole 2001:db8:3::/48", "ip route del blackhole 2001:db8:3::/48", tcp(1, "[fd00::2]:4000", "[2001:db8:3::1]:80"), flow.NoRoute, ""},
		"to this host":     {"", "", tcp(1, "10.0.0.2:4000", "10.0.1.1:80"), flow.Local, "address of this host"},
		"from this host":   {"", "", tcp(1, "10.0.0.1:4000", "198.51.100.9:80"), flow.Local, "address of this host"},
		"multipath":        {"ip route add 192.0.2.79 nexthop via 10.0.1.2 nexthop via 10.0.2.2", "ip route del 192.0.2.79", tcp(1, "10.0.0.2:4000", "192.0.2.79:80"), flow.Multipath, "2 nexthops"},
		"multipath v6":     {"ip route add 2001:db8:4::/48 nexthop via fd00:1::2 nexthop via fd00:2::2", "ip route del 2001:db8:4::/48", tcp(1, "[fd00::2]:4000", "[2001:db8:4::1]:80"), flow.Multipath, "2 nexthops"},
		"nexthop group":    {"ip nexthop add id 1 via 10.0.1.2 dev r1; ip nexthop add id 2 via 10.0.2.2 dev r2; ip nexthop add id 3 group 1/2; ip route add 192.0.2.80 nhid 3", "ip nexthop flush", tcp(1, "10.0.0.2:4000", "192.0.2.80:80"), flow.Multipath, "2 nexthops"},
		"group, no compat": {"sysctl -qw net.ipv4.nexthop_compat_mode=0; ip nexthop add id 1 via 10.0.1.2 dev r1; ip nexthop add id 2 via 10.0.2.2 dev r2; ip nexthop add id 3 group 1/2; ip route add 192.0.2.80 nhid 3", "ip nexthop flush; sysctl -qw net.ipv4.nexthop_compat_mode=1", tcp(1, "10.0.0.2:4000", "192.0.2.80:80"), flow.Multipath, "nexthop_compat_mode"},
		"multipath source": {"ip route add 192.0.2.81 nexthop via 10.0.0.2 nexthop via 10.0.2.2", "ip route del 192.0.2.81", tcp(1, "192.0.2.81:1", "198.51.100.9:80"), flow.Multipath, "2 nexthops"},
		"backup to source": {"ip route add 192.0.2.82 via 10.0.0.2; ip route add 192.0.2.82 via 10.0.2.2 metric 9", "ip route del 192.0.2.82; ip route del 192.0.2.82", tcp(1, "192.0.2.82:1", "198.51.100.9:80"), flow.RouteUnobserved, "r0 or by r2"},
		"mark rule":        {"ip rule add fwmark 1 table 77", "ip rule del fwmark 1 table 77", flow1, flow.RouteUnobserved, "packet mark"},
		"tos rule":         {"ip rule add tos 0x10 table 77", "ip rule del tos 0x10 table 77", flow1, flow.RouteUnsupported, "TOS"},
		"tos route":        {"ip route add 198.51.100.0/24 tos 0x10 via 10.0.2.2", "ip route del 198.51.100.0/24 tos 0x10", flow1, flow.RouteUnsupported, "TOS"},
		"asymmetric rule":  {"ip route add default via 10.0.2.2 table 78; ip rule add iif r1 to 10.0.0.0/24 table 78", "ip rule del iif r1 to 10.0.0.0/24 table 78", flow1, flow.Asymmetric, "replies leave by r2"},
		"rp_filter":        {"sysctl -qw net.ipv4.conf.r0.rp_filter=1; ip route add default via 10.0.2.2 table 79; ip rule add iif r1 from 198.51.100.9 to 10.0.0.2 table 79", "sysctl -qw net.ipv4.conf.r0.rp_filter=0; ip rule del table 79", flow1, flow.Asymmetric, "rp_filter refuses packets from 10.0.0.2 that enter by r0"},
		"strict, backup":   {"sysctl -qw net.ipv4.conf.r0.rp_filter=1; ip route add 192.0.2.82 via 10.0.0.2; ip route add 192.0.2.82 via 10.0.2.2 metric 9; ip neigh", "sysctl -qw net.ipv4.conf.r0.rp_filter=0; ip route del 192.0.2.82; ip route del 192.0.2.82", tcp(1, "192.0.2.82:1", "198.51.100.9:80"), flow.ReasonNone, ""},
		"forwarding off":   {"sysctl -qw net.ipv4.conf.r0.forwarding=0", "sysctl -qw net.ipv4.conf.r0.forwarding=1", flow1, flow.NoRoute, "ipv4 forwarding is off on r0"},
		"v6 forwarding":    {"sysctl -qw net.ipv6.conf.all.forwarding=0", "sysctl -qw net.ipv6.conf.all.forwarding=1", tcp(1, "[fd00::2]:4000", "[2001:db8:1::9]:80"), flow.NoRoute, "ipv6 forwarding is off"},
		"hairpin":          {"ip route add 192.0.2.83 via 10.0.0.3", "ip route del 192.0.2.83", tcp(1, "10.0.0.2:4000", "192.0.2.83:80"), flow.RouteUnsupported, "where they came in"},
		"ipsec":            {"ip xfrm policy add src 10.0.0.0/24 dst 198.51.100.0/24 dir fwd tmpl src 10.0.0.9 dst 10.0.1.9 proto esp mode tunnel", "ip xfrm policy flush", flow1, flow.IPsec, "198.51.100.0/24"},
		"ipsec block":      {"ip xfrm policy add src 0.0.0.0/0 dst 198.51.100.0/24 dir out action block", "ip xfrm policy flush", flow1, flow.IPsec, ""},
		"link down":        {"ip link set r1 down", "ip link set r1 up; ip route add 198.51.100.0/24 via 10.0.1.2; ip addr add fd00:1::1/64 dev r1 nodad; ip -6 route add 2001:db8:1::/48 via fd00:1::2; ip neigh replace 10.0.1.2 lladdr 02:00:00:00:00:12 dev r1 nud permanent", flow1, flow.NoRoute, ""},
		"bridge port":      {"ip link add br0 type bridge; ip link set r2 master br0", "ip link set r2 nomaster; ip link del br0", tcp(1, "10.0.0.2:4000", "203.0.113.9:80"), flow.Bridged, "r2 is a port of bridge br0"},
		"macvlan":          {"ip link add mv0 link r2 type macvlan; ip link set mv0 up; ip addr add 10.0.9.1/24 dev mv0; ip route add 192.0.2.84 via 10.0.9.2", "ip link del mv0", tcp(1, "10.0.0.2:4000", "192.0.2.84:80"), flow.RouteUnsupported, "kind macvlan"},
		"tunnel":           {"ip tuntap add tun0 mode tun; ip link set tun0 up; ip addr add 10.0.9.1/24 dev tun0; ip route add 192.0.2.84 via 10.0.9.2", "ip link del tun0", tcp(1, "10.0.0.2:4000", "192.0.2.84:80"), flow.RouteUnsupported, "not an Ethernet"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t, l.t = t, t
			if tc.before != "" {
				l.sh(tc.before)
			}
			defer func() {
				if tc.after != "" {
					l.sh(tc.after)
				}
			}()
			w.settled()
			a := w.Explain(t.Context(), tc.q)
			if tc.want == flow.ReasonNone && a.Reasons != 0 || tc.want != flow.ReasonNone && a.Reasons != flow.Of(tc.want) {
				t.Errorf("got %v (%s), want %v", a.Reasons.List(), a.Text, tc.want)
			}
			if !strings.Contains(a.Text, tc.text) {
				t.Errorf("text %q, want %q in it", a.Text, tc.text)
			}
		})
	}
	w.t, l.t = t, t
	w.settled()
	w.good(w.ask(flow1))
}
