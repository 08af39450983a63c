// Shunt-demo shows shunt at work on one machine. With root it builds a lab of
// network namespaces and sends real traffic through it; without, it shows the
// in-memory NIC.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/sim/rig"
)

// limit is how long the demo may take, all in all.
const limit = 110 * time.Second

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "shunt-demo:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var bin, logs string
	var card bool
	root := &cobra.Command{
		Use:           "shunt-demo",
		Short:         "Show shunt at work in a network of namespaces on this machine",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), bin, logs, card) },
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	root.Flags().StringVar(&bin, "bin", filepath.Dir(self), "folder of shuntd and shuntctl")
	root.Flags().StringVar(&logs, "logs", "", "folder to keep shuntd's log and configuration in")
	root.Flags().BoolVar(&card, "card", false, "through an emulated switchdev card; the kernel must have the simnic module (make demo-vm)")
	root.AddCommand(trafficCommand())
	return root
}

func demo(ctx context.Context, bin, logs string, card bool) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	programs, err := rig.Find(bin)
	if err != nil {
		return err
	}
	dir := logs
	if dir == "" {
		if dir, err = os.MkdirTemp("", "shunt-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	scr := newScreen(os.Stdout)
	promises := &ledger{s: scr}
	begin := time.Now()
	if card {
		s := &cardStory{screen: scr, promises: promises, programs: programs, dir: dir}
		err = s.tell(ctx)
		if err != nil && s.d != nil && ctx.Err() == nil {
			scr.Say("\nThe end of shuntd's log:\n%s", s.d.Tail(30))
		}
		if s.share > 0 {
			scr.Say("\nfigure vm_nic_packet_share %.2f %%", s.share)
		}
	} else if os.Geteuid() != 0 {
		scr.Say("Without root there are no namespaces and no XDP: this is the in-memory NIC with a scripted kernel.")
		scr.Say("For real packets of real connections: sudo make demo")
		err = (&simStory{screen: scr, promises: promises, programs: programs, dir: dir}).tell(ctx)
	} else {
		s := &story{screen: scr, promises: promises, programs: programs, dir: dir}
		err = s.tell(ctx)
		if err != nil && s.d != nil && ctx.Err() == nil {
			scr.Say("\nThe end of shuntd's log:\n%s", s.d.Tail(30))
		}
		if s.share > 0 {
			scr.Say("\nfigure nic_packet_share %.2f %%", s.share)
		}
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("interrupted; what it had made is removed")
	case ctx.Err() != nil:
		return fmt.Errorf("not done after %v: %w", limit, err)
	}
	if err = errors.Join(err, promises.Err()); err != nil {
		return err
	}
	scr.Say("\nEvery promise held (%d), in %.0f s.", promises.held, time.Since(begin).Seconds())
	return nil
}
