//go:build netns

package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// namespace moves the test's thread into a fresh network namespace. The thread
// is never used again.
func namespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
}

func sh(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// about gives what is said about one port.
func about(name string) []Finding {
	return (&host{opts: Options{Ports: []string{name}}, proc: "/proc"}).port(name)
}

func TestPorts(t *testing.T) {
	namespace(t)
	sh(t, "ip link add name a type veth peer name b")
	expect(t, find(t, about("a"), "port"), Warn, "a is down", "ip link set dev a up")
	sh(t, "ip link set dev a up")
	expect(t, find(t, about("a"), "port"), Warn, "no carrier", "peer up")
	sh(t, "ip link set dev b up")
	expect(t, find(t, about("a"), "port"), OK, "MTU 1500", "")
	expect(t, find(t, about("lo"), "port"), Fail, "no Ethernet interface", "name the Ethernet")
	sh(t, "ip link add name br type bridge")
	expect(t, find(t, about("br"), "port"), Fail, "br is a bridge", "below it")
	sh(t, "ip link set dev a mtu 9000")
	expect(t, find(t, about("a"), "mtu"), Warn, "MTU 9000", "mtu 3498")
	one := ports(context.Background(), &host{opts: Options{Ports: []string{"a"}}, proc: "/proc"})
	expect(t, find(t, one, "ports"), Warn, "one port", "--ports a,")
}

// TestVethHere: both ends in one namespace, each fault by itself, and none.
func TestVethHere(t *testing.T) {
	namespace(t)
	sh(t, "ip link add name a type veth peer name b")
	sh(t, "ethtool -K b tx off gro on txvlan off")
	expect(t, find(t, about("a"), "veth_peer"), OK, "b, the other end of a", "")
	for _, tc := range []struct{ fault, text, mend string }{
		{"tx on", "tx-checksum-ip-generic on", "sudo ethtool -K b tx off"},
		{"gro off", "rx-gro off", "sudo ethtool -K b gro on"},
		{"txvlan on", "tx-vlan-hw-insert on", "sudo ethtool -K b txvlan off"},
	} {
		sh(t, "ethtool -K b tx off gro on txvlan off")
		sh(t, "ethtool -K b "+tc.fault)
		expect(t, find(t, about("a"), "veth_peer"), Warn, tc.text, tc.mend)
	}
}

// TestVethElsewhere: the other end in a namespace with a name, and then in one
// that only a process holds.
func TestVethElsewhere(t *testing.T) {
	namespace(t)
	name := fmt.Sprintf("dmn-doc-%d", os.Getpid())
	sh(t, "ip netns add "+name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	sh(t, "ip link add name a type veth peer name b netns "+name)
	sh(t, "ip -n "+name+" link set dev b name far")
	expect(t, find(t, about("a"), "veth_peer"), Warn, "far, the other end of a", "sudo ip netns exec "+name+" ethtool -K far")

	holder := exec.Command("unshare", "-n", "sleep", "60")
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Process.Kill(); _ = holder.Wait() }()
	path := fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid)
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for { // until unshare has done its work
		if got, err := os.Readlink(path); err == nil && got != own {
			break
		}
		runtime.Gosched()
	}
	sh(t, fmt.Sprintf("ip link add name c type veth peer name d netns %d", holder.Process.Pid))
	expect(t, find(t, about("c"), "veth_peer"), Warn, "d, the other end of c", "nsenter --net="+path+" ethtool -K d")
	if home, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || home != own {
		t.Errorf("the test's thread has left its namespace: %s, %v", home, err)
	}

	// Where nothing can be seen, nothing is called well.
	h := &host{opts: Options{Ports: []string{"c"}}, proc: filepath.Join(t.TempDir(), "proc")}
	expect(t, find(t, h.port("c"), "veth_peer"), Warn, "cannot be seen", "ethtool -K PEER")
}

// TestForeignProgram: a port that somebody else's XDP program holds.
func TestForeignProgram(t *testing.T) {
	namespace(t)
	sh(t, "ip link add name a type veth peer name b")
	dir := t.TempDir()
	for _, name := range []string{"firewall", "shunt_pipeline"} {
		src := filepath.Join(dir, name+".c")
		code := "__attribute__((section(\"xdp\"), used)) int " + name + "(void *ctx) { return 2; }\nchar l[] __attribute__((section(\"license\"), used)) = \"GPL\";\n"
		if err := os.WriteFile(src, []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
		obj := filepath.Join(dir, name+".o")
		sh(t, "clang -O2 -g -target bpf -c "+src+" -o "+obj)
		sh(t, "ip link set dev a xdpgeneric obj "+obj+" sec xdp")
		f := find(t, about("a"), "xdp")
		if name == "firewall" {
			expect(t, f, Fail, `"firewall"`, "xdp off")
		} else {
			expect(t, f, OK, `shuntd's own program "shunt_pipeline"`, "")
		}
		sh(t, "ip link set dev a xdpgeneric off")
	}
	expect(t, find(t, about("a"), "xdp"), OK, "no XDP program", "")
}

// TestNamespaceSysctls: the parameters read are those of the namespace.
func TestNamespaceSysctls(t *testing.T) {
	namespace(t)
	h := &host{proc: "/proc"}
	write := func(path, v string) {
		t.Helper()
		if err := os.WriteFile("/proc/sys/"+path, []byte(v), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	write("net/ipv4/ip_forward", "0")
	expect(t, find(t, forwarding(ctx, h), "forwarding_ipv4"), Fail, "off", "ip_forward=1")
	write("net/ipv4/ip_forward", "1")
	expect(t, find(t, forwarding(ctx, h), "forwarding_ipv4"), OK, "on", "")
	write("net/ipv6/route/skip_notify_on_dev_down", "1")
	expect(t, find(t, routeSysctls(ctx, h), "route_events"), Fail, "without a word", "=0")
	if n, err := h.forwarded(); err != nil || n != 0 {
		t.Errorf("a fresh namespace has forwarded %d packets, %v", n, err)
	}
}
