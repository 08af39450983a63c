package rtnl

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ip(s string) hwif.Addr {
	a, _ := hwif.AddrFrom(netip.MustParseAddr(s))
	return a
}

// body takes the one message in b apart.
func body(t *testing.T, b []byte, typ uint16) []byte {
	t.Helper()
	n := 0
	var out []byte
	for m := range Messages(b) {
		if n++; m.Type != typ {
			t.Fatalf("type %d, want %d", m.Type, typ)
		}
		out = m.Body
	}
	if n != 1 {
		t.Fatalf("%d messages", n)
	}
	return out
}

// TestAskBytes holds one request byte by byte, little endian as on every
// machine that this is tested on.
func TestAskBytes(t *testing.T) {
	a := Ask{Family: hwif.IPv4, Src: ip("10.0.0.2"), HasSrc: true, Dst: ip("198.51.100.9"), SrcPort: 4000, DstPort: 80,
		Proto: 6, Iif: 3, Mark: 0x11, Tos: 8, FibMatch: true}
	want := strings.Join([]string{
		"54000000" + "1a00" + "0100" + "07000000" + "00000000", // 84 bytes, RTM_GETROUTE, REQUEST, seq 7
		"02" + "20" + "20" + "08" + "00000000" + "00200000",    // inet, /32, /32, tos, RTM_F_FIB_MATCH
		"0800" + "0100" + "c6336409",                           // RTA_DST
		"0800" + "0200" + "0a000002",                           // RTA_SRC
		"0800" + "0300" + "03000000",                           // RTA_IIF
		"0800" + "1000" + "11000000",                           // RTA_MARK
		"0500" + "1b00" + "06000000",                           // RTA_IP_PROTO
		"0600" + "1c00" + "0fa00000",                           // RTA_SPORT, big endian
		"0600" + "1d00" + "00500000",                           // RTA_DPORT
	}, "")
	if got := hex.EncodeToString(a.append(nil, 7)); got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}

// TestAskUID holds that a packet that is forwarded is root's: what IPv6 has to be told.
func TestAskUID(t *testing.T) {
	for _, tc := range []struct {
		a    Ask
		want bool
	}{
		{Ask{Family: hwif.IPv6, Dst: ip("2001:db8::1"), Iif: 3}, true},
		{Ask{Family: hwif.IPv6, Dst: ip("2001:db8::1")}, false},
		{Ask{Family: hwif.IPv4, Dst: ip("198.51.100.9"), Iif: 3}, false},
	} {
		got := false
		for typ, v := range attrs(body(t, tc.a.append(nil, 1), unix.RTM_GETROUTE)[rtmsgLen:]) {
			got = got || typ == unix.RTA_UID && len(v) == 4 && u32(v) == 0
		}
		if got != tc.want {
			t.Errorf("%+v: RTA_UID 0 is %v, want %v", tc.a, got, tc.want)
		}
	}
}

func TestNeighUse(t *testing.T) {
	n := Neigh{Family: hwif.IPv6, Dst: ip("fe80::2"), Ifindex: 4, State: unix.NUD_STALE, MAC: hwif.MAC{2},
		Flags: unix.NTF_EXT_LEARNED | unix.NTF_OFFLOADED, FlagsExt: extManaged | 1<<5}
	got, ok := ParseNeigh(body(t, appendNeighUse(nil, 1, &n, false), unix.RTM_NEWNEIGH))
	want := Neigh{Family: hwif.IPv6, Dst: n.Dst, Ifindex: 4, Flags: unix.NTF_USE | unix.NTF_EXT_LEARNED, FlagsExt: extManaged}
	if !ok || got != want {
		t.Errorf("%+v, want %+v: no state and no MAC, but the flags that must not be lost", got, want)
	}
	for m := range Messages(appendNeighUse(nil, 1, &n, true)) {
		if m.Flags&unix.NLM_F_CREATE == 0 {
			t.Error("no NLM_F_CREATE for an entry that is missing")
		}
	}
}

// nest wraps attributes.
func nest(typ uint16, parts ...[]byte) []byte {
	return put(nil, typ|unix.NLA_F_NESTED, bytes.Join(parts, nil))
}

func n32(v uint32) []byte { return ne.AppendUint32(nil, v) }

func rtmsg(f hwif.Family, dst byte) []byte {
	b := make([]byte, rtmsgLen)
	b[0], b[1], b[3], b[7] = AF(f), dst, 4, unix.RTN_UNICAST
	return b
}

