// Init is process 1 of the guest: it mounts, loads modules, runs what the plan
// says, and powers off. See package vm.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/sim/vm"
)

// portFile is the serial port that the host listens to.
const portFile = "/dev/ttyS1"

// guest is the machine that this process runs. Owned by main's goroutine.
type guest struct {
	port *os.File
	plan vm.Plan
	seen state // what was there when the machine was ready
}

func main() {
	g := &guest{port: os.Stderr} // the console, until there is a port
	code, err := g.work()
	if err != nil {
		g.say(vm.WordFail, err.Error())
	}
	g.say(vm.WordDone, fmt.Sprint(code))
	_ = unix.IoctlSetInt(int(g.port.Fd()), unix.TCSBRK, 1) // until the port has sent everything
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func (g *guest) say(word, text string) {
	if g.plan.Shell && word != vm.WordFail {
		return // somebody reads along
	}
	fmt.Fprintf(g.port, "%s%s %s\n", vm.Mark, word, strings.ReplaceAll(text, "\n", " | "))
}

func (g *guest) work() (int, error) {
	if err := mounts(); err != nil {
		return 1, err
	}
	port, err := os.OpenFile(portFile, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 1, err
	}
	g.port = port
	raw(port)
	if err := g.setUp(); err != nil {
		return 1, err
	}
	g.say(vm.WordReady, "")
	switch {
	case g.plan.Shell:
		return g.shell(), nil
	case len(g.plan.Command) > 0:
		return g.run(limits{}, "/root", g.plan.Command[0], g.plan.Command[1:]...)
	}
	code := 0
	for _, s := range g.plan.Suites {
		c, err := g.suite(s)
		if err != nil {
			return 1, err
		}
		if c != 0 {
			code = 1
		}
	}
	return code, unload()
}

func mounts() error {
	var errs []error
	for _, m := range []struct{ src, dst, kind string }{
		{"proc", "/proc", "proc"}, {"sys", "/sys", "sysfs"}, {"dev", "/dev", "devtmpfs"}, {"tmp", "/tmp", "tmpfs"}, {"run", "/run", "tmpfs"},
		{"debug", "/sys/kernel/debug", "debugfs"}, {"trace", "/sys/kernel/tracing", "tracefs"}, {"bpf", "/sys/fs/bpf", "bpf"},
		{"pts", "/dev/pts", "devpts"}, {"shm", "/dev/shm", "tmpfs"},
	} {
		_ = os.MkdirAll(m.dst, 0o755) // in sysfs they are there, or the mount says so
		if err := unix.Mount(m.src, m.dst, m.kind, 0, ""); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.dst, err))
		}
	}
	return errors.Join(errs...)
}

func (g *guest) setUp() error {
	text, err := os.ReadFile(vm.PlanFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &g.plan); err != nil {
		return err
	}
	for k, v := range map[string]string{
		"PATH": "/bin", "SHUNT_BIN": "/bin", "HOME": "/root", "TMPDIR": "/tmp", "TERM": "xterm", "USER": "root",
		"LD_LIBRARY_PATH": "/lib/x86_64-linux-gnu", "SHUNT_VM_RELEASE": g.plan.Release,
	} {
		if err := os.Setenv(k, v); err != nil {
			return err
		}
	}
	for _, kv := range g.plan.Env {
		k, v, _ := strings.Cut(kv, "=")
		if err := os.Setenv(k, v); err != nil {
			return err
		}
	}
	for _, d := range []string{"/run/netns", "/run/openvswitch"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	for name, value := range sysctls {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value+"\n"), 0); err != nil {
			return err
		}
	}
	for _, m := range g.plan.Modules {
		if err := load(m); err != nil {
			return err
		}
	}
	if err := linkUp("lo"); err != nil {
		return err
	}
	// While one interface has clsact the kernel does not patch its receive path: when
	// the last one's is taken away under traffic, an emulated processor may still see
	// the breakpoint of the patch, and the kernel then dies of it.
	if out, err := exec.Command("tc", "qdisc", "add", "dev", "lo", "clsact").CombinedOutput(); err != nil {
		return fmt.Errorf("clsact on lo: %w: %s", err, out)
	}
	g.seen = look()
	return nil
}

var sysctls = map[string]string{
	"kernel/printk_devkmsg":                 "on", // no limit on what init writes
	"net/core/fb_tunnels_only_for_init_net": "2",  // no tunnel that nobody asked for
}

// load loads one module. Some make interfaces of their own, which nobody asked for;
// of those that modprobe loads, /etc/modprobe.d says the same.
func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	none := map[string]string{"bonding.ko": "max_bonds=0", "dummy.ko": "numdummies=0"}
	if err := unix.FinitModule(int(f.Fd()), none[filepath.Base(path)], 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w; the console has the kernel's words", filepath.Base(path), err)
	}
	return nil
}

// unload takes simnic out after all suites: a reference that something has leaked
// keeps it in.
func unload() error {
	if err := unix.DeleteModule("simnic", unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("simnic cannot be unloaded: %w", err)
	}
	return nil
}

func linkUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}
