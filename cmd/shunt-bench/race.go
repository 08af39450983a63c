package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// race is a measurement of two or more ways in turn on one lab, so that whatever else
// happens on the machine happens to all of them.
type race struct {
	use, short string
	opts       lab.Options
	run        func(ctx context.Context, l *lab.Lab, p rig.Programs, rounds int, each time.Duration) error
}

func (r race) command() *cobra.Command {
	var bin string
	var rounds int
	var each time.Duration
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cmd := &cobra.Command{
		Use: r.use, Short: r.short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return r.hold(ctx, bin, rounds, each)
		},
	}
	cmd.Flags().StringVar(&bin, "bin", filepath.Dir(self), "folder of the programs")
	cmd.Flags().IntVar(&rounds, "rounds", 3, "measurements of each way; the median counts")
	cmd.Flags().DurationVar(&each, "each", 2*time.Second, "length of one measurement")
	return cmd
}

func (r race) hold(ctx context.Context, bin string, rounds int, each time.Duration) (err error) {
	programs, err := rig.Find(bin)
	if err != nil {
		return err
	}
	if _, err := lab.Sweep(); err != nil {
		return err
	}
	l, err := lab.New(ctx, r.opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if _, err := rig.Serve(l, programs.Demo); err != nil {
		return err
	}
	if err := l.Settle(ctx); err != nil {
		return err
	}
	return r.run(ctx, l, programs, rounds, each)
}
