package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/config"
)

// shuntd runs the command line and gives what it printed.
func shuntd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = runCommand(t.Context(), args, nil, &out, &errs)
	return code, out.String(), errs.String()
}

func TestPrintConfig(t *testing.T) {
	code, out, errs := shuntd(t, "--print-config")
	if code != 0 || errs != "" || out != string(config.DefaultFile()) {
		t.Errorf("exit %d, %d bytes, stderr %q", code, len(out), errs)
	}
}

func TestVersion(t *testing.T) {
	if code, out, errs := shuntd(t, "--version"); code != 0 || errs != "" || !strings.HasPrefix(out, "shuntd ") {
		t.Errorf("exit %d, %q, stderr %q", code, out, errs)
	}
}

// TestUsage: whatever is wrong with flags or file is one line, names the thing,
// and ends with 2.
func TestUsage(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("nic:\n  prots: [a, b]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(nic string) string {
		path := filepath.Join(t.TempDir(), "nic.yaml")
		if err := os.WriteFile(path, []byte("nic: "+nic+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const gone = "nic.ports: dmn-none0 is not there; ip -br link lists the interfaces that are\n"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--prots", "a"}, "shuntd: unknown flag: --prots; see shuntd --help\n"},
		{[]string{"start"}, "shuntd: \"start\" is no flag; shuntd takes flags only, see shuntd --help\n"},
		{[]string{"--story=soon"}, "shuntd: invalid argument \"soon\" for \"--story\" flag: time: invalid duration \"soon\"; see shuntd --help\n"},
		{[]string{"--config", empty, "--check"}, "shuntd: nic.ports: names no port; say --ports eth0,eth1 or set it in the file\n"},
		{[]string{"--config", empty, "--check", "--ports", "lo,lo"}, "shuntd: nic.ports: lo forwards nothing; name the interfaces between which packets are forwarded\nnic.ports: lo is named twice\n"},
		{[]string{"--config", empty, "--check", "--nic", "mlx9", "--ports", "a,b"}, "shuntd: nic.driver: there is no driver \"mlx9\"; there are: auto, mlx5, ice, nfp, flower, xdp, sim\n"},
		{[]string{"--config", empty, "--check", "--nic", "bogus"}, "shuntd: nic.driver: there is no driver \"bogus\"; there are: auto, mlx5, ice, nfp, flower, xdp, sim\nnic.ports: names no port; say --ports eth0,eth1 or set it in the file\n"},
		{[]string{"--config", empty, "--check", "--nic", "mlx5", "--ports", "dmn-none0"}, "shuntd: " + gone},
		{[]string{"--config", empty, "--check", "--nic", "bnxt", "--ports", "lo0"}, "shuntd: nic.ports: lo0 is not there; ip -br link lists the interfaces that are\n"},
		{[]string{"--config", empty, "--check", "--nic", "auto", "--ports", "dmn-none0"}, "shuntd: " + gone},
		{[]string{"--config", empty, "--check", "--ports", "dmn-none0, dmn-none1"}, "shuntd: nic.ports: dmn-none0 is not there; ip -br link lists the interfaces that are\nnic.ports: dmn-none1 is not there; ip -br link lists the interfaces that are\n"},
		{[]string{"--config", empty, "--nic", "sim", "--on-exit", "stay"}, "shuntd: on_exit: is \"stay\"; allowed: flush, keep\n"},
		{[]string{"--config", empty, "--nic", "sim", "--log-level", "loud"}, "shuntd: log.level: is \"loud\"; allowed: debug, info, warn, error\n"},
		{[]string{"--config", empty, "--nic", "sim", "--socket", "s"}, "shuntd: api.socket: \"s\" is no absolute path\n"},
		{[]string{"--config", empty, "--nic", "sim", "--story=1s"}, "shuntd: --story is 1s; allowed: 3s to 2m0s\n"},
		{[]string{"--config", empty, "--ports", "a,b", "--story"}, "shuntd: --story plays on a router in memory, and driver xdp works on this host; use --nic sim\n"},
		{[]string{"--config", file("{driver: xdp, ports: [dmn-none0], settings: {mode: fast}}"), "--check"}, "shuntd: nic.settings.mode: \"fast\" is not auto, native or generic\n" + gone},
		{[]string{"--config", file("{driver: xdp, ports: [dmn-none0], settings: {queue: '1'}}"), "--check"}, "shuntd: nic.settings.queue: no such setting; there are mode and pin\n" + gone},
		{[]string{"--config", file("{driver: xdp, ports: [dmn-none0], settings: {pin: " + dir + "/pins}}"), "--check"}, "shuntd: nic.settings.pin: " + dir + " is not on a bpffs; mount one: mount -t bpf bpf /sys/fs/bpf, and give a directory in it\n" + gone},
		{[]string{"--config", file("{driver: xdp, ports: [dmn-none0]}"), "--check", "--on-exit", "keep"}, "shuntd: on_exit: is keep, but this device's rules end with the daemon; use flush, or set nic.settings: {pin: /sys/fs/bpf/shunt}\n" + gone},
		{[]string{"--config", file("{driver: sim, settings: {speed: '1'}}"), "--check"}, "shuntd: nic.settings.speed: unknown setting; the driver knows \"name\"\n"},
		{[]string{"--config", file("{driver: sim, ports: [no0, no1]}"), "--check"}, "shuntd: nic.ports: no0: no such port; there are: wan0, lan0, wan1\n"},
		{[]string{"--config", bad, "--check"}, "shuntd: " + bad + ":2:3: nic.prots: unknown key; nearest valid key: nic.ports\n     1 | nic:\n>    2 |   prots: [a, b]\n           ^\n"},
		{[]string{"--config", dir + "/none.yaml"}, "shuntd: read configuration: open " + dir + "/none.yaml: no such file or directory\n"},
	} {
		code, _, errs := shuntd(t, tc.args...)
		if code != exitUsage || errs != tc.want {
			t.Errorf("%q: exit %d, said\n%swant exit 2 and\n%s", tc.args, code, errs, tc.want)
		}
	}
}

// TestCheck prints what was understood, flags over file, and needs no rights.
func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("nic: {driver: sim}\npolicy: {idle: 45s}\nlog: {level: warn}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := shuntd(t, "--config", path, "--check", "--log-level", "debug")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d, stderr %q", code, errs)
	}
	c, _, err := config.Parse("out", []byte(out))
	if err != nil {
		t.Fatalf("what it prints is no configuration: %v\n%s", err, out)
	}
	if c.NIC.Driver != "sim" || c.Policy.Idle.Seconds() != 45 || c.Log.Level != "debug" || len(c.NIC.Ports) != 3 {
		t.Errorf("understood: %+v", c)
	}
}

