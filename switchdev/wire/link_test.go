package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

var h0 = Handle{"pci", "0000:03:00.0"}

// msg joins the parts of a message.
func msg(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func put(typ uint16, v ...byte) []byte { return Put(nil, typ, v) }

func nest(typ uint16, parts ...[]byte) []byte { return PutNest(nil, typ, msg(parts...)) }

func u32(typ uint16, v uint32) []byte { return PutU32(nil, typ, v) }

func u16(typ, v uint16) []byte { return PutU16(nil, typ, v) }

func str(typ uint16, s string) []byte { return PutString(nil, typ, s) }

func handle(h Handle) []byte { return PutHandle(nil, h) }

func ifinfo(i uint32, flags uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	ne.PutUint16(b[2:], unix.ARPHRD_ETHER)
	ne.PutUint32(b[4:], i)
	ne.PutUint32(b[8:], flags)
	return b
}

// wantError fails unless err is an *Error that names attr.
func wantError(t *testing.T, name string, err error, attr string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Msg == "" || e.Text == "" || !strings.Contains(e.Attr, attr) {
		t.Errorf("%s: %v, want an error about %s", name, err, attr)
	}
}

// cuts parses every beginning of b: each is an error or whole attributes, and
// none a panic.
func cuts(t *testing.T, b []byte, from int, parse func([]byte) error) {
	t.Helper()
	bad := 0
	for n := range len(b) {
		if err := parse(b[:n]); err != nil {
			bad++
		} else if n+3 < from { // padding may be missing
			t.Errorf("%d of %d bytes were taken for a message", n, len(b))
		}
	}
	if bad < len(b)/2 {
		t.Errorf("only %d of %d beginnings were refused", bad, len(b))
	}
	if err := parse(b); err != nil {
		t.Errorf("whole: %v", err)
	}
}

func TestHandle(t *testing.T) {
	for _, s := range []string{"pci/0000:03:00.0", "simnic/simnic0", "auxiliary/mlx5_core.sf.4"} {
		h, err := ParseHandle(s)
		if err != nil || h.String() != s {
			t.Errorf("%q: %v %v", s, h, err)
		}
	}
	for _, s := range []string{"", "pci", "/x", "pci/", "a/b/c", "a/b\x00", "a\x00/b"} {
		if h, err := ParseHandle(s); err == nil {
			t.Errorf("%q was taken for %v", s, h)
		}
	}
	if (Handle{}).String() != "" || h0.Compare(h0) != 0 || h0.Compare(Handle{"pci", "1"}) >= 0 || h0.Compare(Handle{"a", "z"}) <= 0 {
		t.Error("order")
	}
}

// TestRequests holds requests byte by byte, little endian as on every machine
// that this is tested on.
func TestRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"handle":   {PutHandle(nil, Handle{"simnic", "simnic0"}), "0b000100" + hex.EncodeToString([]byte("simnic\x00\x00")) + "0c000200" + hex.EncodeToString([]byte("simnic0\x00"))},
		"link":     {AppendGetLink(nil, 7), "0000000007000000" + "0000000000000000" + "08001d0008000000"},
		"features": {AppendGetFeatures(nil, 7, true), "14000180" + "0800010007000000" + "0800030001000000"},
		"offload on": {AppendSetFeature(nil, 7, "hw-tc", true), "14000180" + "0800010007000000" + "0800030002000000" +
			"1c000380" + "18000380" + "14000180" + "0a000200" + hex.EncodeToString([]byte("hw-tc\x00\x00\x00")) + "04000300"},
		"offload off": {AppendSetFeature(nil, 7, "hw-tc", false), "14000180" + "0800010007000000" + "0800030002000000" +
			"18000380" + "14000380" + "10000180" + "0a000200" + hex.EncodeToString([]byte("hw-tc\x00\x00\x00"))},
	} {
		if got := hex.EncodeToString(tc.got); got != tc.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, tc.want)
		}
	}
}

