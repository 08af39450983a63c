//go:build vm

package guest_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernel: the release is the one that was asked for.
func TestKernel(t *testing.T) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	if want := os.Getenv("SHUNT_VM_RELEASE"); release != want || want == "" {
		t.Errorf("runs %q, want %q", release, want)
	}
	if os.Getuid() != 0 {
		t.Errorf("uid %d", os.Getuid())
	}
}

// TestModules asks for what suites take for granted.
func TestModules(t *testing.T) {
	text, err := os.ReadFile("/proc/modules")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		have[strings.Fields(line)[0]] = true
	}
	for _, m := range []string{"sch_ingress", "cls_flower", "cls_matchall", "act_gact", "act_mirred", "act_pedit", "act_csum", "act_vlan",
		"act_tunnel_key", "act_ct", "act_police", "act_skbedit", "nf_conntrack", "nf_conntrack_netlink", "nf_nat", "nf_tables", "nft_ct", "nft_nat",
		"nft_masq", "nft_chain_nat", "nf_flow_table", "nf_flow_table_inet", "nft_flow_offload", "8021q", "bonding", "dummy", "veth", "vrf",
		"openvswitch", "simnic"} {
		if !have[m] {
			t.Errorf("module %s is not loaded", m)
		}
	}
}

// TestCards: the bus is there, without a card; so are the file systems.
func TestCards(t *testing.T) {
	for _, p := range []string{"/sys/bus/simnic/new_device", "/sys/bus/simnic/del_device", "/sys/kernel/debug/tracing", "/sys/fs/bpf", "/dev/pts/ptmx", "/dev/shm"} {
		if _, err := os.Stat(p); err != nil {
			t.Error(err)
		}
	}
	cards, err := os.ReadDir("/sys/bus/simnic/devices")
	if err != nil || len(cards) != 0 {
		t.Errorf("cards %v, %v", cards, err)
	}
	if err := os.WriteFile("/sys/bus/simnic/new_device", []byte("id=9 profile=mlx5 mode=switchdev"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile("/sys/bus/simnic/del_device", []byte("9"), 0); err != nil {
			t.Error(err)
		}
	})
	if out, err := exec.Command("devlink", "dev", "eswitch", "show", "simnic/simnic9").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("switchdev")) {
		t.Errorf("devlink says %q, %v", out, err)
	}
	if _, err := os.Stat("/sys/kernel/debug/simnic/simnic9/rules"); err != nil {
		t.Error(err)
	}
}

// TestPrograms: what tests call starts, with its libraries.
func TestPrograms(t *testing.T) {
	for _, line := range []string{"tc -V", "ip -V", "bridge -V", "devlink -V", "ss -V", "nft --version", "conntrack --version", "ethtool --version",
		"iperf3 --version", "ping -V", "ovs-vsctl --version", "ovs-ofctl --version", "ovs-appctl --version", "ovs-vswitchd --version",
		"ovsdb-server --version", "ovsdb-tool --version", "ps", "sh -c true", "stdbuf -o0 true", "modprobe --version", "nsenter --version"} {
		args := strings.Fields(line)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// TestModprobe: what is not loaded comes when somebody asks for it.
func TestModprobe(t *testing.T) {
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("ip", "link", "add", "ifb-test", "type", "ifb")
	run("ip", "link", "del", "ifb-test") // modules bring no interface of their own: init would call it left behind
	run("ip", "link", "add", "gre-test", "type", "gre", "local", "192.0.2.1", "remote", "192.0.2.2")
	run("ip", "link", "del", "gre-test")
}

// TestFolder: a package finds its own files where go test would have it find them.
func TestFolder(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil || dir != "/src/sim/vm/guest" {
		t.Errorf("runs in %s, %v", dir, err)
	}
}
