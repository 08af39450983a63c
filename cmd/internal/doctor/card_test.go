package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/hwif"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/switchdev/wire"
	"github.com/shunt-offload/shunt/tc"
)

// rack is a host with one card in it: an uplink p0 and the representors of two VFs,
// all well, until a test breaks one thing.
type rack struct {
	*host
	dev *switchdev.Device
	s   *survey
}

func newRack(t *testing.T, kernel string) *rack {
	t.Helper()
	h := fake(t, nil)
	h.opts = Options{Driver: card.Auto, Ports: []string{"p0", "vf0", "vf1"}}
	r := &rack{host: h}
	r.dev = newCard(kernel, 0)
	r.s = &survey{devices: []switchdev.Device{*r.dev}}
	for i := range r.dev.Ports {
		r.s.ports = append(r.s.ports, portOf(r.dev, i))
	}
	h.take = func(context.Context, []string) *survey { return r.s }
	return r
}

// newCard makes the n-th card of a kernel driver; its interfaces are 10 n + 1 and
// following.
func newCard(kernel string, n int) *switchdev.Device {
	h := switchdev.Handle{Bus: "pci", Name: "0000:03:00." + string(rune('0'+n))}
	d := &switchdev.Device{Handle: h, Driver: kernel, Mode: switchdev.ModeSwitchdev, SwitchID: "aabb", Firmware: "22.35"}
	for i, p := range []switchdev.Port{{Name: "p0", Kind: hwif.PortUplink}, {Name: "vf0", Kind: hwif.PortVF}, {Name: "vf1", Kind: hwif.PortVF, VF: 1}} {
		p.Device, p.Ifindex, p.Index, p.SwitchID = h, hwif.Ifindex(10*n+i+1), uint32(i), "aabb"
		p.MTU, p.Up, p.AdminUp, p.TCOffload = 1500, true, true, switchdev.TCOffloadOn
		if n > 0 {
			p.Name += "b"
		}
		d.Ports = append(d.Ports, p)
	}
	return d
}

func portOf(d *switchdev.Device, i int) portLook {
	p := &d.Ports[i]
	return portLook{
		Port: card.Port{Name: p.Name, Link: switchdev.Link{Index: p.Ifindex, Name: p.Name}, Port: p, Dev: d,
			Stack: switchdev.Stack{Name: p.Name, Legs: []switchdev.Leg{{Ifindex: p.Ifindex, Name: p.Name, Port: p}}}},
		qdisc: tc.Clsact{Kind: "clsact"},
	}
}

// over makes an interface that lies over others.
func (r *rack) over(name, kind string, ports ...int) {
	st := switchdev.Stack{Name: name}
	for _, i := range ports {
		st.Legs = append(st.Legs, switchdev.Leg{Name: r.dev.Ports[i].Name, Port: &r.dev.Ports[i]})
	}
	if kind == "bond" {
		st.Bond = &switchdev.Bond{Name: name, Kind: kind}
	}
	r.s.ports = append(r.s.ports, portLook{Port: card.Port{Name: name, Link: switchdev.Link{Index: 99, Name: name, Kind: kind}, Stack: st}})
}

// among looks for one finding of that name that says so.
func among(t *testing.T, fs []Finding, name string, level Level, text, mend string) {
	t.Helper()
	var got []string
	for _, f := range fs {
		if f.Name != name {
			continue
		}
		if f.Level == level && strings.Contains(f.Text, text) && (mend == "") == (f.Mend == "") && strings.Contains(f.Mend, mend) {
			return
		}
		got = append(got, f.Level.String()+" "+f.Text+" mend: "+f.Mend)
	}
	t.Errorf("no %s %s with %q, mend %q, among:\n%s", level, name, text, mend, strings.Join(got, "\n"))
}

