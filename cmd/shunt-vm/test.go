package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/sim/vm"
)

func (a *app) test() *cobra.Command {
	var pkgs, pattern string
	var verbose bool
	cmd := &cobra.Command{
		Use:     "test",
		Short:   "Run the tests that want the guest, on each kernel",
		Example: "  shunt-vm test --kernel '6.1 6.12' --pkgs './tc ./drivers/mlx5' --run TestGolden",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.tests(cmd.Context(), fields(pkgs), pattern, verbose)
		},
	}
	cmd.Flags().StringVar(&pkgs, "pkgs", "", "`packages`, like \"./tc ./switchdev\"; all that have such tests by default")
	cmd.Flags().StringVar(&pattern, "run", "", "only tests that fit the `pattern`")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "all that tests say, as it comes")
	return cmd
}

// silence is how long a guest may say nothing: longer than its init lets a package
// be silent, which can say more about it.
const silence = 6 * time.Minute

func (a *app) tests(ctx context.Context, pkgs []string, pattern string, verbose bool) error {
	began := time.Now()
	if len(pkgs) == 0 {
		var err error
		if pkgs, err = a.config.Packages(); err != nil {
			return err
		}
	}
	machines, err := a.config.Prepare(ctx, fields(a.kernels), pkgs, vm.Plan{Run: pattern})
	if err != nil {
		return err
	}
	defer func() {
		for _, m := range machines {
			_ = m.Close() // a run's folder; the next prune finds it otherwise
		}
	}()
	say("ready after %.0f s", time.Since(began).Seconds())
	ok := true
	var figures []string
	for _, m := range machines {
		fmt.Printf("== kernel %s\n", m.Kernel.Release)
		rep := &vm.Report{W: os.Stdout, Verbose: verbose, Pattern: pattern != "", Want: pkgs}
		at := time.Now()
		res, err := m.Boot(ctx, vm.Options{Lines: rep.Line, Silent: silence})
		if err != nil {
			if running := rep.Running(); running != "" {
				err = fmt.Errorf("%w, in %s", err, running)
			}
			return err
		}
		rep.Close()
		for _, f := range faults(res) {
			fmt.Printf("FAULT kernel %s: %s\n", m.Kernel.Release, f)
			ok = false
		}
		ok = ok && rep.OK()
		fmt.Printf("== kernel %s: booted in %.1f s; %d passed, %d failed, %d skipped, in %.0f s\n", m.Kernel.Release, res.Boot.Seconds(),
			rep.Passed, rep.Failed, rep.Skipped, time.Since(at).Seconds())
		for _, f := range rep.Faults {
			fmt.Printf("   %s\n", f)
		}
		figures = append(figures, fmt.Sprintf("figure vm_boot_seconds_%s %.1f s", m.Kernel.Series, res.Boot.Seconds()),
			fmt.Sprintf("figure vm_tests_passed_%s %d tests", m.Kernel.Series, rep.Passed))
	}
	for _, f := range figures {
		fmt.Println(f)
	}
	if !ok {
		fmt.Println("FAILED; see above")
		return exitError(1)
	}
	return nil
}
