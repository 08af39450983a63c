package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/blast"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/traffic"
)

var forwarding = race{
	use: "forward", short: "Forwarding of 64-byte UDP frames: the emulated NIC against the kernel (root)",
	opts: lab.Options{UDPTimeout: 600}, run: forward,
}

func forward(ctx context.Context, l *lab.Lab, programs rig.Programs, rounds int, each time.Duration) error {
	var kernel, nic []float64
	for i := range rounds {
		k, _, err := viaKernel(ctx, l, programs, each)
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

func viaKernel(ctx context.Context, l *lab.Lab, p rig.Programs, each time.Duration) (rate float64, count uint64, err error) {
	t, err := openFlow(ctx, l, p.Demo)
	if err != nil {
		return 0, 0, err
	}
	if _, err := t.UDPResult(); err != nil {
		return 0, 0, err
	}
	// A veth that has had a program goes on polling only with GRO on.
	if _, err := l.Router.Run(ctx, "ethtool", "-K", lab.LANPort, "gro", "on"); err != nil {
		return 0, 0, err
	}
	before, err := l.Forwarded(ctx)
	if err != nil {
		return 0, 0, err
	}
	rate, count, err = measure(ctx, l, t, each)
	if err != nil {
		return 0, 0, err
	}
	after, err := l.Forwarded(ctx)
	if err != nil {
		return 0, 0, err
	}
	if got := after.Packets() - before.Packets(); got < count {
		return 0, 0, fmt.Errorf("%d frames arrived, but the kernel's forward chain saw %d only", count, got)
	}
	return rate, count, nil
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
