package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/blast"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/traffic"
)

func forwardCommand() *cobra.Command {
	var bin string
	var rounds int
	var each time.Duration
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cmd := &cobra.Command{
		Use:   "forward",
		Short: "Forwarding of 64-byte UDP frames: the emulated NIC against the kernel (root)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return forward(ctx, bin, rounds, each)
		},
	}
	cmd.Flags().StringVar(&bin, "bin", filepath.Dir(self), "folder of the programs")
	cmd.Flags().IntVar(&rounds, "rounds", 3, "measurements of each way; the median counts")
	cmd.Flags().DurationVar(&each, "each", 2*time.Second, "length of one measurement")
	return cmd
}

// forward measures both ways in turn on one lab, so that whatever else happens
// on the machine happens to both.
func forward(ctx context.Context, bin string, rounds int, each time.Duration) (err error) {
	programs, err := rig.Find(bin)
	if err != nil {
		return err
	}
	if _, err := lab.Sweep(); err != nil {
		return err
	}
	l, err := lab.New(ctx, lab.Options{UDPTimeout: 600})
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
	var kernel, nic []float64
	for i := range rounds {
		k, err := viaKernel(ctx, l, programs, each)
		if err != nil {
			return fmt.Errorf("by the kernel: %w", err)
		}
		n, err := viaNIC(ctx, l, programs, each)
		if err != nil {
			return fmt.Errorf("by the NIC: %w", err)
		}
		fmt.Printf("round %d: %.0f frames/s by the kernel, %.0f by the emulated NIC, masquerade in both\n", i+1, k, n)
		kernel, nic = append(kernel, k), append(nic, n)
	}
	k, n := median(kernel), median(nic)
	fmt.Printf("figure forward_kernel %.0f frames/s\nfigure forward_nic %.0f frames/s\nfigure forward_ratio %.2f x\n", k, n, n/k)
	return nil
}

// openFlow opens a UDP flow, long enough (2 s) for conntrack to call it assured.
func openFlow(ctx context.Context, l *lab.Lab, demo string) (*rig.Transfer, error) {
	return rig.UDP(ctx, l, demo, 4, traffic.UDPRequest{Datagrams: 200, Size: 64, Rate: 50, Direction: traffic.Both})
}

func viaKernel(ctx context.Context, l *lab.Lab, p rig.Programs, each time.Duration) (float64, error) {
	t, err := openFlow(ctx, l, p.Demo)
	if err != nil {
		return 0, err
	}
	if _, err := t.UDPResult(); err != nil {
		return 0, err
	}
	// A veth that has had a program goes on polling only with GRO on.
	if _, err := l.Router.Run(ctx, "ethtool", "-K", lab.LANPort, "gro", "on"); err != nil {
		return 0, err
	}
	before, err := l.Forwarded(ctx)
	if err != nil {
		return 0, err
	}
	rate, count, err := measure(ctx, l, t, each)
	if err != nil {
		return 0, err
	}
	after, err := l.Forwarded(ctx)
	if err != nil {
		return 0, err
	}
	if got := after.Packets() - before.Packets(); got < count {
		return 0, fmt.Errorf("%d frames arrived, but the kernel's forward chain saw %d only", count, got)
	}
	return rate, nil
}

func viaNIC(ctx context.Context, l *lab.Lab, p rig.Programs, each time.Duration) (rate float64, err error) {
	dir, err := os.MkdirTemp("", "shunt-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	d, err := rig.Start(ctx, l, p, rig.DaemonOptions{Dir: dir, LogLevel: "warn", Idle: 10 * time.Minute})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	t, err := openFlow(ctx, l, p.Demo)
	if err != nil {
		return 0, err
	}
	if _, err := d.Await(ctx, t, "the NIC forwards it", rig.Active); err != nil {
		return 0, err
	}
	if _, err := t.UDPResult(); err != nil {
		return 0, err
	}
	before, err := l.Forwarded(ctx)
	if err != nil {
		return 0, err
	}
	rate, count, err := measure(ctx, l, t, each)
	if err != nil {
		return 0, err
	}
	after, err := l.Forwarded(ctx)
	if err != nil {
		return 0, err
	}
	if got := after.Packets() - before.Packets(); got*100 > count {
		return 0, fmt.Errorf("%d frames arrived, and %d went by the kernel", count, got)
	}
	_, err = d.Await(ctx, t, "its counters name the frames", func(f *shuntv1.Flow) bool { return rig.NIC(f).Packets >= count })
	return rate, err
}

// measure sends for the given time and gives frames per second at the sink, and
// how many arrived in all.
func measure(ctx context.Context, l *lab.Lab, t *rig.Transfer, each time.Duration) (rate float64, count uint64, err error) {
	out, src, err := l.Client.Link(lab.ClientPort)
	if err != nil {
		return 0, 0, err
	}
	_, dst, err := l.Router.Link(lab.LANPort)
	if err != nil {
		return 0, 0, err
	}
	sender, err := blast.NewSender(out, blast.Frame{
		SrcMAC: src, DstMAC: dst,
		Src: netip.AddrPortFrom(lab.Client4, t.Port), Dst: netip.AddrPortFrom(lab.Server4, rig.ServerPort),
	})
	if err != nil {
		return 0, 0, err
	}
	defer sender.Close()
	in, _, err := l.Switch.Link(lab.SwitchPort)
	if err != nil {
		return 0, 0, err
	}
	var sink *blast.Sink
	if err := l.Switch.Do(func() (err error) { sink, err = blast.NewSink(in); return err }); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	err = l.Client.Do(func() error {
		const burst = 1 << 16
		if err := sender.Send(burst); err != nil { // warm caches, and the first allocations
			return err
		}
		first, err := sink.Count()
		if err != nil {
			return err
		}
		begin := time.Now()
		for time.Since(begin) < each && ctx.Err() == nil {
			if err := sender.Send(burst); err != nil {
				return err
			}
		}
		took := time.Since(begin)
		if count, err = sink.Count(); err != nil {
			return err
		}
		rate = float64(count-first) / took.Seconds()
		return ctx.Err()
	})
	if err == nil && rate == 0 {
		err = errors.New("no frame arrived")
	}
	return rate, count, err
}
