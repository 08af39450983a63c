//go:build vm

package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// plugged makes a card, with everything up, that goes with the test.
func plugged(t *testing.T, o simnic.Options) *simnic.Card {
	t.Helper()
	c, err := simnic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, p := range c.Ports() {
		for _, name := range []string{p, c.Far(p)} {
			if simnic.Index(name) != 0 { // in legacy mode there is no representor
				if err := simnic.Up(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return c
}

// say runs a line of words in the guest.
func say(t *testing.T, line string) string {
	t.Helper()
	f := strings.Fields(line)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// judged is what the doctor says of a driver and ports.
func judged(t *testing.T, driver string, ports ...string) []Finding {
	t.Helper()
	found := Run(t.Context(), Options{Driver: driver, Ports: ports})
	for _, f := range found {
		if f.Text == "" || f.Level == Fail && f.Mend == "" {
			t.Errorf("%+v", f)
		}
	}
	return found
}

// well reports what is not, among the subjects that are the card's.
func well(t *testing.T, found []Finding) {
	t.Helper()
	for _, f := range found {
		switch f.Name {
		case "eswitch", "port", "pairs", "hw_tc_offload", "clsact", "filters", "tc_listeners", "kernel_modules", "privileges":
			if f.Level != OK {
				t.Errorf("%s: %s %s", f.Name, f.Level, f.Text)
			}
		case "port_master", "card_health", "representors", "nft_offload":
			t.Errorf("%s: %s", f.Name, f.Text)
		}
	}
}

func TestCardWell(t *testing.T) {
	for _, profile := range []string{"mlx5", "nfp", "flower"} {
		c := plugged(t, simnic.Options{Profile: profile, Mode: "switchdev", VFs: 2})
		found := judged(t, card.Auto, c.Uplink(0), c.VF(0), c.VF(1))
		level := OK
		if profile == "nfp" { // matches one TTL
			level = Warn
		}
		well(t, found)
		among(t, found, "card", level, "simnic/simnic0 is a card of kernel driver simnic, board simnic-"+profile+": driver "+profile, "")
		well(t, judged(t, profile, c.Uplink(0), c.VF(0)))
		among(t, judged(t, card.Auto), "ports", Warn, "every port of every card", "--ports "+c.Uplink(0)+","+c.VF(0))
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	among(t, judged(t, card.Auto), "ports", Fail, "devlink knows no card", "--nic xdp")
}

// TestCardModes: legacy mode by make of card, and the command that is advised is
// the one that works.
func TestCardModes(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "legacy"})
	among(t, judged(t, card.Auto, c.Uplink(0)), "eswitch", Warn, "hairpin", "sudo devlink dev eswitch set simnic/simnic0 mode switchdev")
	say(t, "devlink dev eswitch set simnic/simnic0 mode switchdev")
	among(t, judged(t, card.Auto, c.Uplink(0)), "eswitch", OK, "is in switchdev mode", "")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	c = plugged(t, simnic.Options{Profile: "ice", NoVFs: true, Mode: "legacy"})
	found := judged(t, card.Auto, c.Uplink(0))
	among(t, found, "eswitch", Fail, "remove all VFs", "sudo devlink dev eswitch set simnic/simnic0 mode switchdev")
	say(t, "devlink dev eswitch set simnic/simnic0 mode switchdev")
	found = judged(t, card.Auto, c.Uplink(0))
	among(t, found, "eswitch", OK, "is in switchdev mode", "")
	among(t, found, "representors", Warn, "no representor", "sriov_numvfs")
}

// TestCardOffload: ice begins with hw-tc-offload off; the command mends it.
func TestCardOffload(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "ice", Mode: "switchdev"})
	found := judged(t, "ice", c.Uplink(0), c.VF(0))
	for _, p := range []string{c.Uplink(0), c.VF(0)} {
		among(t, found, "hw_tc_offload", Fail, p+" has hw-tc-offload off", "sudo ethtool -K "+p+" hw-tc-offload on")
		say(t, "ethtool -K "+p+" hw-tc-offload on")
	}
	found = judged(t, "ice", c.Uplink(0), c.VF(0))
	among(t, found, "hw_tc_offload", OK, "on for "+c.Uplink(0)+", "+c.VF(0), "")
	among(t, found, "card", Warn, "routed flows stay in software", "")
}

func TestCardRefused(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "bnxt"})
	found := judged(t, card.Auto, c.Uplink(0))
	among(t, found, "card", Fail, "recognised and not used", "--nic xdp")
	among(t, found, "hw_tc_offload", Fail, "off [fixed]", "boot a kernel")
}

