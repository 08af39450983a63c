package main

import (
	"context"
	"fmt"
	"os"
	"strings"

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
			return a.tests(cmd.Context(), strings.Fields(strings.ReplaceAll(pkgs, ",", " ")), pattern, verbose)
		},
	}
	cmd.Flags().StringVar(&pkgs, "pkgs", "", "`packages`, like \"./tc ./switchdev\"; all that have such tests by default")
	cmd.Flags().StringVar(&pattern, "run", "", "only tests that fit the `pattern`")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "all that tests say, as it comes")
	return cmd
}

func (a *app) tests(ctx context.Context, pkgs []string, pattern string, verbose bool) error {
	if len(pkgs) == 0 {
		top, err := os.Getwd()
		if err != nil {
			return err
		}
		if pkgs, err = vm.Packages(top); err != nil {
			return err
		}
	}
	p, err := a.prepare(ctx, pkgs)
	if err != nil {
		return err
	}
	defer p.close()
	ok := true
	var figures []string
	for _, short := range strings.Fields(strings.ReplaceAll(a.kernel, ",", " ")) {
		k, err := vm.Fetch(ctx, p.cache, short)
		if err != nil {
			return err
		}
		say("kernel %s", k.Release)
		rep := &vm.Report{W: os.Stdout, Verbose: verbose}
		res, err := vm.Run(ctx, k, p.built, vm.Options{Top: p.top, Cache: p.cache, Plan: vm.Plan{Run: pattern}, Lines: rep.Line, Silent: silence})
		if err != nil {
			return err
		}
		rep.Close()
		for _, f := range faults(res) {
			fmt.Printf("FAULT kernel %s: %s\n", k.Release, f)
			ok = false
		}
		ok = ok && rep.Failed == 0 && len(rep.Faults) == 0 && rep.Passed > 0
		say("kernel %s: booted in %.1f s; %d passed, %d failed, %d skipped", k.Release, res.Boot.Seconds(), rep.Passed, rep.Failed, rep.Skipped)
		figures = append(figures, fmt.Sprintf("figure vm_boot_seconds_%s %.1f s", short, res.Boot.Seconds()),
			fmt.Sprintf("figure vm_tests_passed_%s %d tests", short, rep.Passed))
	}
	fmt.Println(strings.Join(figures, "\n"))
	if !ok {
		return errFailed
	}
	return nil
}