// TestCardFindings breaks one thing of a card at a time.
func TestCardFindings(t *testing.T) {
	for name, tc := range map[string]struct {
		kernel     string
		broken     func(r *rack)
		finding    string
		level      Level
		text, mend string
	}{
		"xdp on a card": {"mlx5_core", func(r *rack) { r.opts.Driver = "xdp" }, "hardware", OK, "p0, vf0, vf1: of a card that driver mlx5 takes", ""},
		"card":          {"mlx5_core", nil, "card", OK, "pci/0000:03:00.0 is a card of kernel driver mlx5_core, firmware 22.35: driver mlx5", ""},
		"card of another driver": {"mlx5_core", func(r *rack) { r.opts.Driver = "ice" }, "card", Fail, "its driver is mlx5, and ice was asked for",
			"sudo shuntctl doctor --nic mlx5 --ports p0,vf0,vf1"},
		"ice":          {"ice", nil, "card", Warn, "rewrites no header: routed flows stay in software", ""},
		"nfp":          {"nfp", nil, "card", Warn, "match one TTL", ""},
		"bnxt":         {"bnxt_en", nil, "card", Fail, "ignores TCP flags", "--nic xdp --ports p0,vf0,vf1"},
		"unknown card": {"fancy", nil, "card", Fail, "no driver of ours knows it", "--nic xdp"},
		"no cards": {"mlx5_core", func(r *rack) { r.s.devices, r.s.ports, r.opts.Ports = nil, nil, nil }, "ports", Fail, "devlink knows no card",
			"--nic xdp"},
		"no ports named": {"mlx5_core", func(r *rack) { r.opts.Ports = nil }, "ports", Warn, "every port of every card", "--nic auto --ports p0,vf0"},
		"no answer":      {"mlx5_core", func(r *rack) { r.s.err = unix.EPERM }, "card", Fail, "operation not permitted", "sudo shuntctl doctor"},
		"health": {"mlx5_core", func(r *rack) { r.dev.Health = []wire.Reporter{{Name: "fw_fatal", State: wire.HealthError}} }, "card_health", Warn,
			"fw_fatal is in error", "sudo devlink health recover pci/0000:03:00.0 reporter fw_fatal"},
		"half a picture": {"mlx5_core", func(r *rack) { r.s.problems = []error{errors.New("two claim p0")} }, "card", Warn, "two claim p0", ""},

		"switchdev": {"mlx5_core", nil, "eswitch", OK, "is in switchdev mode", ""},
		"legacy mlx5": {"mlx5_core", func(r *rack) { r.dev.Mode = switchdev.ModeLegacy }, "eswitch", Warn, "hairpin",
			"sudo devlink dev eswitch set pci/0000:03:00.0 mode switchdev"},
		"legacy ice": {"ice", func(r *rack) { r.dev.Mode = switchdev.ModeLegacy }, "eswitch", Fail, "legacy",
			"echo 0 | sudo tee /sys/class/net/p0/device/sriov_numvfs && sudo devlink dev eswitch set pci/0000:03:00.0 mode switchdev"},
		"a VF's own device": {"mlx5_core", func(r *rack) { r.dev.Mode = switchdev.ModeNone }, "eswitch", Fail, "has no eswitch", "devlink port"},
		"mode unknown":      {"mlx5_core", func(r *rack) { r.dev.Mode = switchdev.ModeUnknown }, "eswitch", Warn, "does not say", "eswitch show"},
		"inactive":          {"mlx5_core", func(r *rack) { r.dev.Mode = switchdev.ModeInactive }, "eswitch", Fail, "switchdev_inactive", "mode switchdev"},
		"no VFs": {"mlx5_core", func(r *rack) { r.dev.Ports = r.dev.Ports[:1]; r.s.ports = r.s.ports[:1] }, "representors", Warn, "no representor",
			"echo 2 | sudo tee /sys/class/net/p0/device/sriov_numvfs"},

		"port": {"mlx5_core", nil, "port", OK, "vf1 (ifindex 3, vf 1 of pf 0, pci/0000:03:00.0/2) is up, MTU 1500", ""},
		"port is missing": {"mlx5_core", func(r *rack) { r.s.ports = append(r.s.ports, portLook{Port: card.Port{Name: "p9"}}) }, "port", Fail,
			"p9 is not there", "ip -br link"},
		"port is down":       {"mlx5_core", func(r *rack) { p := &r.dev.Ports[1]; p.Up, p.AdminUp = false, false }, "port", Warn, "is down", "ip link set dev vf0 up"},
		"port has no cable":  {"mlx5_core", func(r *rack) { r.dev.Ports[0].Up = false }, "port", Warn, "no carrier", "cable"},
		"VLAN over a port":   {"mlx5_core", func(r *rack) { r.over("p0.7", "vlan", 0) }, "port", Fail, "p0.7 is a vlan on p0", "--ports p0"},
		"bond over ports":    {"mlx5_core", func(r *rack) { r.over("bond0", "bond", 0, 1) }, "port", Fail, "bond0 is a bond of p0, vf0", "--ports p0,vf0"},
		"ordinary interface": {"mlx5_core", func(r *rack) { r.over("eth0", "") }, "port", Fail, "eth0 is no port of a card", "--nic xdp"},
		"member of a bond": {"mlx5_core", func(r *rack) { r.s.ports[0].master = switchdev.Link{Index: 9, Name: "bond0", Kind: "bond"} }, "port_master", Warn,
			"lag_unsupported", "ip link set dev p0 nomaster"},
		"member of a bridge": {"mlx5_core", func(r *rack) { r.s.ports[1].master = switchdev.Link{Index: 9, Name: "br0", Kind: "bridge"} }, "port_master", Warn,
			"vf0 is a port of bridge br0", "nomaster"},
		"member of a VRF": {"mlx5_core", func(r *rack) { r.s.ports[1].master = switchdev.Link{Index: 9, Name: "red", Kind: "vrf"} }, "port_master", Warn,
			"vf0 belongs to red (vrf)", "nomaster"},
		"member of OVS": {"mlx5_core", func(r *rack) { r.s.ports[1].master = switchdev.Link{Index: 9, Name: "ovs-system", Kind: "openvswitch"} }, "port_master", Fail,
			"belongs to Open vSwitch", "ovs-vsctl del-port vf0"},

		"offload on":      {"mlx5_core", nil, "hw_tc_offload", OK, "on for p0, vf0, vf1", ""},
		"offload off":     {"ice", func(r *rack) { r.dev.Ports[1].TCOffload = switchdev.TCOffloadOff }, "hw_tc_offload", Fail, "vf0 has", "ethtool -K vf0 hw-tc-offload on"},
		"offload fixed":   {"mlx5_core", func(r *rack) { r.dev.Ports[1].TCOffload = switchdev.TCOffloadOffFixed }, "hw_tc_offload", Fail, "off [fixed]", "kernel_config"},
		"offload unknown": {"mlx5_core", func(r *rack) { r.dev.Ports[1].TCOffload = switchdev.TCOffloadUnknown }, "hw_tc_offload", Warn, "vf0", "ethtool -k vf0"},

		"lldp off": {"ice", func(r *rack) { r.privFlags = flags(lldpFlag, false) }, "fw_lldp_agent", OK, "p0", ""},
		"lldp on": {"ice", func(r *rack) { r.privFlags = flags(lldpFlag, true) }, "fw_lldp_agent", Fail, "EINVAL",
			"sudo ethtool --set-priv-flags p0 fw-lldp-agent off"},
		"lldp unknown": {"ice", nil, "fw_lldp_agent", Warn, "does not say", "--show-priv-flags p0"},

		"pair": {"mlx5_core", nil, "pairs", OK, "p0 → vf0", ""},
		"two uplinks": {"mlx5_core", func(r *rack) { r.dev.Ports[1].Kind = hwif.PortUplink }, "pairs", Warn, "p0 → vf0, vf0 → p0: devices are not the same uplink",
			"over a representor"},
		"two uplinks alone": {"mlx5_core", func(r *rack) { r.dev.Ports[1].Kind = hwif.PortUplink; r.s.ports = r.s.ports[:2] }, "pairs", Fail, "not the same uplink",
			"devlink port"},
		"two functions of ice": {"ice", func(r *rack) { r.s.ports = append(r.s.ports, portOf(newCard("ice", 1), 1)) }, "pairs", Warn,
			"different eswitches (pci/0000:03:00.0, pci/0000:03:00.1), although", "over a representor"},
		"two cards": {"mlx5_core", func(r *rack) {
			d := newCard("mlx5_core", 1)
			d.SwitchID = "cc"
			r.s.ports = append(r.s.ports, portOf(d, 1))
		}, "pairs", Warn,
			"different cards (switch aabb and cc)", "over a representor"},
		"two makes": {"mlx5_core", func(r *rack) { r.s.ports = append(r.s.ports, portOf(newCard("ice", 1), 1)) }, "pairs", Warn,
			"ports of different cards (pci/0000:03:00.0, pci/0000:03:00.1)", "over a representor"},
		"two modes": {"mlx5_core", func(r *rack) {
			d := newCard("mlx5_core", 1)
			d.Mode = switchdev.ModeLegacy
			r.s.ports = append(r.s.ports, portOf(d, 1))
		},
			"pairs", Warn, "in mode switchdev, that of vf0b in legacy", "over a representor"},
		"one port": {"mlx5_core", func(r *rack) { r.s.ports = r.s.ports[:1] }, "pairs", Warn, "one port is named", "--ports p0,vf0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRack(t, tc.kernel)
			if tc.broken != nil {
				tc.broken(r)
			}
			r.s.devices = nil // as they are now
			if r.s.ports != nil {
				r.s.devices = []switchdev.Device{*r.dev}
			}
			among(t, run(t.Context(), r.host), tc.finding, tc.level, tc.text, tc.mend)
		})
	}
}

