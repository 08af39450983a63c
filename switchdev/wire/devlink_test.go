package wire

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

func u64(typ uint16, v uint64) []byte { return Put(nil, typ, binary.NativeEndian.AppendUint64(nil, v)) }

func TestDev(t *testing.T) {
	entry := func(n uint32) []byte {
		return nest(unix.DEVLINK_ATTR_RELOAD_STATS_ENTRY, put(unix.DEVLINK_ATTR_RELOAD_STATS_LIMIT, 0), u32(unix.DEVLINK_ATTR_RELOAD_STATS_VALUE, n))
	}
	stats := func(typ uint16, n ...uint32) []byte {
		var entries [][]byte
		for _, v := range n {
			entries = append(entries, entry(v))
		}
		return nest(typ, nest(unix.DEVLINK_ATTR_RELOAD_ACTION_INFO, put(unix.DEVLINK_ATTR_RELOAD_ACTION, 1), nest(unix.DEVLINK_ATTR_RELOAD_ACTION_STATS, entries...)))
	}
	b := msg(handle(h0), put(unix.DEVLINK_ATTR_RELOAD_FAILED, 1),
		nest(unix.DEVLINK_ATTR_DEV_STATS, stats(unix.DEVLINK_ATTR_RELOAD_STATS, 2, 3), stats(unix.DEVLINK_ATTR_REMOTE_RELOAD_STATS, 10)))
	d, err := ParseDev(b)
	if err != nil || d != (Dev{h0, true, 15}) {
		t.Errorf("%+v %v", d, err)
	}
	if d, err = ParseDev(handle(h0)); err != nil || d != (Dev{Handle: h0}) {
		t.Errorf("%+v %v", d, err)
	}
	cuts(t, b, len(handle(h0)), func(b []byte) error { _, err := ParseDev(b); return err })
	_, err = ParseDev(str(unix.DEVLINK_ATTR_BUS_NAME, "pci"))
	wantError(t, "half a handle", err, "DEV_NAME")
	_, err = ParseDev(msg(handle(h0), nest(unix.DEVLINK_ATTR_DEV_STATS, nest(unix.DEVLINK_ATTR_RELOAD_STATS, u16(unix.DEVLINK_ATTR_RELOAD_STATS_VALUE, 1)))))
	wantError(t, "deep inside", err, "attribute 160")
}

func TestPort(t *testing.T) {
	vf := msg(handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 65537), u16(unix.DEVLINK_ATTR_PORT_TYPE, 2), u32(unix.DEVLINK_ATTR_PORT_NETDEV_IFINDEX, 12),
		str(unix.DEVLINK_ATTR_PORT_NETDEV_NAME, "vf1"), u16(unix.DEVLINK_ATTR_PORT_FLAVOUR, 4), u32(unix.DEVLINK_ATTR_PORT_CONTROLLER_NUMBER, 2),
		u16(unix.DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 1), u16(unix.DEVLINK_ATTR_PORT_PCI_VF_NUMBER, 3), put(unix.DEVLINK_ATTR_PORT_EXTERNAL, 1),
		nest(unix.DEVLINK_ATTR_PORT_FUNCTION, put(unix.DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, 2, 0, 0, 0, 0, 1)))
	sf := msg(handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 32768), u16(unix.DEVLINK_ATTR_PORT_FLAVOUR, 7), u16(unix.DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 0),
		u32(unix.DEVLINK_ATTR_PORT_PCI_SF_NUMBER, 70000), nest(unix.DEVLINK_ATTR_PORT_FUNCTION, put(unix.DEVLINK_PORT_FN_ATTR_STATE, 1), put(unix.DEVLINK_PORT_FN_ATTR_OPSTATE, 1)))
	for name, tc := range map[string]struct {
		b    []byte
		want Port
	}{
		"vf": {vf, Port{Handle: h0, Index: 65537, HasIndex: true, Ifindex: 12, Name: "vf1", Flavour: 4, HasFlavour: true, External: true, Controller: 2, PF: 1, VF: 3,
			FuncMAC: hwif.MAC{2, 0, 0, 0, 0, 1}}},
		"sf":       {sf, Port{Handle: h0, Index: 32768, HasIndex: true, Flavour: 7, HasFlavour: true, SF: 70000, State: 1, OpState: 1, HasState: true}},
		"uplink":   {msg(handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 0), u16(unix.DEVLINK_ATTR_PORT_FLAVOUR, 0), u32(unix.DEVLINK_ATTR_PORT_NUMBER, 1)), Port{Handle: h0, HasIndex: true, HasFlavour: true, Number: 1}},
		"PORT_DEL": {msg(handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 5)), Port{Handle: h0, Index: 5, HasIndex: true}},
	} {
		got, err := ParsePort(tc.b)
		if d := cmp.Diff(tc.want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
	cuts(t, vf, len(handle(h0))+8, func(b []byte) error { _, err := ParsePort(b); return err })
	_, err := ParsePort(handle(h0))
	wantError(t, "no index", err, "PORT_INDEX")
	_, err = ParsePort(msg(handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 0), u32(unix.DEVLINK_ATTR_PORT_FLAVOUR, 4)))
	wantError(t, "flavour of four bytes", err, "attribute 77")
	_, err = ParsePort(msg(u32(unix.DEVLINK_ATTR_PORT_INDEX, 0)))
	wantError(t, "no handle", err, "BUS_NAME")
}

