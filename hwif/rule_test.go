package hwif_test

import (
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

// flowRule is a rule with every field and action of a routed flow in it.
func flowRule() hwif.Rule {
	return hwif.Rule{
		Cookie: hwif.NewCookie(7, 1),
		Match: hwif.Match{Fields: hwif.RoutedFlow | hwif.FieldsOf(hwif.FieldTCPFlags), InPort: 3,
			EthDst: hwif.MAC{2, 0, 0, 0, 0, 1}, VLAN: 100, Family: hwif.IPv4, Proto: hwif.ProtoTCP,
			Src: hwif.Addr{10, 0, 0, 1}, Dst: hwif.Addr{10, 0, 0, 2}, SrcPort: 4000, DstPort: 80, TCPFlagsMask: 7},
		Actions: hwif.Actions{Set: hwif.Routed | hwif.ActionsOf(hwif.ActIPSrc, hwif.ActL4Src, hwif.ActVLANPop, hwif.ActVLANPush),
			EthSrc: hwif.MAC{2, 0, 0, 0, 0, 2}, EthDst: hwif.MAC{2, 0, 0, 0, 0, 3}, IPSrc: hwif.Addr{192, 0, 2, 1}, SrcPort: 1024,
			VLAN: 200, OutPort: 4, MTU: 1500},
	}
}

func TestRuleString(t *testing.T) {
	six := flowRule()
	six.Match.Family, six.Match.VLAN = hwif.IPv6, 0
	six.Match.Src = hwif.Addr{0x20, 0x01, 0x0d, 0xb8, 15: 1}
	six.Match.Dst = hwif.Addr{0x20, 0x01, 0x0d, 0xb8, 15: 2}
	six.Actions.Set = hwif.Routed
	for want, r := range map[string]hwif.Rule{
		"port 3 dst_mac 02:00:00:00:00:01 vlan_id 100 eth_type ipv4 ip_proto tcp src_ip 10.0.0.1 dst_ip 10.0.0.2 " +
			"src_port 4000 dst_port 80 ip_flags nofrag tcp_flags 0x0/0x7 " +
			"set eth src 02:00:00:00:00:02 set eth dst 02:00:00:00:00:03 dec ttl set ip src 192.0.2.1 set sport 1024 csum " +
			"vlan pop vlan push id 200 mtu 1500 redirect 4": flowRule(),
		"port 3 dst_mac 02:00:00:00:00:01 eth_type ipv6 ip_proto tcp src_ip 2001:db8::1 dst_ip 2001:db8::2 " +
			"src_port 4000 dst_port 80 ip_flags nofrag tcp_flags 0x0/0x7 " +
			"set eth src 02:00:00:00:00:02 set eth dst 02:00:00:00:00:03 dec ttl csum mtu 1500 redirect 4": six,
		"port 1 eth_type ipv4 ip_ttl 0/0xfe trap": {
			Match: hwif.Match{Fields: hwif.FieldsOf(hwif.FieldInPort, hwif.FieldEthType, hwif.FieldTTL), InPort: 1,
				Family: hwif.IPv4, TTLMask: 0xfe},
			Actions: hwif.Actions{Set: hwif.ActionsOf(hwif.ActTrap)}},
	} {
		if got := r.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestCookie(t *testing.T) {
	c := hwif.NewCookie(0x0102030405060708, 1)
	if got, want := c.String(), "73686e74010100000102030405060708"; got != want {
		t.Errorf("cookie %s, want %s", got, want)
	}
	if !c.Ours() || c.Gen() != 0x0102030405060708 || c.Dir() != 1 {
		t.Errorf("ours %v gen %x dir %d", c.Ours(), c.Gen(), c.Dir())
	}
	if hwif.NewCookie(1, 0) == hwif.NewCookie(1, 1) || hwif.NewCookie(1, 0) == hwif.NewCookie(2, 0) {
		t.Error("two cookies are equal")
	}
	if (hwif.Cookie{}).Ours() {
		t.Error("the zero cookie is ours")
	}
	for i := range 8 { // the magic, the format, the direction, the reserved bytes
		bad := c
		bad[i] ^= 0x80
		if bad.Ours() {
			t.Errorf("a cookie with byte %d changed is ours", i)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	check := func(s string) {
		t.Helper()
		if s == "" || seen[s] {
			t.Errorf("name %q is empty or given twice", s)
		}
		seen[s] = true
	}
	for _, f := range hwif.Fields() {
		check(f.String())
	}
	for _, a := range hwif.ActionKinds() {
		check(a.String())
	}
	clear(seen)
	for _, k := range hwif.Kinds() {
		check(k.String())
	}
}
