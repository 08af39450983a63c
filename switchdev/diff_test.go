package switchdev

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// TestDiff changes one thing between two looks.
func TestDiff(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(k *kernel)
		want   []string // Event.String, shortened
	}{
		"nothing": {func(*kernel) {}, nil},
		"rename":  {func(k *kernel) { k.edit(12, func(l *klink) { l.name = "vf-one" }) }, []string{"port changed: vf-one (ifindex 12, vf 1 of pf 0, pci/0000:03:00.0/2): name"}},
		"carrier": {func(k *kernel) { k.edit(10, func(l *klink) { l.flags &^= unix.IFF_LOWER_UP }) }, []string{"port changed: ap0 (ifindex 10, uplink 0, pci/0000:03:00.0/65535): carrier"}},
		"down and smaller": {func(k *kernel) { k.edit(13, func(l *klink) { l.flags, l.mtu = 0, 1400 }) },
			[]string{"port changed: apf0sf88 (ifindex 13, sf 88 of pf 0, pci/0000:03:00.0/32768): carrier,admin,mtu"}},
		"MAC, master and offload": {func(k *kernel) {
			k.edit(13, func(l *klink) { l.mac[1], l.master, l.slave, l.offload = 9, 7, "vrf", TCOffloadOff })
		},
			[]string{"port changed: apf0sf88 (ifindex 13, sf 88 of pf 0, pci/0000:03:00.0/32768): mac,master,hw-tc-offload"}},
		"unplugged and plugged": {func(k *kernel) {
			k.links[55] = k.links[12]
			delete(k.links, 12)
			k.ports[2].ifindex = 55
		}, []string{"port vanished: apf0vf1 (ifindex 12,", "port appeared: apf0vf1 (ifindex 55,"}},
		"another port takes the interface": {func(k *kernel) {
			k.ports[2].index = 7
			k.edit(12, func(l *klink) { l.port.index = 7 })
		}, []string{"port vanished: apf0vf1 (ifindex 12, vf 1 of pf 0, pci/0000:03:00.0/2)", "port appeared: apf0vf1 (ifindex 12, vf 1 of pf 0, pci/0000:03:00.0/7)"}},
		"to legacy mode": {func(k *kernel) {
			k.devs[pf0].mode = 0
			k.ports = append(k.ports[:1:1], k.ports[4:]...)
			for _, i := range []hwif.Ifindex{11, 12, 13} {
				delete(k.links, i)
			}
		}, []string{"eswitch mode of pci/0000:03:00.0 changed: legacy, was switchdev", "port vanished: apf0vf0 ", "port vanished: apf0vf1 ", "port vanished: apf0sf88 "}},
		"a card removed": {func(k *kernel) {
			delete(k.devs, pf1)
			k.ports = k.ports[:4]
			for _, i := range []hwif.Ifindex{20, 21, 22, 23} {
				delete(k.links, i)
			}
		}, []string{"port vanished: bp0 ", "port vanished: bpf0vf0 ", "port vanished: bpf0vf1 ", "port vanished: bpf0sf88 ", "device vanished: pci/0000:03:00.1"}},
		"a card added": {func(k *kernel) {
			h := Handle{Bus: "pci", Name: "0000:04:00.0"}
			k.devs[h] = &kdev{driver: "ice"}
			k.ports = append(k.ports, kport{dev: h, ifindex: 40})
			k.links[40] = klink{name: "ice0", portName: "p0", mtu: 1500}
		}, []string{"device appeared: pci/0000:04:00.0", "port appeared: ice0 (ifindex 40, uplink 0, "}},
		"recovered": {func(k *kernel) {
			k.devs[pf0].reporters[0] = Reporter{Name: "fw", State: wire.Healthy, Errors: 1, Recoveries: 1}
		}, []string{"health reporter fw of pci/0000:03:00.0: healthy, 1 errors, 1 recoveries", "device pci/0000:03:00.0 was reset: health reporter fw recovered"}},
		"failed, not recovered": {func(k *kernel) {
			k.devs[pf0].reporters[0] = Reporter{Name: "fw", State: wire.HealthError, Errors: 1}
		}, []string{"health reporter fw of pci/0000:03:00.0: error, 1 errors, 0 recoveries"}},
		"a queue recovered": {func(k *kernel) { k.devs[pf0].reporters[1].Recoveries = 3 },
			[]string{"health reporter tx of port 0 of pci/0000:03:00.0: healthy, 0 errors, 3 recoveries"}},
		"a reporter appeared": {func(k *kernel) {
			k.devs[pf0].reporters = append(k.devs[pf0].reporters, Reporter{Name: "fw_fatal", Recoveries: 5})
		}, []string{"health reporter fw_fatal of pci/0000:03:00.0: unknown, 0 errors, 5 recoveries"}},
		"reloaded": {func(k *kernel) { k.devs[pf1].reloads++ }, []string{"device pci/0000:03:00.1 was reset: devlink reload"}},
		"a VLAN above": {func(k *kernel) { k.links[60] = vlanOn("v", 10, 4, 0x8100) },
			[]string{"interface 60 changed"}},
		"what lies above nothing": {func(k *kernel) {
			k.links[60] = klink{name: "veth9", kind: "veth"}
			k.links[61] = klink{name: "d", kind: "dummy"}
		}, nil},
		"the bond fails over": {func(k *kernel) {
			k.edit(30, func(l *klink) { l.data = bondData(1, 20) })
			k.edit(10, func(l *klink) { l.slaveDat = slaveData(1) })
			k.edit(20, func(l *klink) { l.slaveDat = slaveData(0) })
		}, []string{"interface 10 changed", "interface 20 changed", "interface 30 changed"}},
		"the bond goes": {func(k *kernel) {
			delete(k.links, 30)
			for _, i := range []hwif.Ifindex{10, 20} {
				k.edit(i, func(l *klink) { l.master, l.slave, l.slaveDat = 0, "", nil })
			}
		}, []string{"port changed: ap0 (ifindex 10, uplink 0, pci/0000:03:00.0/65535): master", "port changed: bp0 (ifindex 20, uplink 0, pci/0000:03:00.1/65535): master",
			"interface 30 changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := stackKernel(t, map[hwif.Ifindex]klink{30: bond("bond0", BondActiveBackup, 10)})
			slaveOf(k, 30, "bond", 0, 10)
			slaveOf(k, 30, "bond", 1, 20)
			was := k.clean()
			tc.change(k)
			var got []string
			for i, e := range diff(was, k.clean()) {
				s := e.String()
				if i < len(tc.want) && strings.HasPrefix(s, tc.want[i]) {
					s = tc.want[i]
				}
				got = append(got, s)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestChangeWords(t *testing.T) {
	all := Change(1<<len(changes) - 1)
	if ChangedNumbers != 1<<(len(changes)-1) || strings.Count(all.String(), ",") != len(changes)-1 {
		t.Errorf("%s", all)
	}
	for c, want := range map[Change]string{ChangedName: "name", ChangedTCOffload: "hw-tc-offload", ChangedNumbers: "numbers", ChangedCarrier | ChangedMaster: "carrier,master"} {
		if c.String() != want {
			t.Errorf("%s, want %s", c, want)
		}
	}
}
