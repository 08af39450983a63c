package switchdev

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/switchdev/wire"
)

var bg = context.Background()

func TestSetEswitchMode(t *testing.T) {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	c := k.conn()
	for _, m := range []Mode{ModeLegacy, ModeSwitchdev, ModeSwitchdev} {
		if err := c.SetEswitchMode(bg, pf0, m); err != nil {
			t.Fatal(err)
		}
		if got, err := c.EswitchMode(bg, pf0); got != m || err != nil {
			t.Errorf("%v %v, want %v", got, err, m)
		}
	}
	for _, m := range []Mode{ModeUnknown, ModeNone, ModeInactive, ModeOther} {
		if err := c.SetEswitchMode(bg, pf0, m); err == nil || k.devs[pf0].mode != 1 {
			t.Errorf("%v was set: %v", m, err)
		}
	}
	if err := c.SetEswitchMode(bg, pf1, ModeLegacy); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "pci/0000:03:00.1") {
		t.Errorf("%v", err)
	}
}

// TestBlocked: the kernel's own words stay, and what mends it is added.
func TestBlocked(t *testing.T) {
	for _, tc := range []struct {
		refusal
		hint string
	}{
		{refusal{unix.EBUSY, "Can't change mode, E-Switch is busy"}, "remove the rules first"},
		{refusal{unix.EOPNOTSUPP, "Changing eswitch mode is allowed only if there is no VFs created"}, "sriov_numvfs"},
		{refusal{unix.EPERM, ""}, "CAP_NET_ADMIN"},
		{refusal{unix.EINVAL, "Failed setting eswitch to offloads"}, ""},
	} {
		k := newKernel(t)
		k.card(pf0, "a", 10, id8)
		k.refuse[cmd(devlinkFamily, unix.DEVLINK_CMD_ESWITCH_SET)] = tc.refusal
		err := k.conn().SetEswitchMode(bg, pf0, ModeLegacy)
		var e *Error
		if !errors.As(err, &e) || e.Op != "DEVLINK_CMD_ESWITCH_SET" || e.Device != pf0 || e.Errno != tc.errno || e.Text != tc.text || !errors.Is(err, tc.errno) {
			t.Errorf("%#v", err)
			continue
		}
		if !strings.Contains(e.Hint, tc.hint) || (tc.hint == "") != (e.Hint == "") || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%v", err)
		}
	}
}

func TestSetTCOffload(t *testing.T) {
	for _, old := range []bool{false, true} {
		k := newKernel(t)
		k.card(pf0, "a", 10, id8)
		k.edit(12, func(l *klink) { l.offload = TCOffloadOffFixed })
		c := k.conn()
		if old {
			c.ethtool = 0
		}
		for _, on := range []bool{false, true, true} {
			if err := c.SetTCOffload(bg, 11, on); err != nil {
				t.Fatal(err)
			}
			if got, err := c.TCOffload(bg, 11); got.On() != on || got.Fixed() || err != nil {
				t.Errorf("old %v: %v %v", old, got, err)
			}
		}
		if got, err := c.TCOffload(bg, 12); got != TCOffloadOffFixed || err != nil {
			t.Errorf("old %v: %v %v", old, got, err)
		}
		if err := c.SetTCOffload(bg, 12, false); err != nil {
			t.Errorf("off is off: %v", err)
		}
		err := c.SetTCOffload(bg, 12, true)
		var e *Error
		if !errors.Is(err, ErrNotApplied) || !errors.As(err, &e) || e.Port != "apf0vf1" || !strings.Contains(e.Hint, "[fixed]") {
			t.Errorf("old %v: %v", old, err)
		}
		if err := c.SetTCOffload(bg, 99, true); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "ifindex 99") {
			t.Errorf("old %v: %v", old, err)
		}
	}
}

func TestParam(t *testing.T) {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	p, err := k.conn().Param(bg, pf0, "fdb_large_groups")
	if err != nil || p.Name != "fdb_large_groups" || len(p.Values) != 1 || p.Values[0] != (wire.ParamValue{Mode: wire.DriverInit, Number: 15, Text: "15"}) {
		t.Errorf("%+v %v", p, err)
	}
	k.refuse[cmd(devlinkFamily, unix.DEVLINK_CMD_PARAM_GET)] = refusal{unix.EINVAL, ""}
	if _, err := k.conn().Param(bg, pf0, "nope"); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "nope") {
		t.Errorf("%v", err)
	}
}

func TestOffloadRefused(t *testing.T) {
	for o, want := range map[TCOffload]string{TCOffloadOn: "", TCOffloadOnFixed: "", TCOffloadOff: "ethtool -K x hw-tc-offload on",
		TCOffloadOffFixed: "[fixed]", TCOffloadUnknown: "does not say"} {
		p := Port{Name: "x", Ifindex: 3, TCOffload: o}
		if got := p.OffloadRefused(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%v: %q", o, got)
		}
	}
	if p := (Port{}); !strings.Contains(p.OffloadRefused(), "namespace") {
		t.Errorf("%q", p.OffloadRefused())
	}
}