// TestLiveKeys: the file says of each key whether it is live, and that is what
// reloading does.
func TestLiveKeys(t *testing.T) {
	said := map[string]bool{"log.level": strings.Contains(string(config.DefaultFile()), "Level is live.")}
	for _, key := range config.Keys() {
		if strings.HasPrefix(key, "policy.") {
			said[key] = strings.Contains(string(config.DefaultFile()), "Everything here is live.")
		}
		if live(key) != said[key] {
			t.Errorf("%s: live is %v, the file says %v", key, live(key), said[key])
		}
	}
}

// TestNoRights: without privileges one sentence names the capabilities, and
// nothing is opened. Root gives up what it has for this test, on one thread.
func TestNoRights(t *testing.T) {
	withoutRights(t, func() {
		cfg := simConfig(t)
		cfg.NIC.Driver, cfg.NIC.Ports = "xdp", []string{"lo"}
		err := Run(context.Background(), Options{Config: cfg})
		if err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Run: %v", err)
		}
		if _, err := os.Stat(cfg.API.Socket); err == nil {
			t.Error("a socket was made all the same")
		}
	})
}

// withoutRights runs f on a thread that has no capability and ends with it.
func withoutRights(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never given back: the thread ends with this goroutine
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&hdr, &none[0]); err != nil {
			t.Errorf("give up capabilities: %v", err)
			return
		}
		f()
	}()
	<-done
}
