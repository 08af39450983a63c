package main

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

func testCourse(n int) *course {
	c := &course{n: n}
	c.in = hwif.Port{Ifindex: 5, Name: "vf0", MAC: hwif.MAC{2, 0, 0, 0, 0, 5}}
	c.out = hwif.Port{Ifindex: 6, Name: "p0", MAC: hwif.MAC{2, 0, 0, 0, 0, 6}}
	return c
}

// No two rules match the same frames or change them into the same.
func TestRulesDiffer(t *testing.T) {
	c := testCourse(portsEach + 20_000)
	matches, changes := map[hwif.Match]int{}, map[hwif.Actions]int{}
	for i := range c.n {
		r := c.rule(i)
		if k, twice := matches[r.Match]; twice {
			t.Fatalf("rules %d and %d match the same frames: %v", k, i, r)
		}
		if k, twice := changes[r.Actions]; twice {
			t.Fatalf("rules %d and %d make connections the same: %v", k, i, r)
		}
		matches[r.Match], changes[r.Actions] = i, i
		f := tc.Filter{Place: tc.Place{Ifindex: c.in.Ifindex, Prio: 1}, Handle: uint32(i + 1), Rule: r}
		if err := tc.Check(&f, &shape); err != nil {
			t.Fatal(err)
		}
		if r.Match.SrcPort < 1024 || r.Actions.SrcPort < 1024 || !r.Cookie.Ours() {
			t.Fatalf("rule %d: %v", i, r)
		}
	}
}

// Messages that are replayed are the rules, one each, and ask for nothing that the
// player does not wait for.
func TestScript(t *testing.T) {
	c := testCourse(130)
	s, err := newScript(c.filters(prioReplay), tc.Append, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.n {
		b := s.bytes[s.at[i]:s.at[i+1]]
		if n := int(binary.NativeEndian.Uint32(b)); n != len(b) {
			t.Fatalf("message %d is %d bytes long, and says %d", i, len(b), n)
		}
		if seq := binary.NativeEndian.Uint32(b[8:]); seq != uint32(i+1) {
			t.Fatalf("message %d has number %d", i, seq)
		}
		if flags := binary.NativeEndian.Uint16(b[6:]); flags != unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_EXCL {
			t.Fatalf("message %d has flags %#x", i, flags)
		}
		var f tc.Filter
		if ok, err := tc.Decode(b[16:], &shape, &f); !ok || err != nil || f.Rule != c.rule(i) || f.Prio != prioReplay || f.Handle != uint32(i+1) || f.Ifindex != c.in.Ifindex {
			t.Fatalf("message %d: %+v %v %v, want %v", i, f, ok, err, c.rule(i))
		}
	}
	dels, err := newScript(c.filters(prioReplay), tc.AppendDelete, unix.NLM_F_ECHO)
	if err != nil {
		t.Fatal(err)
	}
	if flags := binary.NativeEndian.Uint16(dels.bytes[dels.at[129]+6:]); flags != unix.NLM_F_REQUEST|unix.NLM_F_ECHO || !dels.echoes {
		t.Errorf("deletions have flags %#x", flags)
	}
}

// The same rule in others' words.
func TestWords(t *testing.T) {
	c := testCourse(1)
	for what, pair := range map[string][2]string{
		"tc add": {c.tcAdd(0, 7), "filter add dev vf0 ingress protocol ip pref 7 handle 0x1 flower skip_sw" +
			" dst_mac 02:00:00:00:00:05 ip_proto tcp src_ip 10.0.0.1 dst_ip 192.0.2.1 src_port 1024 dst_port 443 ip_flags nofrag tcp_flags 0x10/0x17" +
			" action pedit ex munge eth src set 02:00:00:00:00:06 munge eth dst set 02:00:00:00:ee:01 munge ip ttl add 0xff munge ip src set 198.51.100.1 munge tcp sport set 1024 pipe no_percpu" +
			" action mirred egress redirect dev p0 cookie 73686e74010000000000000000000001 no_percpu"},
		"tc del": {c.tcDel(0, 7), "filter del dev vf0 ingress protocol ip pref 7 handle 0x1 flower"},
		"ovs match": {c.ovsMatch(0), "eth_type(0x0800),ipv4(src=10.0.0.1,dst=192.0.2.1,proto=6,tos=0/0,ttl=64,frag=no)," +
			"tcp(src=1024,dst=443),tcp_flags(0x10/0x17)"},
		"ovs actions": {c.ovsActions(0), "set(eth(src=02:00:00:00:00:06,dst=02:00:00:00:ee:01)),set(ipv4(src=198.51.100.1,ttl=63)),set(tcp(src=1024))"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s:\n got %s\nwant %s", what, pair[0], pair[1])
		}
	}
}
