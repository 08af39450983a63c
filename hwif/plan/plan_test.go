package plan_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/plan"
)

func addr(s string) hwif.Addr {
	a, _ := hwif.AddrFrom(netip.MustParseAddr(s))
	return a
}

// masqueraded is a TCP flow through source NAT, from VLAN 10 to untagged.
func masqueraded() (flow.Entry, [2]flow.Route) {
	orig := flow.Tuple{Family: hwif.IPv4, Proto: hwif.ProtoTCP, Src: addr("10.0.0.1"), Dst: addr("192.0.2.1"), SrcPort: 4000, DstPort: 80}
	reply := orig.Reversed()
	reply.Dst, reply.DstPort = addr("198.51.100.1"), 61000
	lan, wan := hwif.MAC{2, 0, 0, 0, 1, 1}, hwif.MAC{2, 0, 0, 0, 1, 2}
	return flow.Entry{Orig: orig, Reply: reply}, [2]flow.Route{
		{In: 1, Out: 2, InVLAN: 10, InMAC: lan, SrcMAC: wan, DstMAC: hwif.MAC{2, 0, 0, 0, 2, 2}, MTU: 1500, InMTU: 1500},
		{In: 2, Out: 1, OutVLAN: 10, InMAC: wan, SrcMAC: lan, DstMAC: hwif.MAC{2, 0, 0, 0, 2, 1}, MTU: 1500, InMTU: 1500},
	}
}

func caps() hwif.Caps {
	return hwif.Caps{Driver: "test", Fields: hwif.FieldsOf(hwif.Fields()...), Actions: hwif.ActionsOf(hwif.ActionKinds()...), Guarded: true}
}

