// Shunt-vm boots stock Debian kernels in qemu, with the simnic module, and runs
// tests, one command, or a shell in them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/sim/vm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "shunt-vm:", err)
		os.Exit(1)
	}
}

// errFailed was told already.
var errFailed = errors.New("failed; see above")

type app struct {
	cache  string
	kernel string
}

func command() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:           "shunt-vm",
		Short:         "Run tests, a command or a shell on a stock Debian kernel in qemu, with the simnic card",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&a.cache, "cache", defaultCache(), "`folder` where kernels are kept")
	root.PersistentFlags().StringVar(&a.kernel, "kernel", "6.12", "`series` to boot: "+strings.Join(vm.Series(), ", ")+"; several for test, with spaces between")
	root.AddCommand(a.test(), a.run(), a.shell())
	return root
}

func defaultCache() string {
	if c := os.Getenv("SHUNT_VM_CACHE"); c != "" {
		return c
	}
	if c, err := os.UserCacheDir(); err == nil {
		return filepath.Join(c, "shunt", "vm")
	}
	return filepath.Join(os.TempDir(), "shunt-vm")
}

func say(format string, args ...any) { fmt.Printf("== "+format+"\n", args...) }

// prepared is what every run needs.
type prepared struct {
	top, dir, cache string
	built           *vm.Built
}

func (a *app) prepare(ctx context.Context, pkgs []string) (*prepared, error) {
	top, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(top, "sim/kmod/build.sh")); err != nil {
		return nil, errors.New("run it in the module's folder: sim/kmod is not here")
	}
	cache, err := filepath.Abs(a.cache)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return nil, err
	}
	p := &prepared{top: top, dir: dir, cache: cache}
	if p.built, err = vm.Build(ctx, top, dir, pkgs, say); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *prepared) close() { _ = os.RemoveAll(p.dir) }

func (a *app) run() *cobra.Command {
	return &cobra.Command{
		Use:     "run -- COMMAND ...",
		Short:   "Run one command in the guest and give its output and exit code",
		Example: "  shunt-vm run -- tc -V",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.prepare(cmd.Context(), nil)
			if err != nil {
				return err
			}
			defer p.close()
			k, err := vm.Fetch(cmd.Context(), p.cache, a.kernel)
			if err != nil {
				return err
			}
			say("kernel %s", k.Release)
			res, err := vm.Run(cmd.Context(), k, p.built, vm.Options{Top: p.top, Cache: p.cache, Plan: vm.Plan{Command: args}, Lines: func(l string) {
				if !strings.HasPrefix(l, vm.Mark) {
					fmt.Println(l)
				}
			}})
			if err != nil {
				return err
			}
			if bad := faults(res); len(bad) > 0 {
				return errors.New(strings.Join(bad, "\n"))
			}
			if res.Code != 0 {
				return fmt.Errorf("%s: exit code %d", args[0], res.Code)
			}
			return nil
		},
	}
}

// faults are what a run did wrong, whatever its tests said.
func faults(res *vm.Result) []string {
	bad := append([]string(nil), res.Complaints...)
	if res.Fault != "" {
		tail := strings.Split(strings.TrimSpace(res.Console), "\n")
		bad = append(bad, res.Fault+"\nthe console's end:\n"+strings.Join(tail[max(0, len(tail)-20):], "\n"))
	}
	return bad
}

// silence is how long a guest may say nothing: a package compiles nothing there,
// and each test says when it begins.
const silence = 5 * time.Minute