func TestParseRoute(t *testing.T) {
	leg := func(oif uint32, attrs ...[]byte) []byte {
		a := bytes.Join(attrs, nil)
		b := ne.AppendUint16(nil, uint16(rtNexthopLen+len(a)))
		return append(append(append(b, 0, 0), n32(oif)...), a...)
	}
	gw := func(s string) []byte { a := ip(s); return put(nil, unix.RTA_GATEWAY, a[:4]) }
	six := ip("fe80::9")
	for name, tc := range map[string]struct {
		b    []byte
		want Route
		text string
	}{
		"plain": {bytes.Join([][]byte{rtmsg(hwif.IPv4, 24), put(nil, unix.RTA_DST, []byte{10, 1, 0, 0}), gw("10.0.0.2"), put32(nil, unix.RTA_OIF, 4), put32(nil, unix.RTA_TABLE, 1000)}, nil),
			Route{Family: hwif.IPv4, Dst: ip("10.1.0.0"), DstLen: 24, Tos: 4, Type: 1, Gateway: ip("10.0.0.2"), GwFamily: hwif.IPv4, Oif: 4, Table: 1000}, "10.1.0.0/24 via 10.0.0.2 dev 4"},
		"ipv6 gateway, mtu": {bytes.Join([][]byte{rtmsg(hwif.IPv4, 0), put(nil, rtaVia, append(ne.AppendUint16(nil, unix.AF_INET6), six[:]...)),
			nest(unix.RTA_METRICS, put32(nil, unix.RTAX_MTU, 1400), put32(nil, unix.RTAX_LOCK, 1<<unix.RTAX_MTU)), put32(nil, rtaNHID, 8)}, nil),
			Route{Family: hwif.IPv4, Tos: 4, Type: 1, Gateway: six, GwFamily: hwif.IPv6, MTU: 1400, Locked: true, NHID: 8}, "0.0.0.0/0 via fe80::9"},
		"multipath": {bytes.Join([][]byte{rtmsg(hwif.IPv4, 0), put(nil, unix.RTA_MULTIPATH, append(leg(3, gw("10.0.0.2")), leg(4, gw("10.0.0.3"), nest(unix.RTA_ENCAP))...))}, nil),
			Route{Family: hwif.IPv4, Tos: 4, Type: 1, Gateway: ip("10.0.0.2"), GwFamily: hwif.IPv4, Oif: 3, Legs: 2, Encap: true,
				Hops: []Hop{{Gateway: ip("10.0.0.2"), GwFamily: hwif.IPv4, Oif: 3}, {Gateway: ip("10.0.0.3"), GwFamily: hwif.IPv4, Oif: 4}}}, "0.0.0.0/0 over 2 nexthops"},
	} {
		got, ok := ParseRoute(tc.b)
		if !ok || !reflect.DeepEqual(got, tc.want) || got.String() != tc.text {
			t.Errorf("%s: %+v %q, want %+v %q", name, got, got.String(), tc.want, tc.text)
		}
	}
	if _, ok := ParseRoute(rtmsg(hwif.IPv4, 33)); ok {
		t.Error("a prefix of 33 bits was taken")
	}
}

