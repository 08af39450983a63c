package wire

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// fuzzed fails when an error does not name what is wrong.
func fuzzed(t *testing.T, err error) bool {
	var e *Error
	if err != nil && (!errors.As(err, &e) || e.Msg == "" || e.Attr == "" || e.Text == "") {
		t.Fatalf("error without a name: %#v", err)
	}
	return err == nil
}

// FuzzLink: no bytes make ParseLink panic, or give half an interface; and none
// of what it returns changes with the bytes it was given.
func FuzzLink(f *testing.F) {
	f.Add(msg(ifinfo(7, unix.IFF_UP), str(unix.IFLA_IFNAME, "x"), u32(unix.IFLA_MTU, 1500), u32(unix.IFLA_LINK, 3),
		nest(unix.IFLA_LINKINFO, str(unix.IFLA_INFO_KIND, "vlan"), nest(unix.IFLA_INFO_DATA, u16(unix.IFLA_VLAN_ID, 5), put(unix.IFLA_VLAN_PROTOCOL, 0x81, 0)))), false)
	f.Add(msg(ifinfo(8, 0), str(unix.IFLA_IFNAME, "bond0"), u32(unix.IFLA_MTU, 1500), put(unix.IFLA_PHYS_SWITCH_ID, 1, 2), nest(unix.IFLA_DEVLINK_PORT, handle(h0), u32(3, 1)),
		nest(unix.IFLA_LINKINFO, str(unix.IFLA_INFO_KIND, "bond"), nest(unix.IFLA_INFO_DATA, put(unix.IFLA_BOND_MODE, 1)), str(unix.IFLA_INFO_SLAVE_KIND, "bond"), nest(unix.IFLA_INFO_SLAVE_DATA, put(1, 1)))), false)
	f.Add(ifinfo(9, 0), true)
	f.Add([]byte{}, false)
	recorded(f, true, func(b []byte) { f.Add(b, false) })
	f.Fuzz(func(t *testing.T, b []byte, gone bool) {
		l, ok, err := ParseLink(b, gone)
		if !fuzzed(t, err) || !ok {
			if ok {
				t.Fatal("an error and an interface")
			}
			return
		}
		if l.Index == 0 || !gone && l.Name == "" || len(l.SwitchID) > 2*maxSwitchID || l.VLAN > 4095 || l.VLAN != 0 && l.Kind != "vlan" {
			t.Fatalf("half an interface: %+v", l)
		}
		again := l
		clear(b)
		if l != again {
			t.Fatal("it holds on to the bytes")
		}
	})
}

// FuzzDevlink is the same for every devlink and ethtool parser.
func FuzzDevlink(f *testing.F) {
	f.Add(msg(handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 1), u16(unix.DEVLINK_ATTR_PORT_FLAVOUR, 4), nest(unix.DEVLINK_ATTR_PORT_FUNCTION, put(1, 1, 2, 3, 4, 5, 6))))
	f.Add(msg(handle(h0), u16(unix.DEVLINK_ATTR_ESWITCH_MODE, 1), put(unix.DEVLINK_ATTR_ESWITCH_INLINE_MODE, 0)))
	f.Add(msg(handle(h0), nest(unix.DEVLINK_ATTR_HEALTH_REPORTER, str(unix.DEVLINK_ATTR_HEALTH_REPORTER_NAME, "fw"), u64(unix.DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT, 3))))
	f.Add(msg(handle(h0), nest(unix.DEVLINK_ATTR_INFO_VERSION_FIXED, str(unix.DEVLINK_ATTR_INFO_VERSION_NAME, "a"), str(unix.DEVLINK_ATTR_INFO_VERSION_VALUE, "b"))))
	f.Add(msg(handle(h0), nest(unix.DEVLINK_ATTR_PARAM, str(unix.DEVLINK_ATTR_PARAM_NAME, "a"), put(unix.DEVLINK_ATTR_PARAM_TYPE, 3),
		nest(unix.DEVLINK_ATTR_PARAM_VALUES_LIST, nest(unix.DEVLINK_ATTR_PARAM_VALUE, u32(unix.DEVLINK_ATTR_PARAM_VALUE_DATA, 1))))))
	f.Add(msg(handle(h0), nest(unix.DEVLINK_ATTR_DEV_STATS, nest(unix.DEVLINK_ATTR_RELOAD_STATS, u32(unix.DEVLINK_ATTR_RELOAD_STATS_VALUE, 1)))))
	f.Add(msg(nest(1, u32(1, 7)), nest(2, put(1), u32(2, 64), nest(3, nest(1, u32(1, 5), str(2, "hw-tc-offload"), put(3))))))
	recorded(f, false, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParsePort(b); fuzzed(t, err) && (!p.whole() || !p.HasIndex) {
			t.Fatalf("half a port: %+v", p)
		}
		if d, err := ParseDev(b); fuzzed(t, err) && !d.whole() {
			t.Fatalf("half a device: %+v", d)
		}
		if e, err := ParseEswitch(b); fuzzed(t, err) && (!e.whole() || !e.HasMode && e.Mode != 0) {
			t.Fatalf("half an eswitch: %+v", e)
		}
		if i, err := ParseInfo(b); fuzzed(t, err) && !i.whole() {
			t.Fatalf("half a description: %+v", i)
		}
		if h, r, err := ParseReporter(b); fuzzed(t, err) && (!h.whole() || r.Name == "" || !r.OfPort && r.Port != 0) {
			t.Fatalf("half a reporter: %+v", r)
		}
		if h, p, err := ParseParam(b); fuzzed(t, err) && (!h.whole() || p.Name == "") {
			t.Fatalf("half a parameter: %+v", p)
		}
		if v, err := ParseFeature(b, "hw-tc-offload", NoBit); fuzzed(t, err) && v.Bit < NoBit {
			t.Fatalf("bit %d", v.Bit)
		}
		_, err := ParseFeature(b, "hw-tc-offload", 40)
		fuzzed(t, err)
	})
}
