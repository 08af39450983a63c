//go:build netns

package daemon

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// router moves the test's thread into a fresh namespace with two ports whose
// other ends lie in the same one. The thread is never used again.
func router(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	for _, line := range []string{
		"ip link set dev lo up",
		"ip link add name lan0 type veth peer name c0",
		"ip link add name wan0 type veth peer name s0",
		"ip link set dev lan0 up", "ip link set dev c0 up", "ip link set dev wan0 up", "ip link set dev s0 up",
		"ethtool -K c0 tx off gro on txvlan off", "ethtool -K s0 tx off gro on txvlan off",
	} {
		sh(t, line)
	}
}

func sh(t *testing.T, line string) string {
	t.Helper()
	f := strings.Fields(line)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// built is shuntd itself, built once.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shuntd")
	cmd := exec.Command("go", "build", "-o", path, "../../shuntd")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build shuntd: %v: %s", err, out)
	}
	return path
}

// program is a shuntd process in the test's namespace.
type program struct {
	cmd  *exec.Cmd
	log  *output
	copy chan struct{}
}

// launch starts shuntd; it ends with the test.
func launch(t *testing.T, path string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(path, args...), log: new(output), copy: make(chan struct{})}
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil { // on this thread, so in its namespace
		t.Fatal(err)
	}
	go func() {
		defer close(p.copy)
		_, _ = io.Copy(p.log, bufio.NewReader(pipe))
	}()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			p.wait()
		}
	})
	return p
}

func (p *program) wait() int {
	<-p.copy
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d after SIGTERM:\n%s", code, p.log)
	}
}

// carries reports whether a port has an XDP program.
func carries(t *testing.T, port string) bool {
	t.Helper()
	return strings.Contains(sh(t, "ip -details link show dev "+port), "prog/xdp")
}

// fresh writes a configuration with a socket of its own and gives both paths.
func fresh(t *testing.T, more string) (file, socket string) {
	t.Helper()
	dir := t.TempDir()
	file, socket = filepath.Join(dir, "shuntd.yaml"), filepath.Join(dir, "s.sock")
	text := fmt.Sprintf("nic: {driver: xdp, ports: [lan0, wan0]}\napi: {socket: %s}\nmetrics: {listen: \"\"}\n%s", socket, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, socket
}

// TestProgram starts shuntd on real interfaces, reads its API, reloads and ends
// it, and looks for what it left behind. Then it dies without a word, and the
// next one starts as if nothing had been.
func TestProgram(t *testing.T) {
	router(t)
	path := built(t)
	file, socket := fresh(t, "")
	p := launch(t, path, "--config", file)
	p.log.await(t, "shuntd serves")
	if !carries(t, "lan0") || !carries(t, "wan0") {
		t.Error("it serves, and a port carries no program")
	}
	if _, err := client(t, socket).GetStats(t.Context(), &shuntv1.GetStatsRequest{}); err != nil {
		t.Errorf("its API: %v", err)
	}
	if v, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_events"); err != nil || string(v) != "1\n" {
		t.Errorf("nf_conntrack_events is %q, %v", v, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.log.await(t, "configuration read again")
	p.terminate(t)
	if carries(t, "lan0") || carries(t, "wan0") {
		t.Error("it left its program on a port")
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("it left its socket")
	}

	p = launch(t, path, "--config", file)
	p.log.await(t, "shuntd serves")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	if _, err := os.Stat(socket); err != nil {
		t.Fatalf("a killed one cannot have taken its socket away: %v", err)
	}
	p = launch(t, path, "--config", file)
	p.log.await(t, "shuntd serves")
	p.terminate(t)
}

// TestSecondOnPorts: another daemon, with a socket of its own, on ports that
// are taken. It says so, changes nothing, and the first does not notice.
func TestSecondOnPorts(t *testing.T) {
	router(t)
	path := built(t)
	file, socket := fresh(t, "")
	first := launch(t, path, "--config", file)
	first.log.await(t, "shuntd serves")
	before := sh(t, "ip -details link show dev lan0")

	other, otherSocket := fresh(t, "")
	second := launch(t, path, "--config", other)
	if code := second.wait(); code != exitFailed {
		t.Errorf("the second one: exit %d", code)
	}
	if said := second.log.String(); !strings.Contains(said, "lan0") || !strings.Contains(said, "busy") {
		t.Errorf("the second one said:\n%s", said)
	}
	if after := sh(t, "ip -details link show dev lan0"); after != before {
		t.Errorf("the port was changed:\n%s\nbefore:\n%s", after, before)
	}
	if _, err := os.Stat(otherSocket); err == nil {
		t.Error("the second one left its socket")
	}
	if _, err := client(t, socket).GetStats(t.Context(), &shuntv1.GetStatsRequest{}); err != nil {
		t.Errorf("the first one no longer answers: %v", err)
	}
	first.terminate(t)
}

// TestKeepNeedsPin: rules cannot be kept where nothing holds them, and that is
// said before anything goes through the device.
func TestKeepNeedsPin(t *testing.T) {
	router(t)
	file, _ := fresh(t, "on_exit: keep\n")
	p := launch(t, built(t), "--config", file)
	if code := p.wait(); code != exitFailed && code != exitUsage {
		t.Errorf("exit %d", code)
	}
	if said := p.log.String(); !strings.Contains(said, "on_exit: is keep") || !strings.Contains(said, "pin: /sys/fs/bpf/shunt") {
		t.Errorf("it said:\n%s", said)
	}
	if carries(t, "lan0") {
		t.Error("it left its program on a port")
	}
}

// TestPortsVanish: without its ports the device is gone; the program says so,
// and ends on its own or keeps serving without them, but never hangs at its end.
func TestPortsVanish(t *testing.T) {
	router(t)
	file, _ := fresh(t, "")
	p := launch(t, built(t), "--config", file)
	p.log.await(t, "shuntd serves")
	sh(t, "ip link del dev lan0")
	sh(t, "ip link del dev wan0")
	p.terminate(t)
}
