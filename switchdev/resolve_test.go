package switchdev

import (
	"slices"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

// stackKernel has two cards with an uplink each (10 and 20), and above them what
// add says.
func stackKernel(t *testing.T, add map[hwif.Ifindex]klink) *kernel {
	k := newKernel(t)
	k.card(pf0, "a", 10, id8)
	k.card(pf1, "b", 20, id8)
	for i, l := range add {
		k.links[i] = l
	}
	return k
}

func vlanOn(name string, lower hwif.Ifindex, id hwif.VLAN, proto uint16) klink {
	return klink{name: name, kind: "vlan", lower: lower, data: vlanData(id, proto), mtu: 1500}
}

func bond(name string, mode BondMode, active hwif.Ifindex) klink {
	return klink{name: name, kind: "bond", data: bondData(uint8(mode), active), mtu: 1500}
}

func slaveOf(k *kernel, master hwif.Ifindex, kind string, backup byte, ports ...hwif.Ifindex) {
	for _, i := range ports {
		k.edit(i, func(l *klink) {
			l.master, l.slave = master, kind
			if kind == "bond" {
				l.slaveDat = slaveData(backup)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	const q, ad = 0x8100, 0x88a8
	for name, tc := range map[string]struct {
		add   map[hwif.Ifindex]klink
		more  func(k *kernel)
		of    hwif.Ifindex
		want  string // Stack.String
		codes []RefusalCode
		via   []hwif.Ifindex
	}{
		"a port":            {of: 10, want: "ap0: ap0"},
		"a representor":     {of: 12, want: "apf0vf1: apf0vf1"},
		"a VLAN":            {add: map[hwif.Ifindex]klink{30: vlanOn("v5", 10, 5, q)}, of: 30, want: "v5: ap0 vlan 5", via: []hwif.Ifindex{30}},
		"QinQ, outer first": {add: map[hwif.Ifindex]klink{30: vlanOn("s100", 10, 100, ad), 31: vlanOn("c5", 30, 5, q)}, of: 31, want: "c5: ap0 vlan 100 proto 0x88a8 vlan 5", via: []hwif.Ifindex{31, 30}},
		"a bond": {add: map[hwif.Ifindex]klink{30: bond("bond0", BondActiveBackup, 20)}, more: func(k *kernel) { slaveOf(k, 30, "bond", 0, 10, 20) },
			of: 30, want: "bond0: ap0 (backup), bp0; bond0 active-backup"},
		"a VLAN on a bond": {add: map[hwif.Ifindex]klink{30: bond("bond0", Bond8023AD, 0), 31: vlanOn("bond0.7", 30, 7, q)},
			more: func(k *kernel) { slaveOf(k, 30, "bond", 0, 10); slaveOf(k, 30, "bond", 1, 20) },
			of:   31, want: "bond0.7: ap0 vlan 7, bp0 vlan 7 (backup); bond0 802.3ad", via: []hwif.Ifindex{31, 30}},
		"a bond of VLANs": {add: map[hwif.Ifindex]klink{30: bond("bond0", BondXOR, 0), 31: func() klink { l := vlanOn("v1", 10, 1, q); l.master, l.slave = 30, "bond"; return l }()},
			of: 30, want: "bond0: ap0 vlan 1; bond0 balance-xor"},
		"a team": {add: map[hwif.Ifindex]klink{30: {name: "team0", kind: "team"}}, more: func(k *kernel) { slaveOf(k, 30, "team", 0, 10, 20) },
			of: 30, want: "team0: ap0, bp0; team0 team"},
		"half a bond": {add: map[hwif.Ifindex]klink{30: bond("bond0", BondXOR, 0), 31: {name: "dum", kind: "dummy", master: 30, slave: "bond"}},
			more: func(k *kernel) { slaveOf(k, 30, "bond", 0, 10) },
			of:   30, want: "bond0: ap0, dum (dum is of kind dummy, which has no port below it); bond0 balance-xor", codes: []RefusalCode{RefusedNot, RefusedVirtual}},
		"a bridge": {add: map[hwif.Ifindex]klink{30: {name: "br0", kind: "bridge"}}, more: func(k *kernel) { slaveOf(k, 30, "bridge", 0, 10, 11) },
			of: 30, want: "br0: ap0, apf0vf0"},
		"a bridge's port": {add: map[hwif.Ifindex]klink{30: {name: "br0", kind: "bridge"}}, more: func(k *kernel) { slaveOf(k, 30, "bridge", 0, 10, 11) },
			of: 11, want: "apf0vf0: apf0vf0"},
		"a macvlan on a VLAN": {add: map[hwif.Ifindex]klink{30: vlanOn("v5", 10, 5, q), 31: {name: "mv", kind: "macvlan", lower: 30}}, of: 31, want: "mv: ap0 vlan 5"},
		"a veth":              {add: map[hwif.Ifindex]klink{30: {name: "ve", kind: "veth", lower: 31, foreign: true}}, of: 30, codes: []RefusalCode{RefusedVeth}},
		"a tunnel":            {add: map[hwif.Ifindex]klink{30: {name: "vx", kind: "vxlan", lower: 10}}, of: 30, codes: []RefusalCode{RefusedTunnel}},
		"a VLAN on a tunnel":  {add: map[hwif.Ifindex]klink{30: {name: "vx", kind: "vxlan", lower: 10}, 31: vlanOn("v", 30, 2, q)}, of: 31, codes: []RefusalCode{RefusedTunnel}},
		"a dummy":             {add: map[hwif.Ifindex]klink{30: {name: "d", kind: "dummy"}}, of: 30, codes: []RefusalCode{RefusedVirtual}},
		"loopback":            {of: 1, codes: []RefusalCode{RefusedVirtual}},
		"a VRF":               {add: map[hwif.Ifindex]klink{30: {name: "red", kind: "vrf"}}, more: func(k *kernel) { slaveOf(k, 30, "vrf", 0, 10) }, of: 30, codes: []RefusalCode{RefusedVirtual}},
		"an ordinary NIC":     {add: map[hwif.Ifindex]klink{30: {name: "eth0"}}, of: 30, codes: []RefusalCode{RefusedNotPort}},
		"nothing":             {of: 99, codes: []RefusalCode{RefusedUnknown}},
		"no number":           {of: 0, codes: []RefusalCode{RefusedUnknown}},
		"an empty bond":       {add: map[hwif.Ifindex]klink{30: bond("bond0", BondXOR, 0)}, of: 30, codes: []RefusalCode{RefusedEmpty}},
		"an empty bridge":     {add: map[hwif.Ifindex]klink{30: {name: "br0", kind: "bridge"}}, of: 30, codes: []RefusalCode{RefusedEmpty}},
		"a VLAN from elsewhere": {add: map[hwif.Ifindex]klink{30: func() klink { l := vlanOn("v", 10, 2, q); l.foreign = true; return l }()},
			of: 30, codes: []RefusalCode{RefusedNetns}},
		"a VLAN on nothing": {add: map[hwif.Ifindex]klink{30: vlanOn("v", 98, 2, q)}, of: 30, codes: []RefusalCode{RefusedUnknown}},
		"a VLAN on itself":  {add: map[hwif.Ifindex]klink{30: vlanOn("v", 30, 2, q)}, of: 30, codes: []RefusalCode{RefusedLoop}},
		"VLANs in a circle": {add: map[hwif.Ifindex]klink{30: vlanOn("v", 31, 2, q), 31: vlanOn("w", 30, 3, q)}, of: 30, codes: []RefusalCode{RefusedLoop}},
		"a bond of its own VLAN": {add: map[hwif.Ifindex]klink{30: bond("bond0", BondXOR, 0), 31: func() klink { l := vlanOn("v", 30, 2, q); l.master = 30; return l }()},
			of: 30, codes: []RefusalCode{RefusedLoop}},
		"a bond in itself": {add: map[hwif.Ifindex]klink{30: func() klink { l := bond("bond0", BondXOR, 0); l.master = 30; return l }()},
			of: 30, codes: []RefusalCode{RefusedLoop}},
	} {
		t.Run(name, func(t *testing.T) {
			k := stackKernel(t, tc.add)
			if tc.more != nil {
				tc.more(k)
			}
			s := k.clean().Resolve(tc.of)
			if tc.want != "" && s.String() != tc.want {
				t.Errorf("%s, want %s", &s, tc.want)
			}
			var codes []RefusalCode
			for i := range s.Legs {
				codes = append(codes, s.Legs[i].Refused.Code)
				if (s.Legs[i].Port == nil) != (s.Legs[i].Refused.Code != RefusedNot) || s.Legs[i].Port == nil && s.Legs[i].Refused.Text == "" {
					t.Errorf("leg %v says nothing of why", &s.Legs[i])
				}
				if tc.via != nil && !slices.Equal(s.Legs[i].Via, tc.via) {
					t.Errorf("via %v, want %v", s.Legs[i].Via, tc.via)
				}
			}
			if len(s.Legs) == 0 {
				codes = append(codes, s.Refused.Code)
			}
			if tc.codes != nil && !slices.Equal(codes, tc.codes) {
				t.Errorf("refused %v, want %v: %s", codes, tc.codes, &s)
			}
			if tc.codes == nil && !s.OK() || tc.codes != nil && s.OK() {
				t.Errorf("OK is %v: %s", s.OK(), s.Why())
			}
		})
	}
}

func TestResolveKeeps(t *testing.T) {
	k := stackKernel(t, map[hwif.Ifindex]klink{30: bond("bond0", BondActiveBackup, 20), 31: {name: "br0", kind: "bridge"}, 32: {name: "red", kind: "vrf"}})
	slaveOf(k, 30, "bond", 0, 10, 20)
	slaveOf(k, 31, "bridge", 0, 30)
	slaveOf(k, 32, "vrf", 0, 31)
	inv := k.clean()
	s := inv.Resolve(31)
	if s.Bridge != 31 || s.Bond == nil || *s.Bond != (Bond{30, "bond0", "bond", BondActiveBackup, 20}) || len(s.Ports()) != 2 || !slices.Equal(s.Masters, []hwif.Ifindex{32}) {
		t.Errorf("%+v", s)
	}
	if s := inv.Resolve(10); !slices.Equal(s.Masters, []hwif.Ifindex{30, 31, 32}) || s.Bond != nil || s.Ports()[0].Master != 30 {
		t.Errorf("%+v", s)
	}
	if p, _ := inv.ByIfindex(20); s.Ports()[1] != p {
		t.Error("a stack's port is a copy")
	}
}

// TestResolveBounds: what no kernel lets stand must not keep us busy.
func TestResolveBounds(t *testing.T) {
	add := map[hwif.Ifindex]klink{}
	for i := range hwif.Ifindex(MaxDepth + 2) {
		add[100+i] = vlanOn("v", 101+i, 1, 0x8100)
	}
	add[100+MaxDepth+2] = klink{name: "eth9"}
	if s := stackKernel(t, add).clean().Resolve(100); s.Refused.Code != RefusedDepth {
		t.Errorf("%v", &s)
	}
	// Bridges, each with 20 VLANs on the next bridge: 20 to the power of 6 ways.
	add = map[hwif.Ifindex]klink{}
	for level := range hwif.Ifindex(6) {
		add[100+level] = klink{name: "br", kind: "bridge"}
		for n := range hwif.Ifindex(20) {
			l := vlanOn("v", 101+level, hwif.VLAN(n), 0x8100)
			l.master = 100 + level
			add[1000+level*20+n] = l
		}
	}
	add[106] = klink{name: "eth9"}
	s := stackKernel(t, add).clean().Resolve(100)
	if s.Refused.Code != RefusedDepth || len(s.Legs) != 0 || !strings.Contains(s.Why(), "4096") {
		t.Errorf("%d legs: %s", len(s.Legs), s.Why())
	}
}