func TestCompile(t *testing.T) {
	entry, routes := masqueraded()
	c := caps()
	var pair plan.Pair
	if rs, text := plan.Compile(plan.Input{Entry: &entry, Routes: &routes, Caps: &c, Gen: 7}, &pair); rs != 0 {
		t.Fatalf("%v: %s", rs.List(), text)
	}
	want := []string{
		"port 1 dst_mac 02:00:00:00:01:01 vlan_id 10 eth_type ipv4 ip_proto tcp src_ip 10.0.0.1 dst_ip 192.0.2.1 src_port 4000 dst_port 80 ip_flags nofrag tcp_flags 0x10/0x17 " +
			"set eth src 02:00:00:00:01:02 set eth dst 02:00:00:00:02:02 dec ttl set ip src 198.51.100.1 set sport 61000 csum vlan pop mtu 1500 redirect 2",
		"port 2 dst_mac 02:00:00:00:01:02 eth_type ipv4 ip_proto tcp src_ip 192.0.2.1 dst_ip 198.51.100.1 src_port 80 dst_port 61000 ip_flags nofrag tcp_flags 0x10/0x17 " +
			"set eth src 02:00:00:00:01:01 set eth dst 02:00:00:00:02:01 dec ttl set ip dst 10.0.0.1 set dport 4000 csum vlan push id 10 mtu 1500 redirect 1",
	}
	for d := range pair {
		if got := pair[d].String(); got != want[d] {
			t.Errorf("%s:\n got %s\nwant %s", flow.Dir(d), got, want[d])
		}
		if pair[d].Cookie != hwif.NewCookie(7, uint8(d)) {
			t.Errorf("%s: cookie %s", flow.Dir(d), pair[d].Cookie)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	cases := []struct {
		name   string
		change func(*[2]flow.Route, *hwif.Caps)
		want   flow.Reason
		says   string
	}{
		{"no port", func(r *[2]flow.Route, _ *hwif.Caps) { r[0].Out = 0 }, flow.NoRoute, "orig"},
		{"back where it came from", func(r *[2]flow.Route, _ *hwif.Caps) { r[1].Out, r[1].OutVLAN = 2, 0 }, flow.RouteUnsupported, "redirect"},
		{"next hop multicast", func(r *[2]flow.Route, _ *hwif.Caps) { r[0].DstMAC = hwif.MAC{1, 0, 0x5e} }, flow.NeighbourUnresolved, "01:00:5e"},
		{"next hop zero", func(r *[2]flow.Route, _ *hwif.Caps) { r[1].DstMAC = hwif.MAC{} }, flow.NeighbourUnresolved, "reply"},
		{"no own MAC", func(r *[2]flow.Route, _ *hwif.Caps) { r[0].InMAC = hwif.MAC{} }, flow.RouteUnsupported, "own MAC"},
		{"VLAN id", func(r *[2]flow.Route, _ *hwif.Caps) { r[1].OutVLAN = 4095 }, flow.RouteUnsupported, "4095"},
		{"MTU unknown", func(r *[2]flow.Route, _ *hwif.Caps) { r[1].MTU = 0 }, flow.MTUMismatch, "MTU"},
		{"smaller MTU, unguarded", func(r *[2]flow.Route, c *hwif.Caps) { r[0].MTU, c.Guarded, c.GuardsTTL = 1400, false, true }, flow.MTUMismatch, "1400"},
		{"no end for TTL", func(_ *[2]flow.Route, c *hwif.Caps) { c.Guarded = false }, flow.ActionUnsupported, "TTL"},
		{"no flags match", func(_ *[2]flow.Route, c *hwif.Caps) { c.Fields = c.Fields.Without(hwif.FieldTCPFlags) }, flow.MatchUnsupported, "tcp_flags"},
		{"no TTL", func(_ *[2]flow.Route, c *hwif.Caps) { c.Actions = c.Actions.Without(hwif.ActDecTTL) }, flow.ActionUnsupported, "dec ttl"},
		{"no NAT", func(_ *[2]flow.Route, c *hwif.Caps) { c.Actions = c.Actions.Without(hwif.ActL4Src) }, flow.ActionUnsupported, "set l4 sport"},
	}
	for _, tc := range cases {
		entry, routes := masqueraded()
		c := caps()
		tc.change(&routes, &c)
		var pair plan.Pair
		rs, text := plan.Compile(plan.Input{Entry: &entry, Routes: &routes, Caps: &c, Gen: 1}, &pair)
		if rs != flow.Of(tc.want) || !strings.Contains(text, tc.says) {
			t.Errorf("%s: %v %q, want %s saying %q", tc.name, rs.List(), text, tc.want, tc.says)
		}
	}
	// A guarded device leaves long frames to the kernel, so a smaller MTU is fine.
	entry, routes := masqueraded()
	routes[0].MTU = 1400
	c := caps()
	var pair plan.Pair
	if rs, text := plan.Compile(plan.Input{Entry: &entry, Routes: &routes, Caps: &c, Gen: 1}, &pair); rs != 0 {
		t.Errorf("smaller MTU on a guarded device: %v %s", rs.List(), text)
	}
}

func BenchmarkCompile(b *testing.B) {
	entry, routes := masqueraded()
	c := caps()
	var pair plan.Pair
	b.ReportAllocs()
	for b.Loop() {
		plan.Compile(plan.Input{Entry: &entry, Routes: &routes, Caps: &c, Gen: 1}, &pair)
	}
}

// A device that is not guarded gets no MTU, and one that needs the exact TTL gets
// the one that was seen.
func TestCompileByCaps(t *testing.T) {
	entry, routes := masqueraded()
	c := caps()
	c.Guarded, c.GuardsTTL, c.ExactTTL = false, true, true
	routes[0].TTL, routes[1].TTL = 64, 57
	var pair plan.Pair
	if rs, text := plan.Compile(plan.Input{Entry: &entry, Routes: &routes, Caps: &c, Gen: 7}, &pair); rs != 0 {
		t.Fatalf("%v: %s", rs.List(), text)
	}
	for d, r := range pair {
		if r.Actions.MTU != 0 {
			t.Errorf("%s: MTU %d, the device is not guarded", flow.Dir(d), r.Actions.MTU)
		}
		if !r.Match.Fields.Has(hwif.FieldTTL) || r.Match.TTL != routes[d].TTL || r.Match.TTLMask != 0xff {
			t.Errorf("%s: TTL %d/%#x, want %d exactly", flow.Dir(d), r.Match.TTL, r.Match.TTLMask, routes[d].TTL)
		}
	}
	for ttl, want := range map[uint8]flow.Reason{0: flow.RouteUnobserved, 1: flow.RouteUnsupported} {
		routes[1].TTL = ttl
		if rs, text := plan.Compile(plan.Input{Entry: &entry, Routes: &routes, Caps: &c, Gen: 7}, &pair); rs != flow.Of(want) || text == "" {
			t.Errorf("TTL %d: %v %q, want %v", ttl, rs.List(), text, want)
		}
	}
}