func TestLink(t *testing.T) {
	base := func(more ...[]byte) []byte {
		return msg(append([][]byte{ifinfo(7, unix.IFF_UP|unix.IFF_LOWER_UP), str(unix.IFLA_IFNAME, "x"), u32(unix.IFLA_MTU, 1500)}, more...)...)
	}
	want := func(f func(l *Link)) Link {
		l := Link{Index: 7, Name: "x", Type: 1, Flags: unix.IFF_UP | unix.IFF_LOWER_UP, MTU: 1500}
		f(&l)
		return l
	}
	kind := func(kind string, data ...[]byte) []byte {
		return nest(unix.IFLA_LINKINFO, nest(unix.IFLA_INFO_DATA, data...), str(unix.IFLA_INFO_KIND, kind)) // data before kind, too
	}
	for name, tc := range map[string]struct {
		b    []byte
		want Link
	}{
		"bare": {base(), want(func(*Link) {})},
		"representor": {base(put(unix.IFLA_ADDRESS, 2, 0, 0, 0, 0, 9), put(unix.IFLA_PHYS_SWITCH_ID, 0, 0x11, 0xff), str(unix.IFLA_PHYS_PORT_NAME, "pf0vf1"),
			str(unix.IFLA_PARENT_DEV_NAME, h0.Name), str(unix.IFLA_PARENT_DEV_BUS_NAME, h0.Bus), nest(unix.IFLA_DEVLINK_PORT, handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 65537))),
			want(func(l *Link) {
				l.MAC, l.SwitchID, l.PhysPortName = hwif.MAC{2, 0, 0, 0, 0, 9}, "0011ff", "pf0vf1"
				l.ParentBus, l.ParentDev, l.Devlink, l.DevlinkPort = h0.Bus, h0.Name, h0, 65537
			})},
		"half a devlink port": {base(nest(unix.IFLA_DEVLINK_PORT, handle(h0))), want(func(*Link) {})},
		"VLAN": {base(u32(unix.IFLA_LINK, 3), kind("vlan", u16(unix.IFLA_VLAN_ID, 4094), put(unix.IFLA_VLAN_PROTOCOL, 0x88, 0xa8), nest(unix.IFLA_VLAN_EGRESS_QOS, put(1, 0, 0, 0, 0, 1, 0, 0, 0)))),
			want(func(l *Link) { l.Lower, l.Kind, l.VLAN, l.VLANProto, l.EgressQoS = 3, "vlan", 4094, 0x88a8, true })},
		"in another namespace": {base(u32(unix.IFLA_LINK, 3), u32(unix.IFLA_LINK_NETNSID, 0)), want(func(l *Link) { l.Lower, l.LowerForeign = 3, true })},
		"bond":                 {base(kind("bond", put(unix.IFLA_BOND_MODE, 1), u32(unix.IFLA_BOND_ACTIVE_SLAVE, 5))), want(func(l *Link) { l.Kind, l.BondMode, l.BondActive = "bond", 1, 5 })},
		"slave": {base(u32(unix.IFLA_MASTER, 9), nest(unix.IFLA_LINKINFO, nest(unix.IFLA_INFO_SLAVE_DATA, put(unix.IFLA_BOND_SLAVE_STATE, 1)), str(unix.IFLA_INFO_SLAVE_KIND, "bond"))),
			want(func(l *Link) { l.Master, l.SlaveKind, l.SlaveBackup = 9, "bond", true })},
		"a bridge's attribute 1 is no VLAN": {base(kind("bridge", u32(1, 77))), want(func(l *Link) { l.Kind = "bridge" })},
		"features changed":                  {base(u32(unix.IFLA_EVENT, EventFeatures)), want(func(l *Link) { l.Event = 2 })},
		"last one counts":                   {base(str(unix.IFLA_IFNAME, "y")), want(func(l *Link) { l.Name = "y" })},
		"InfiniBand address":                {base(put(unix.IFLA_ADDRESS, make([]byte, 20)...)), want(func(*Link) {})},
		"longest switch id":                 {base(put(unix.IFLA_PHYS_SWITCH_ID, bytes.Repeat([]byte{0xab}, 32)...)), want(func(l *Link) { l.SwitchID = strings.Repeat("ab", 32) })},
		"unknown attributes":                {base(put(0x3fff, 1, 2, 3), put(200)), want(func(*Link) {})},
	} {
		got, ok, err := ParseLink(tc.b, false)
		if err != nil || !ok {
			t.Errorf("%s: %v %v", name, ok, err)
		} else if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	whole := msg(base(), kind("vlan", u16(unix.IFLA_VLAN_ID, 5)))
	cuts(t, whole, unix.SizeofIfInfomsg, func(b []byte) error { _, _, err := ParseLink(b, false); return err })
	for name, tc := range map[string]struct {
		b    []byte
		attr string
	}{
		"no header":        {make([]byte, 15), "ifinfomsg"},
		"no name":          {msg(ifinfo(7, 0), u32(unix.IFLA_MTU, 1)), "IFLA_IFNAME"},
		"no number":        {msg(ifinfo(0, 0), u32(unix.IFLA_MTU, 1)), "ifi_index"},
		"negative number":  {msg(ifinfo(1<<31, 0), u32(unix.IFLA_MTU, 1)), "ifi_index"},
		"MTU of two bytes": {msg(ifinfo(7, 0), u16(unix.IFLA_MTU, 1)), "attribute 4"},
		"huge switch id":   {base(put(unix.IFLA_PHYS_SWITCH_ID, make([]byte, 33)...)), "attribute 36"},
		"VLAN 4096":        {base(kind("vlan", u16(unix.IFLA_VLAN_ID, 4096))), "attribute 1"},
		"left over":        {base([]byte{1, 2}), "attribute"},
		"too long":         {base([]byte{200, 0, 3, 0}), "attribute 3"},
		"too short":        {base([]byte{3, 0, 3, 0}), "attribute 3"},
		"inside a nest":    {base(nest(unix.IFLA_LINKINFO, []byte{9, 0, 1, 0})), "attribute 1"},
		"bond mode":        {base(kind("bond", u32(unix.IFLA_BOND_MODE, 1))), "attribute 1"},
	} {
		_, ok, err := ParseLink(tc.b, false)
		wantError(t, name, err, tc.attr)
		if ok {
			t.Errorf("%s: taken", name)
		}
	}
	for name, b := range map[string][]byte{"a bridge's port": append([]byte{unix.AF_BRIDGE}, base()[1:]...), "a wireless event": ifinfo(7, 0)} {
		if _, ok, err := ParseLink(b, false); ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
	if l, ok, err := ParseLink(ifinfo(7, 0), true); !ok || err != nil || l.Index != 7 {
		t.Errorf("a deletion needs no more than the number: %v %v", ok, err)
	}
	l := Link{Flags: unix.IFF_UP}
	if l.Up() || !l.AdminUp() {
		t.Error("up without carrier")
	}
}