func TestEswitch(t *testing.T) {
	e, err := ParseEswitch(msg(handle(h0), u16(unix.DEVLINK_ATTR_ESWITCH_MODE, 1), put(unix.DEVLINK_ATTR_ESWITCH_INLINE_MODE, 3), put(unix.DEVLINK_ATTR_ESWITCH_ENCAP_MODE, 1)))
	if err != nil || e != (Eswitch{h0, 1, 3, 1, true, true, true}) {
		t.Errorf("%+v %v", e, err)
	}
	if e, err = ParseEswitch(handle(h0)); err != nil || e.HasMode || e.HasInline || e.HasEncap {
		t.Errorf("a driver that says nothing: %+v %v", e, err)
	}
	_, err = ParseEswitch(msg(handle(h0), put(unix.DEVLINK_ATTR_ESWITCH_MODE, 1)))
	wantError(t, "mode of one byte", err, "attribute 25")
}

func TestInfo(t *testing.T) {
	v := func(typ uint16, name, value string) []byte {
		return nest(typ, str(unix.DEVLINK_ATTR_INFO_VERSION_NAME, name), str(unix.DEVLINK_ATTR_INFO_VERSION_VALUE, value))
	}
	b := msg(handle(h0), str(unix.DEVLINK_ATTR_INFO_DRIVER_NAME, "mlx5_core"), str(unix.DEVLINK_ATTR_INFO_SERIAL_NUMBER, "MT1"),
		v(unix.DEVLINK_ATTR_INFO_VERSION_FIXED, "board.id", "MT_0359"), v(unix.DEVLINK_ATTR_INFO_VERSION_RUNNING, "fw", "22.35"), v(unix.DEVLINK_ATTR_INFO_VERSION_RUNNING, "fw.version", "22.35"),
		v(unix.DEVLINK_ATTR_INFO_VERSION_STORED, "fw", "23"), nest(unix.DEVLINK_ATTR_INFO_VERSION_FIXED))
	i, err := ParseInfo(b)
	want := Info{h0, "mlx5_core", "MT1", map[string]string{"board.id": "MT_0359"}, map[string]string{"fw": "22.35", "fw.version": "22.35"}}
	if d := cmp.Diff(want, i); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	cuts(t, b, len(handle(h0)), func(b []byte) error { _, err := ParseInfo(b); return err })
}

