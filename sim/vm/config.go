package vm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Config says where a run finds what it needs. Owned by one goroutine.
type Config struct {
	Top      string               // the module's folder
	Cache    string               // where kernels and archives are kept
	Go       string               // the go command
	Programs []string             // of Programs: what the guest has in its PATH
	Log      func(string, ...any) // what is being made, while it takes time; may be nil

	updated bool // package lists were fetched
}

func (c *Config) log(format string, args ...any) {
	if c.Log != nil {
		c.Log(format, args...)
	}
}

const qemu = "qemu-system-x86_64"

// Errors of Check.
var (
	ErrMachine = errors.New("the guest's kernels are Debian's for amd64, and this machine is " + runtime.GOARCH)
	ErrNoQEMU  = errors.New(qemu + " is not installed: apt-get install qemu-system-x86")
)

// tools are the host's programs that a run needs, beside those that the guest gets.
var tools = []string{"depmod", "ldd", "xz", "zstd", "gcc", "make", "strip", "bash"}

// MissingError says which programs this host lacks.
type MissingError struct{ Programs []string }

func (e *MissingError) Error() string {
	return "not on this host: " + strings.Join(e.Programs, ", ") + "; scripts/packages.sh vm installs them, as root"
}

// Check says why nothing can run here; nil when something can. It fetches the
// kernels that the cache lacks.
func (c *Config) Check(ctx context.Context, names []string) error {
	if err := possible(); err != nil {
		return err
	}
	unlock, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range names {
		if _, err := c.kernel(ctx, name); err != nil {
			return err
		}
	}
	_, err = c.unpacked(ctx, "ovs", ovsSet)
	return err
}

func possible() error {
	if runtime.GOARCH != "amd64" {
		return ErrMachine
	}
	if _, err := exec.LookPath(qemu); err != nil {
		return ErrNoQEMU
	}
	var missing []string
	for _, p := range slices.Concat(tools, programs) {
		if which(p) == p {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		return &MissingError{missing}
	}
	return nil
}

// open makes the cache if there is none, and takes it.
func (c *Config) open(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(c.Cache, 0o755); err != nil {
		return nil, err
	}
	if err := c.own(); err != nil {
		return nil, err
	}
	if unlock, err = c.lock(ctx); err == nil {
		c.prune(time.Now())
	}
	return unlock, err
}

// Machine is a kernel with all that it will run. Close it after use.
type Machine struct {
	Kernel Kernel
	dir    string   // its own, in the cache
	held   *os.File // so that nobody takes it for a wreck
	initrd string
	shell  bool
}

// Close removes what the run needed.
func (m *Machine) Close() error {
	err := os.RemoveAll(m.dir)
	if m.held != nil {
		_ = m.held.Close()
	}
	return err
}

// Prepare makes a machine for each kernel, with the suites of pkgs or what plan says
// otherwise.
func (c *Config) Prepare(ctx context.Context, kernels, pkgs []string, plan Plan) (machines []*Machine, err error) {
	if err := possible(); err != nil {
		return nil, err
	}
	unlock, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	defer func() {
		if err != nil {
			for _, m := range machines {
				_ = m.Close()
			}
			machines = nil
		}
	}()
	b, err := c.build(ctx, pkgs)
	if err != nil {
		return nil, err
	}
	for _, s := range b.suites {
		plan.Suites = append(plan.Suites, s.Suite)
	}
	for _, name := range kernels {
		m, err := c.machine(ctx, name, b, plan)
		if err != nil {
			return machines, err
		}
		machines = append(machines, m)
	}
	return machines, nil
}

func (c *Config) machine(ctx context.Context, name string, b *built, plan Plan) (*Machine, error) {
	k, err := c.kernel(ctx, name)
	if err != nil {
		return nil, err
	}
	base, load, err := c.base(ctx, k)
	if err != nil {
		return nil, err
	}
	module, err := c.simnic(ctx, k)
	if err != nil {
		return nil, err
	}
	plan.Release, plan.Modules = k.Release, nil
	for _, f := range load {
		plan.Modules = append(plan.Modules, k.modulePath(f))
	}
	plan.Modules = append(plan.Modules, simnicPath)
	m := &Machine{Kernel: *k, shell: plan.Shell}
	if m.dir, err = os.MkdirTemp(c.Cache, "run-"); err != nil {
		return nil, err
	}
	if m.held, err = hold(m.dir); err != nil {
		_ = m.Close()
		return nil, err
	}
	if m.initrd, err = c.initrd(m.dir, base, module, b, &plan); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Machine) console() string { return filepath.Join(m.dir, "console") }
