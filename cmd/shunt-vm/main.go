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
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/sim/vm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err := command().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	var code exitError
	switch {
	case err == nil:
	case interrupted:
		fmt.Fprintln(os.Stderr, "shunt-vm: interrupted; nothing is left running")
		os.Exit(130)
	case errors.As(err, &code): // the command has said why
		os.Exit(int(code))
	default:
		fmt.Fprintln(os.Stderr, "shunt-vm:", err)
		os.Exit(1)
	}
}

// exitError is the exit code of what ran in the guest.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

type app struct {
	config  vm.Config
	kernels string
	only    string // of the programs

	parallel int // kernels that are tested at once
}

func command() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:           "shunt-vm",
		Short:         "Run tests, a command or a shell on a stock Debian kernel in qemu, with the simnic card",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.complete()
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.config.Cache, "cache", defaultCache(), "`folder` where kernels are kept")
	flags.StringVar(&a.kernels, "kernel", "6.12", "`series` to boot: "+strings.Join(vm.Series(), ", ")+"; for test and check several, with spaces between")
	flags.StringVar(&a.only, "programs", strings.Join(vm.Programs(), " "), "of ours that the guest gets; without those that do not compile just now")
	root.AddCommand(a.test(), a.run(), a.shell(), a.check())
	return root
}

// complete fills in what flags do not say.
func (a *app) complete() error {
	top, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(top, "sim/kmod/build.sh")); err != nil {
		return errors.New("run it in the module's folder: sim/kmod is not here")
	}
	a.config.Top = top
	a.config.Programs = fields(a.only)
	a.config.Log = say
	if a.config.Go = os.Getenv("GO"); a.config.Go == "" {
		a.config.Go = "go"
	}
	if a.config.Cache == "" {
		return errors.New("--cache names no folder")
	}
	if len(fields(a.kernels)) == 0 {
		return errors.New("--kernel names no series; there are: " + strings.Join(vm.Series(), ", "))
	}
	a.config.Cache, err = filepath.Abs(a.config.Cache)
	return err
}

// fields are the words of a list, each once.
func fields(list string) (out []string) {
	for _, w := range strings.Fields(strings.ReplaceAll(list, ",", " ")) {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
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

// say tells what is being done, beside the output of what runs.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "== "+format+"\n", args...) }

func (a *app) check() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Say why nothing can run here; fetch the kernels that something can run on",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.config.Check(cmd.Context(), fields(a.kernels))
		},
	}
}

// one is the machine for commands that boot one.
func (a *app) one(ctx context.Context, plan vm.Plan) (*vm.Machine, error) {
	machines, err := a.config.Prepare(ctx, []string{a.kernels}, nil, plan)
	if err != nil {
		return nil, err
	}
	return machines[0], nil
}

// faults are what a run did wrong, whatever its tests said.
func faults(res *vm.Result) []string {
	var bad []string
	for _, c := range res.Complaints {
		bad = append(bad, "the kernel complained "+c)
	}
	if res.Fault != "" {
		fault := res.Fault
		if len(bad) == 0 { // the console may know more, in words that are no complaint
			tail := strings.Split(strings.TrimSpace(res.Console), "\n")
			fault += "\nthe console's end:\n" + strings.Join(tail[max(0, len(tail)-20):], "\n")
		}
		bad = append(bad, fault)
	}
	return bad
}
