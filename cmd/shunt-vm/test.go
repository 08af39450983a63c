package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/shunt-offload/shunt/sim/vm"
)

func (a *app) test() *cobra.Command {
	var pkgs, pattern string
	var env []string
	var verbose bool
	cmd := &cobra.Command{
		Use:     "test",
		Short:   "Run the tests that want the guest, on each kernel",
		Example: "  shunt-vm test --kernel '6.1 6.12' --pkgs './tc ./drivers/mlx5' --run TestGolden",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, kv := range env {
				if k, _, ok := strings.Cut(kv, "="); !ok || k == "" {
					return fmt.Errorf("--env %q is not KEY=VALUE", kv)
				}
			}
			return a.tests(cmd.Context(), fields(pkgs), vm.Plan{Run: pattern, Env: env}, verbose)
		},
	}
	cmd.Flags().StringVar(&pkgs, "pkgs", "", "`packages`, like \"./tc ./switchdev\"; all that have such tests by default")
	cmd.Flags().StringVar(&pattern, "run", "", "only tests that fit the `pattern`")
	cmd.Flags().StringArrayVar(&env, "env", nil, "`KEY=VALUE` for the tests; may be given several times")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "all that tests say, as it comes")
	cmd.Flags().IntVar(&a.parallel, "parallel", len(vm.Series()), "how many kernels run at once")
	return cmd
}

// silence is how long a guest may say nothing: longer than its init lets a package
// be silent, which can say more about it.
const silence = 6 * time.Minute

func (a *app) tests(ctx context.Context, pkgs []string, plan vm.Plan, verbose bool) error {
	began := time.Now()
	if len(pkgs) == 0 {
		var err error
		if pkgs, err = a.config.Packages(); err != nil {
			return err
		}
	}
	machines, err := a.config.Prepare(ctx, fields(a.kernels), pkgs, plan)
	if err != nil {
		return err
	}
	say("ready after %.0f s", time.Since(began).Seconds())
	turns := newTurns(os.Stdout, len(machines))
	runs := make([]run, len(machines))
	var all errgroup.Group
	all.SetLimit(max(1, a.parallel))
	for i, m := range machines {
		runs[i] = run{machine: m, voice: voice{turns, i}}
		r := &runs[i]
		r.report = &vm.Report{W: r.voice, Verbose: verbose, Pattern: plan.Run != "", Want: pkgs}
		all.Go(func() error { return r.boot(ctx) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	ok := true
	for _, r := range runs {
		ok = ok && r.ok
		fmt.Printf("figure vm_boot_seconds_%s %.1f s\n", r.machine.Kernel.Series, r.booted.Seconds())
		fmt.Printf("figure vm_tests_passed_%s %d tests\n", r.machine.Kernel.Series, r.report.Passed)
	}
	if !ok {
		fmt.Println("FAILED; see above")
		return exitError(1)
	}
	return nil
}

// run is the tests on one kernel.
type run struct {
	machine *vm.Machine
	voice   voice
	report  *vm.Report
	booted  time.Duration
	ok      bool
}

func (r *run) boot(ctx context.Context) error {
	defer r.voice.end()
	defer r.machine.Close() // a run's folder; the next prune finds it otherwise
	release := r.machine.Kernel.Release
	fmt.Fprintf(r.voice, "== kernel %s\n", release)
	at := time.Now()
	res, err := r.machine.Boot(ctx, vm.Options{Lines: r.report.Line, Silent: silence})
	if err != nil {
		if running := r.report.Running(); running != "" {
			err = fmt.Errorf("%w, in %s", err, running)
		}
		return err
	}
	r.report.Close()
	bad := faults(res)
	for _, f := range bad {
		fmt.Fprintf(r.voice, "FAULT kernel %s: %s\n", release, f)
	}
	r.booted, r.ok = res.Boot, r.report.OK() && len(bad) == 0
	fmt.Fprintf(r.voice, "== kernel %s: booted in %.1f s; %d passed, %d failed, %d skipped, in %.0f s\n", release, res.Boot.Seconds(),
		r.report.Passed, r.report.Failed, r.report.Skipped, time.Since(at).Seconds())
	for _, f := range r.report.Faults {
		fmt.Fprintf(r.voice, "   %s\n", f)
	}
	return nil
}