func TestParseLink(t *testing.T) {
	hdr := make([]byte, unix.SizeofIfInfomsg)
	hdr[2] = 1
	ne.PutUint32(hdr[4:], 7)
	ne.PutUint32(hdr[8:], unix.IFF_UP|unix.IFF_LOWER_UP)
	conf := make([]byte, 16)
	ne.PutUint32(conf[8:], 1280)
	full := bytes.Join([][]byte{hdr, put(nil, unix.IFLA_IFNAME, []byte("a.5\x00")), put(nil, unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, 7}),
		put32(nil, unix.IFLA_MTU, 1496), put32(nil, unix.IFLA_LINK, 3), put32(nil, unix.IFLA_MASTER, 9),
		put32(nil, unix.IFLA_GROUP, 4),
		nest(unix.IFLA_LINKINFO, put(nil, unix.IFLA_INFO_KIND, []byte("vlan\x00")), put(nil, unix.IFLA_INFO_SLAVE_KIND, []byte("bridge\x00")),
			nest(unix.IFLA_INFO_DATA, put(nil, unix.IFLA_VLAN_ID, ne.AppendUint16(nil, 5)), put(nil, unix.IFLA_VLAN_PROTOCOL, []byte{0x81, 0}),
				nest(unix.IFLA_VLAN_EGRESS_QOS, make([]byte, 8)))),
		nest(unix.IFLA_AF_SPEC, nest(unix.AF_INET6, put(nil, unix.IFLA_INET6_CONF, conf)))}, nil)
	want := Link{Index: 7, Name: "a.5", Kind: "vlan", SlaveKind: "bridge", Type: 1, Flags: unix.IFF_UP | unix.IFF_LOWER_UP, MTU: 1496, MTU6: 1280,
		Parent: 3, Master: 9, Group: 4, VLAN: 5, VLANProto: 0x8100, EgressQoS: true, MAC: hwif.MAC{2, 0, 0, 0, 0, 7}}
	if got, ok := ParseLink(full, false); !ok || got != want || !got.Up() {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, ok := ParseLink(hdr, false); ok {
		t.Error("a message without IFLA_MTU was taken for the interface")
	}
	if l, ok := ParseLink(hdr, true); !ok || l.Index != 7 {
		t.Error("a deletion needs no more than the index")
	}
	l, _ := ParseLink(append(bytes.Clone(full), put(nil, unix.IFLA_QDISC, []byte("htb\x00"))...), false)
	if l.Qdisc != "htb" || l.Shaper != "htb" || l.Deep() {
		t.Errorf("htb at the root: %+v", l)
	}
	l, _ = ParseLink(append(bytes.Clone(full), put(nil, unix.IFLA_QDISC, []byte("mq\x00"))...), false)
	if l.Qdisc != "mq" || l.Shaper != "" || !l.Deep() {
		t.Errorf("mq at the root: %+v", l)
	}
	full[0] = unix.AF_BRIDGE
	if _, ok := ParseLink(full, true); ok {
		t.Error("a port leaving its bridge was taken for a deletion")
	}
}

// TestParseShaper holds which qdiscs hold back: by their kind, and fq by its maxrate.
func TestParseShaper(t *testing.T) {
	msg := func(parent uint32, kind string, options ...[]byte) []byte {
		b := make([]byte, tcmsgLen)
		ne.PutUint32(b[4:], 7)
		ne.PutUint32(b[12:], parent)
		return slices.Concat(b, put(nil, tcaKind, append([]byte(kind), 0)), nest(tcaOptions, options...))
	}
	for name, tc := range map[string]struct {
		b    []byte
		out  bool
		want string
	}{
		"root":           {msg(tcHRoot, "htb"), true, "htb"},
		"mq":             {msg(tcHRoot, "mq"), true, ""},
		"below mq":       {msg(0x10001, "tbf"), true, "tbf"},
		"below mq, 0":    {msg(1, "sfq"), true, "sfq"},
		"plain below mq": {msg(0x10002, "fq_codel"), true, ""},
		"fq":             {msg(tcHRoot, "fq", put32(nil, tcaFQFlowMaxRate, fqNoMaxRate)), true, ""},
		"fq, maxrate":    {msg(0x10001, "fq", put32(nil, 1, 9), put32(nil, tcaFQFlowMaxRate, 1000)), true, "fq"},
		"other option 7": {msg(tcHRoot, "fq_codel", put32(nil, tcaFQFlowMaxRate, 1000)), true, ""},
		"ingress":        {msg(tcHIngress, "clsact"), false, ""},
		"short":          {make([]byte, tcmsgLen-1), false, ""},
	} {
		i, out := QdiscOf(tc.b)
		j, kind := parseShaper(tc.b)
		if out != tc.out || kind != tc.want || i != j || out && i != 7 {
			t.Errorf("%s: of %d and %d, on the way out %v, %q, want %v, %q", name, i, j, out, kind, tc.out, tc.want)
		}
	}
}

