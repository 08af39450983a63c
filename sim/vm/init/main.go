// Init is process 1 of the guest: it mounts, loads modules, runs what the plan
// says, and powers off. See package vm.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/sim/vm"
)

// port is the serial port that the host listens to.
const port = "/dev/ttyS1"

func main() {
	code := 1
	out, err := setUp()
	if err == nil {
		code, err = work(out)
	}
	if err != nil {
		say(out, vm.WordFail, err.Error())
	}
	say(out, vm.WordDone, fmt.Sprint(code))
	_ = out.Sync()
	drain(out)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func say(out *os.File, word, text string) {
	fmt.Fprintf(out, "%s%s %s\n", vm.Mark, word, strings.ReplaceAll(text, "\n", " | "))
}

// drain waits until the port has sent everything.
func drain(out *os.File) { _ = unix.IoctlSetInt(int(out.Fd()), unix.TCSBRK, 1) }

func setUp() (*os.File, error) {
	mounts := []struct{ src, dst, kind, data string }{
		{"proc", "/proc", "proc", ""}, {"sys", "/sys", "sysfs", ""}, {"dev", "/dev", "devtmpfs", ""},
		{"tmp", "/tmp", "tmpfs", ""}, {"run", "/run", "tmpfs", ""},
		{"debug", "/sys/kernel/debug", "debugfs", ""}, {"bpf", "/sys/fs/bpf", "bpf", ""}, {"trace", "/sys/kernel/tracing", "tracefs", ""},
		{"pts", "/dev/pts", "devpts", ""},
	}
	var errs []string
	for _, m := range mounts {
		_ = os.MkdirAll(m.dst, 0o755)
		if err := unix.Mount(m.src, m.dst, m.kind, 0, m.data); err != nil && m.kind != "tracefs" {
			errs = append(errs, fmt.Sprintf("mount %s: %v", m.dst, err))
		}
	}
	out, err := os.OpenFile(port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return os.Stderr, err
	}
	raw(out)
	if len(errs) > 0 {
		return out, fmt.Errorf("%s", strings.Join(errs, "; "))
	}
	for k, v := range map[string]string{"PATH": "/bin", "SHUNT_BIN": "/bin", "HOME": "/root", "TMPDIR": "/tmp", "LD_LIBRARY_PATH": "/lib/x86_64-linux-gnu", "TERM": "xterm"} {
		if err := os.Setenv(k, v); err != nil {
			return out, err
		}
	}
	_ = os.MkdirAll("/run/netns", 0o755)
	return out, nil
}

// raw takes the line discipline's own ideas off the port.
func raw(f *os.File) {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return
	}
	t.Iflag &^= unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
	_ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

func work(out *os.File) (int, error) {
	text, err := os.ReadFile(vm.PlanFile)
	if err != nil {
		return 1, err
	}
	var plan vm.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return 1, err
	}
	for _, m := range plan.Modules {
		if err := load(m); err != nil {
			return 1, err
		}
	}
	if err := exec.Command("ip", "link", "set", "lo", "up").Run(); err != nil {
		return 1, fmt.Errorf("ip link set lo up: %w", err)
	}
	say(out, vm.WordReady, "")
	switch {
	case plan.Shell:
		return shell(out, &plan), nil
	case len(plan.Command) > 0:
		return run(out, "/root", 24*time.Hour, plan.Command[0], plan.Command[1:]...)
	}
	code := 0
	for _, s := range plan.Suites {
		if c := suite(out, &plan, s); c != 0 {
			code = 1
		}
	}
	return code, nil
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	// Some modules make an interface of their own, which nobody asked for.
	none := map[string]string{"bonding.ko": "max_bonds=0", "dummy.ko": "numdummies=0"}
	if err := unix.FinitModule(int(f.Fd()), none[filepath.Base(path)], 0); err != nil && err != unix.EEXIST {
		return fmt.Errorf("load %s: %w; the console has the kernel's words", filepath.Base(path), err)
	}
	return nil
}

// suite runs one package's tests, and fails it for what it leaves behind.
func suite(out *os.File, plan *vm.Plan, s vm.Suite) int {
	say(out, vm.WordBegin, s.Package)
	args := []string{"-test.v", fmt.Sprintf("-test.timeout=%ds", s.Limit)}
	if plan.Run != "" {
		args = append(args, "-test.run="+plan.Run)
	}
	began := time.Now()
	code, err := run(out, s.Dir, time.Duration(s.Limit+60)*time.Second, s.Binary, args...)
	if err != nil {
		fmt.Fprintln(out, err)
		code = 1
	}
	if left := leftovers(); left != "" {
		fmt.Fprintln(out, "left behind:", left)
		code = 1
	}
	say(out, vm.WordEnd, fmt.Sprintf("%s %d %.1f", s.Package, code, time.Since(began).Seconds()))
	return code
}

// leftovers are cards and namespaces that a suite should have removed. They are
// removed here, so that the next suite is judged for its own.
func leftovers() string {
	var left []string
	cards, _ := filepath.Glob("/sys/bus/simnic/devices/*")
	for _, c := range cards {
		left = append(left, filepath.Base(c))
		_ = os.WriteFile("/sys/bus/simnic/del_device", []byte(strings.TrimPrefix(filepath.Base(c), "simnic")), 0o200)
	}
	spaces, _ := filepath.Glob("/run/netns/*")
	for _, n := range spaces {
		left = append(left, n)
		_ = exec.Command("ip", "netns", "del", filepath.Base(n)).Run()
	}
	return strings.Join(left, " ")
}

func run(out *os.File, dir string, limit time.Duration, name string, args ...string) (int, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if cmd.ProcessState != nil {
		return cmd.ProcessState.ExitCode(), nil
	}
	return 1, err
}

// shell gives bash the port as its terminal.
func shell(out *os.File, plan *vm.Plan) int {
	tty, err := os.OpenFile(port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 1
	}
	_ = exec.Command("stty", "-F", port, "sane", "rows", fmt.Sprint(plan.Rows), "cols", fmt.Sprint(plan.Cols)).Run()
	cmd := exec.Command("bash", "-i")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = "/root", tty, tty, tty
	cmd.Env = append(os.Environ(), `PS1=vm:\w# `)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(out, err)
	}
	return 0
}