func flags(name string, on bool) func(string) (map[string]bool, error) {
	return func(string) (map[string]bool, error) { return map[string]bool{name: on}, nil }
}

// TestFilterFindings is about what hangs at the ports, and who put it there.
func TestFilterFindings(t *testing.T) {
	served := func(ports ...string) func(context.Context) ([]*pb.Device, error) {
		d := &pb.Device{Driver: "mlx5"}
		for _, p := range ports {
			d.Ports = append(d.Ports, &pb.Port{Name: p})
		}
		return func(context.Context) ([]*pb.Device, error) { return []*pb.Device{d}, nil }
	}
	for name, c := range map[string]struct {
		broken     func(r *rack)
		finding    string
		level      Level
		text, mend string
	}{
		"clsact there":      {nil, "clsact", OK, "there on p0, vf0, vf1", ""},
		"clsact to be made": {func(r *rack) { r.s.ports[0].qdisc = tc.Clsact{} }, "clsact", OK, "there on vf0, vf1; shuntd makes it on p0", ""},
		"no clsact yet": {func(r *rack) {
			for i := range r.s.ports {
				r.s.ports[i].qdisc = tc.Clsact{}
			}
		}, "clsact", OK, "not there yet on p0, vf0, vf1", ""},
		"clsact lost": {func(r *rack) { r.s.ports[0].qdisc, r.opts.Devices = tc.Clsact{}, served("p0", "vf0") }, "clsact", Fail, "p0 has lost its clsact qdisc while shuntd runs",
			"tc qdisc del dev p0 clsact"},
		"not the daemon's port": {func(r *rack) { r.s.ports[1].qdisc, r.opts.Devices = tc.Clsact{}, served("p0") }, "clsact", OK, "shuntd makes it on vf0", ""},
		"shared block":          {func(r *rack) { r.s.ports[1].qdisc.Block = 22 }, "clsact", Fail, "vf0 has the ingress of shared block 22", "tc qdisc del dev vf0 clsact"},

		"nobody else": {func(r *rack) {
			r.s.ports[0].classes = []classifier{{prio: 11, kind: "flower", filters: 7, ours: 7, skipSW: 7}}
		}, "filters", OK, "nobody else", ""},
		"at our pref": {func(r *rack) { r.s.ports[0].classes = []classifier{{prio: 11, kind: "matchall", filters: 1}} }, "filters", Fail,
			"p0 has 1 filter (matchall) at pref 11 that shunt did not make: these prefs (10 to 16) are shunt's", "tc filter del dev p0 ingress pref 11"},
		"before us": {func(r *rack) { r.s.ports[0].classes = []classifier{{prio: 2, kind: "flower", filters: 3, skipSW: 3}} }, "filters", Warn,
			"p0 has 3 filters (flower) at pref 2 that shunt did not make: they come before shunt's", "tc -s filter show dev p0 ingress pref 2"},
		"in software": {func(r *rack) { r.s.ports[0].classes = []classifier{{prio: 99, kind: "bpf", filters: 1}} }, "filters", Warn, "classified in software", "tc -s"},
		"OVS": {func(r *rack) {
			r.s.ports[0].classes = []classifier{{prio: 3, kind: "flower", filters: 4, skipSW: 4, cookies: 4}}
		}, "filters", Warn,
			"as Open vSwitch's offload makes them", "hw-offload=false"},
		"another chain": {func(r *rack) {
			r.s.ports[0].classes = []classifier{{chain: 5, prio: 11, kind: "flower", filters: 1, skipSW: 1}}
		}, "filters", Warn, "chain 5 pref 11", "tc -s"},
		"very many": {func(r *rack) {
			r.s.ports[0].classes = []classifier{{prio: 40, kind: "flower", filters: 90, skipSW: 90, more: true}}
		}, "filters", Warn, "90 filters or more", "tc -s"},
		"not listed": {func(r *rack) { r.s.ports[0].err = unix.EPERM }, "filters", Warn, "operation not permitted", "sudo"},

		"nft on our port": {func(r *rack) {
			r.tables = func() ([]flowtable, error) {
				return []flowtable{{name: "inet f t", offload: true, devices: []string{"vf1"}}}, nil
			}
		}, "nft_offload", Fail, "vf1 among its devices", "flags offload"},
		"nft elsewhere": {func(r *rack) {
			r.tables = func() ([]flowtable, error) {
				return []flowtable{{name: "inet f t", offload: true, devices: []string{"eth7"}}}, nil
			}
		}, "nft_offload", Warn, "inet f t has the flag offload", "flags offload"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRack(t, "mlx5_core")
			if c.broken != nil {
				c.broken(r)
			}
			among(t, run(t.Context(), r.host), c.finding, c.level, c.text, c.mend)
		})
	}
}