// TestKernelOptions: Debian's 6.12 has no flower for ConnectX; its 6.1 has.
func TestKernelOptions(t *testing.T) {
	found := judged(t, "mlx5")
	if strings.HasPrefix(release(), "6.12.") {
		among(t, found, "kernel_config", Fail, "CONFIG_MLX5_CLS_ACT is off in /boot/config-"+release(), "is not")
	} else {
		among(t, found, "kernel_config", OK, "mlx5_core takes flower rules (/boot/config-"+release(), "")
	}
	among(t, judged(t, "ice"), "kernel_config", OK, "ice takes flower rules", "")
	among(t, found, "kernel_modules", OK, "loaded", "")
}

// TestCardStacks: what lies over a port, and which ports a card joins.
func TestCardStacks(t *testing.T) {
	a := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev", Serial: 0xabc})
	b := plugged(t, simnic.Options{ID: 1, Profile: "mlx5", Mode: "switchdev", Serial: 0xabc})
	n := plugged(t, simnic.Options{ID: 2, Profile: "nfp"})
	among(t, judged(t, card.Auto, a.Uplink(0), b.Uplink(0)), "pairs", Fail, "devices are not the same uplink", "devlink port")
	among(t, judged(t, card.Auto, a.Uplink(0), b.Uplink(0), a.VF(0)), "pairs", Warn, "devices are not the same uplink", "over a representor")
	among(t, judged(t, card.Auto, a.VF(0), n.VF(0)), "pairs", Fail, "ports of different cards (simnic/simnic0, simnic/simnic2)", "devlink port")

	say(t, "ip link add link "+a.Uplink(0)+" name lan type vlan id 7")
	defer say(t, "ip link del dev lan")
	among(t, judged(t, card.Auto, "lan"), "port", Fail, "lan is a vlan on "+a.Uplink(0), "--ports "+a.Uplink(0))
	say(t, "ip link set dev "+a.VF(1)+" down")
	say(t, "ip link add name both type bond mode active-backup")
	defer say(t, "ip link del dev both")
	say(t, "ip link set dev "+a.VF(1)+" master both")
	among(t, judged(t, card.Auto, "both"), "port", Fail, "both is a bond of "+a.VF(1), "--ports "+a.VF(1))
	among(t, judged(t, card.Auto, a.VF(1)), "port_master", Warn, a.VF(1)+" is a member of bond both", "sudo ip link set dev "+a.VF(1)+" nomaster")
	among(t, judged(t, card.Auto, "lo"), "port", Fail, "lo is no port of a card", "--nic xdp")
}

// TestCardFilters: who else has filters at the ports, whatever their kind.
func TestCardFilters(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	p := c.Uplink(0)
	look := func() []Finding { return judged(t, card.Auto, p, c.VF(0)) }
	among(t, look(), "clsact", OK, "not there yet on "+p+", "+c.VF(0), "")
	say(t, "tc qdisc add dev "+p+" clsact")
	among(t, look(), "clsact", OK, "there on "+p+"; shuntd makes it on "+c.VF(0), "")
	among(t, look(), "filters", OK, "nobody else", "")
	say(t, "tc filter add dev "+p+" ingress pref 3 protocol ip flower skip_sw dst_ip 192.0.2.1 action drop")
	among(t, look(), "filters", Warn, p+" has 1 filter (flower) at pref 3 that shunt did not make: they come before shunt's", "tc -s filter show dev "+p+" ingress pref 3")
	say(t, "tc filter add dev "+p+" ingress pref 11 protocol ip flower skip_sw dst_ip 192.0.2.2 action drop")
	among(t, look(), "filters", Fail, "at pref 11 that shunt did not make: these prefs (10 to 16) are shunt's", "sudo tc filter del dev "+p+" ingress pref 11")
	say(t, "tc filter del dev "+p+" ingress pref 11")
	// A classifier without a short form ends the kernel's short list.
	say(t, "tc filter add dev "+p+" ingress pref 2 matchall action continue")
	found := look()
	among(t, found, "filters", Warn, "(matchall) at pref 2", "tc -s")
	among(t, found, "filters", Warn, "(flower) at pref 3", "tc -s")
	say(t, "tc filter add dev "+p+" ingress pref 4 protocol ip flower skip_sw dst_ip 192.0.2.3 action drop cookie 00112233445566778899aabbccddeeff")
	among(t, look(), "filters", Warn, "as Open vSwitch's offload makes them", "hw-offload=false")
	say(t, "tc qdisc del dev "+p+" clsact")
	say(t, "tc qdisc add dev "+p+" ingress_block 22 clsact")
	among(t, look(), "clsact", Fail, p+" has the ingress of shared block 22", "tc qdisc del dev "+p+" clsact")
	say(t, "tc qdisc del dev "+p+" clsact")

	// The same port without clsact, while a daemon says that it has it.
	served := func(context.Context) ([]*pb.Device, error) {
		return []*pb.Device{{Driver: "mlx5", Ports: []*pb.Port{{Name: p}}}}, nil
	}
	found = Run(t.Context(), Options{Driver: card.Auto, Ports: []string{p}, Devices: served})
	among(t, found, "clsact", Fail, p+" has lost its clsact qdisc while shuntd runs", "tc qdisc del dev "+p+" clsact")
}