func TestParseRule(t *testing.T) {
	hdr := make([]byte, 12)
	hdr[0] = unix.AF_INET
	for name, tc := range map[string]struct {
		attr []byte
		want Rule
	}{
		"plain":  {put32(nil, unix.FRA_PRIORITY, 5), Rule{Family: hwif.IPv4, Priority: 5}},
		"mark":   {put32(nil, unix.FRA_FWMARK, 5), Rule{Family: hwif.IPv4, Fwmark: true}},
		"mask":   {put32(nil, unix.FRA_FWMASK, 5), Rule{Family: hwif.IPv4, Fwmark: true}},
		"tunnel": {put(nil, unix.FRA_TUN_ID, make([]byte, 8)), Rule{Family: hwif.IPv4, TunID: true}},
		"dscp":   {put(nil, fraDSCP, []byte{4}), Rule{Family: hwif.IPv4, Tos: true}},
		"new":    {put(nil, 77, nil), Rule{Family: hwif.IPv4, Unknown: 77}},
	} {
		if got, ok := ParseRule(append(bytes.Clone(hdr), tc.attr...)); !ok || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	hdr[3] = 0x10
	if r, _ := ParseRule(hdr); !r.Tos {
		t.Error("the header's TOS was overlooked")
	}
}

// FuzzParse gives every parser any bytes; none may panic, and what a walk
// yields must lie inside what it was given.
func FuzzParse(f *testing.F) {
	a := Ask{Family: hwif.IPv6, HasSrc: true, Proto: 17, Iif: 1}
	f.Add(a.append(nil, 1))
	f.Add(appendNeighUse(nil, 1, &Neigh{Family: hwif.IPv4}, true))
	f.Add(appendGetLink(nil, 1, 1))
	f.Add(put(rtmsg(hwif.IPv4, 8), unix.RTA_MULTIPATH, []byte{8, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0}))
	f.Add(bytes.Repeat([]byte{0xff}, 200))
	f.Add(bytes.Repeat([]byte{4, 0}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for m := range Messages(b) {
			total += hdrLen + len(m.Body)
			parseAll(m.Body)
		}
		if total > len(b) {
			t.Fatalf("messages of %d bytes in %d", total, len(b))
		}
		parseAll(b)
	})
}

func parseAll(b []byte) {
	if r, ok := ParseRoute(b); ok {
		_ = r.String()
	}
	ParseLink(b, false)
	ParseLink(b, true)
	if n, ok := ParseNeigh(b); ok {
		_ = n.StateName()
	}
	ParseRule(b)
	parseShaper(b)
	ParseConf(b)
	ParseAddress(b)
	if p, ok := ParsePolicy(b); ok {
		p.Covers(hwif.IPv4, 6, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"))
	}
	parseDefault(b)
	errnoOf(b)
}

// TestConn asks the running kernel what needs no privilege.
func TestConn(t *testing.T) {
	before := fds(t)
	c, err := NewConn(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	asks := make([]Ask, 200)
	for i := range asks {
		asks[i] = Ask{Family: hwif.IPv4, Dst: hwif.Addr{127, 0, byte(i), 1}, Proto: 6, DstPort: 80}
		if i%3 == 1 {
			asks[i].Proto = 47 // the kernel knows no ports there
		}
	}
	out := make([]Answer, len(asks))
	for range 3 {
		if err := c.Lookup(asks, out); err != nil {
			t.Fatal(err)
		}
		for i, a := range out {
			switch {
			case i%3 == 1 && a.Errno != unix.EOPNOTSUPP:
				t.Fatalf("%d: %v, want EOPNOTSUPP", i, a.Errno)
			case i%3 != 1 && (a.Errno != 0 || a.Route.Type != unix.RTN_LOCAL || a.Route.Dst != asks[i].Dst):
				t.Fatalf("%d: %+v", i, a)
			}
		}
	}
	found := false
	if err := c.Links(func(l Link) { found = found || l.Index == 1 && l.Name == "lo" && l.MTU != 0 }); err != nil || !found {
		t.Errorf("lo is not listed: %v", err)
	}
	if l, err := c.Link(1); err != nil || l.Name != "lo" || l.Flags&unix.IFF_LOOPBACK == 0 {
		t.Errorf("link 1: %+v %v", l, err)
	}
	if _, err := c.Link(1 << 30); err == nil || !strings.Contains(err.Error(), "get link 1073741824") {
		t.Errorf("a link that is not there: %v", err)
	}
	rules := 0
	if err := c.Rules(hwif.IPv4, func(r Rule) { rules++ }); err != nil || rules < 3 {
		t.Errorf("%d rules: %v", rules, err)
	}
	confs := map[int32]bool{}
	if err := c.Confs(hwif.IPv4, func(v Conf) { confs[v.Ifindex] = v.Forwarding >= 0 && v.RPFilter >= 0 }); err != nil || !confs[ConfAll] || !confs[1] {
		t.Errorf("configuration %v: %v", confs, err)
	}
	c.Close()
	if after := fds(t); after != before {
		t.Errorf("%d file descriptors, %d before", after, before)
	}
}

// TestMonitorCloses holds that Close ends a Read that waits.
func TestMonitorCloses(t *testing.T) {
	m, err := NewMonitor(1<<16, Groups(true))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		for {
			if _, err := m.Read(nil); err != nil {
				done <- err
				return
			}
		}
	}()
	m.Close()
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("Read says %v", err)
	}
}

func fds(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}