func TestReporter(t *testing.T) {
	in := nest(unix.DEVLINK_ATTR_HEALTH_REPORTER, str(unix.DEVLINK_ATTR_HEALTH_REPORTER_NAME, "fw_fatal"), put(unix.DEVLINK_ATTR_HEALTH_REPORTER_STATE, 1),
		u64(unix.DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT, 3), u64(unix.DEVLINK_ATTR_HEALTH_REPORTER_RECOVER_COUNT, 2), u64(unix.DEVLINK_ATTR_HEALTH_REPORTER_GRACEFUL_PERIOD, 60000))
	h, r, err := ParseReporter(msg(handle(h0), in))
	if err != nil || h != h0 || r != (Reporter{Name: "fw_fatal", State: HealthError, Errors: 3, Recoveries: 2}) || r.Key() != "fw_fatal" {
		t.Errorf("%v %+v %v", h, r, err)
	}
	_, r, err = ParseReporter(msg(handle(h0), u32(unix.DEVLINK_ATTR_PORT_INDEX, 0), in))
	if err != nil || !r.OfPort || r.Key() != "fw_fatal of port 0" {
		t.Errorf("%+v %v", r, err)
	}
	cuts(t, msg(handle(h0), in), len(handle(h0))+len(in), func(b []byte) error { _, _, err := ParseReporter(b); return err })
	_, _, err = ParseReporter(handle(h0))
	wantError(t, "no reporter", err, "HEALTH_REPORTER_NAME")
	_, _, err = ParseReporter(msg(handle(h0), nest(unix.DEVLINK_ATTR_HEALTH_REPORTER, u32(unix.DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT, 1))))
	wantError(t, "count of four bytes", err, "attribute 117")
	for s, want := range map[Health]string{Healthy: "healthy", HealthError: "error", HealthUnknown: "unknown", 9: "unknown"} {
		if s.String() != want {
			t.Errorf("%d: %s", s, s)
		}
	}
}