// TestListener: tc monitor, by its process, and gone with it.
func TestListener(t *testing.T) {
	among(t, judged(t, card.Auto), "tc_listeners", OK, "nobody listens", "")
	cmd := exec.Command("tc", "monitor")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "tc monitor listens", func() bool {
		l, err := (&host{proc: "/proc"}).tcListeners()
		return err == nil && len(l) == 1
	})
	among(t, judged(t, card.Auto), "tc_listeners", Warn, fmt.Sprintf("process %d (tc monitor) listens", cmd.Process.Pid), fmt.Sprintf("sudo kill %d", cmd.Process.Pid))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	among(t, judged(t, card.Auto), "tc_listeners", OK, "nobody listens", "")
}

// TestFlowtableOffload: nftables' own way into the card.
func TestFlowtableOffload(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	say(t, "nft add table inet doc")
	defer say(t, "nft delete table inet doc")
	say(t, "nft add flowtable inet doc ft { hook ingress priority 0 ; devices = { "+c.VF(0)+" } ; }")
	found := judged(t, card.Auto, c.Uplink(0), c.VF(0))
	among(t, found, "flowtable", Warn, "inet doc ft", "flow add")
	for _, f := range found {
		if f.Name == "nft_offload" {
			t.Errorf("without the flag: %s", f.Text)
		}
	}
	got, err := listFlowtables()
	if err != nil || len(got) != 1 || len(got[0].devices) != 1 || got[0].devices[0] != c.VF(0) || got[0].offload {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestOpenVSwitch runs the real one, with hw-offload, on a representor.
func TestOpenVSwitch(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	switchOn(t)
	say(t, "ovs-vsctl --no-wait set Open_vSwitch . other_config:hw-offload=true")
	say(t, "ovs-vsctl --timeout=60 add-br br0 -- set bridge br0 fail-mode=standalone")
	defer say(t, "ovs-vsctl --timeout=60 del-br br0")
	say(t, "ovs-vsctl --timeout=60 add-port br0 "+c.VF(0))
	found := judged(t, card.Auto, c.Uplink(0), c.VF(0))
	among(t, found, "port_master", Fail, c.VF(0)+" belongs to Open vSwitch (ovs-system)", "sudo ovs-vsctl del-port "+c.VF(0))
	say(t, "ovs-vsctl --timeout=60 del-port "+c.VF(0))
	for _, f := range judged(t, card.Auto, c.Uplink(0), c.VF(0)) {
		if f.Name == "port_master" {
			t.Errorf("after the command: %s", f.Text)
		}
	}
}

// switchOn starts Open vSwitch, which ends with the test.
func switchOn(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"/var/run/openvswitch", "/var/log/openvswitch"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	say(t, "ovsdb-tool create "+dir+"/conf.db /usr/share/openvswitch/vswitch.ovsschema")
	for _, line := range []string{
		"ovsdb-server " + dir + "/conf.db --remote=punix:/var/run/openvswitch/db.sock",
		"ovs-vswitchd unix:/var/run/openvswitch/db.sock",
	} {
		f := strings.Fields(line)
		cmd := exec.Command(f[0], f[1:]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		until(t, "the data base answers", func() bool { return exec.Command("ovs-vsctl", "--no-wait", "--timeout=5", "init").Run() == nil })
	}
}

// until waits for something that comes; the bound ends a test that would hang.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 600 {
		if is() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("it never happens that %s", what)
}