func TestParam(t *testing.T) {
	param := func(typ byte, values ...[]byte) []byte {
		// The kernel sends the type before the values; order must not matter.
		return msg(handle(h0), nest(unix.DEVLINK_ATTR_PARAM, nest(unix.DEVLINK_ATTR_PARAM_VALUES_LIST, values...), str(unix.DEVLINK_ATTR_PARAM_NAME, "x"),
			put(unix.DEVLINK_ATTR_PARAM_GENERIC), put(unix.DEVLINK_ATTR_PARAM_TYPE, typ)))
	}
	value := func(mode byte, data ...[]byte) []byte {
		return nest(unix.DEVLINK_ATTR_PARAM_VALUE, append(data, put(unix.DEVLINK_ATTR_PARAM_VALUE_CMODE, mode))...)
	}
	const data = unix.DEVLINK_ATTR_PARAM_VALUE_DATA
	for name, tc := range map[string]struct {
		b    []byte
		want []ParamValue
	}{
		"u8":         {param(nlaU8, value(0, put(data, 7))), []ParamValue{{Runtime, 7, "7"}}},
		"u16":        {param(nlaU16, value(2, u16(data, 300))), []ParamValue{{Permanent, 300, "300"}}},
		"u32 twice":  {param(nlaU32, value(0, u32(data, 15)), value(1, u32(data, 1024))), []ParamValue{{Runtime, 15, "15"}, {DriverInit, 1024, "1024"}}},
		"u64":        {param(nlaU64, value(0, u64(data, 1<<40))), []ParamValue{{Runtime, 1 << 40, "1099511627776"}}},
		"string":     {param(nlaString, value(0, str(data, "smfs"))), []ParamValue{{Runtime, 0, "smfs"}}},
		"flag set":   {param(nlaFlag, value(0, put(data))), []ParamValue{{Runtime, 1, "1"}}},
		"flag unset": {param(nlaFlag, value(1)), []ParamValue{{DriverInit, 0, "0"}}},
		"no values":  {param(nlaU32), nil},
	} {
		h, p, err := ParseParam(tc.b)
		if d := cmp.Diff(Param{"x", true, tc.want}, p); d != "" || err != nil || h != h0 {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
	for name, b := range map[string][]byte{"unknown type": param(11, value(0, u32(data, 1))), "wrong length": param(nlaU8, value(0, u32(data, 1)))} {
		_, _, err := ParseParam(b)
		wantError(t, name, err, "attribute 86")
	}
	_, _, err := ParseParam(handle(h0))
	wantError(t, "no parameter", err, "PARAM_NAME")
	for m, want := range map[CMode]string{Runtime: "runtime", DriverInit: "driverinit", Permanent: "permanent", 9: "cmode 9"} {
		if m.String() != want {
			t.Errorf("%d: %s", m, m)
		}
	}
}

func TestFeature(t *testing.T) {
	hdr := nest(unix.ETHTOOL_A_FEATURES_HEADER, u32(unix.ETHTOOL_A_HEADER_DEV_INDEX, 7), str(unix.ETHTOOL_A_HEADER_DEV_NAME, "x"))
	bit := func(i uint32, name string, more ...[]byte) []byte {
		return nest(unix.ETHTOOL_A_BITSET_BITS_BIT, append([][]byte{u32(unix.ETHTOOL_A_BITSET_BIT_INDEX, i), str(unix.ETHTOOL_A_BITSET_BIT_NAME, name)}, more...)...)
	}
	set := put(unix.ETHTOOL_A_BITSET_BIT_VALUE)
	list := func(typ uint16, more ...[]byte) []byte {
		return nest(typ, put(unix.ETHTOOL_A_BITSET_NOMASK), u32(unix.ETHTOOL_A_BITSET_SIZE, 64), nest(unix.ETHTOOL_A_BITSET_BITS, more...))
	}
	mask := func(typ uint16, more ...[]byte) []byte {
		return nest(typ, u32(unix.ETHTOOL_A_BITSET_SIZE, 64), nest(unix.ETHTOOL_A_BITSET_BITS, more...))
	}
	named := msg(hdr, mask(unix.ETHTOOL_A_FEATURES_HW, bit(3, "tso", set), bit(40, "hw-tc-offload", set)),
		list(unix.ETHTOOL_A_FEATURES_WANTED, bit(40, "hw-tc-offload")), list(unix.ETHTOOL_A_FEATURES_ACTIVE, bit(3, "tso")), list(unix.ETHTOOL_A_FEATURES_NOCHANGE))
	f, err := ParseFeature(named, "hw-tc-offload", NoBit)
	if err != nil || f != (Feature{7, 40, true, true, false, false}) {
		t.Errorf("%+v %v", f, err)
	}
	f, err = ParseFeature(msg(hdr, mask(unix.ETHTOOL_A_FEATURES_HW, bit(40, "hw-tc-offload")), list(unix.ETHTOOL_A_FEATURES_NOCHANGE, bit(40, "hw-tc-offload"))), "hw-tc-offload", NoBit)
	if err != nil || f.HW || !f.NoChange || f.Bit != 40 {
		t.Errorf("not settable: %+v %v", f, err)
	}
	compact := func(typ uint16, words ...uint32) []byte {
		var v []byte
		for _, w := range words {
			v = ne.AppendUint32(v, w)
		}
		return nest(typ, u32(unix.ETHTOOL_A_BITSET_SIZE, 64), Put(nil, unix.ETHTOOL_A_BITSET_VALUE, v), Put(nil, unix.ETHTOOL_A_BITSET_MASK, v))
	}
	b := msg(hdr, compact(unix.ETHTOOL_A_FEATURES_HW, 0, 1<<8), compact(unix.ETHTOOL_A_FEATURES_ACTIVE, ^uint32(0), ^uint32(1<<8)), compact(unix.ETHTOOL_A_FEATURES_WANTED, 1<<8, 0), compact(unix.ETHTOOL_A_FEATURES_NOCHANGE, 1))
	f, err = ParseFeature(b, "hw-tc-offload", 40)
	if err != nil || f != (Feature{7, 40, true, false, false, false}) {
		t.Errorf("%+v %v", f, err)
	}
	if f, err = ParseFeature(b, "hw-tc-offload", 64); err != nil || f.HW || f.Active {
		t.Errorf("a bit beyond the end: %+v %v", f, err)
	}
	if f, err = ParseFeature(b, "hw-tc-offload", NoBit); err != nil || f.Bit != NoBit || f.HW {
		t.Errorf("a bit that nobody named: %+v %v", f, err)
	}
	_, err = ParseFeature(msg(hdr, nest(unix.ETHTOOL_A_FEATURES_HW, put(unix.ETHTOOL_A_BITSET_VALUE, 1, 2, 3))), "x", 1)
	wantError(t, "bitset of three bytes", err, "attribute 4")
	cuts(t, named, 0, func(b []byte) error { _, err := ParseFeature(b, "hw-tc-offload", NoBit); return err })
}
