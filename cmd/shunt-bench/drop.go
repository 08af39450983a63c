package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/blast"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

var dropping = race{
	use: "drop", short: "CPU time that a dropped flow costs: by a drop rule in the emulated NIC against the ruleset's (root)",
	run: drop,
}

// unwanted is the flow that the ruleset drops.
var unwanted = struct{ src, dst netip.AddrPort }{netip.AddrPortFrom(lab.Client4, 40000), netip.AddrPortFrom(lab.Server4, 9999)}

// drop measures both ways. The frames' sender is part of what they cost in both: it
// shares the machine's CPUs.
func drop(ctx context.Context, l *lab.Lab, programs rig.Programs, rounds int, each time.Duration) error {
	if _, err := l.Router.Run(ctx, "nft", "insert", "rule", "inet", "lab", "forward", "udp", "dport", strconv.Itoa(int(unwanted.dst.Port())), "drop"); err != nil {
		return err
	}
	var kernel, nic []float64
	for i := range rounds {
		k, err := dropped(ctx, l, programs, each, false)
		if err != nil {
			return fmt.Errorf("by the kernel: %w", err)
		}
		n, err := dropped(ctx, l, programs, each, true)
		if err != nil {
			return fmt.Errorf("by the NIC: %w", err)
		}
		fmt.Printf("round %d: %.0f ns of CPU time a frame by the kernel's ruleset, %.0f by the emulated NIC, sender included\n", i+1, k, n)
		kernel, nic = append(kernel, k), append(nic, n)
	}
	k, n := median(kernel), median(nic)
	fmt.Printf("figure drop_cpu_kernel %.0f ns/frame\nfigure drop_cpu_nic %.0f ns/frame\nfigure drop_cpu_ratio %.2f x\n", k, n, k/n)
	return nil
}

// dropped gives the CPU time of one frame, ns, with a daemon that may offload the
// verdict or one that may not.
func dropped(ctx context.Context, l *lab.Lab, p rig.Programs, each time.Duration, offload bool) (cost float64, err error) {
	dir, err := os.MkdirTemp("", "shunt-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	opts := rig.DaemonOptions{Dir: dir, LogLevel: "warn"}
	if offload {
		opts.Policy = []string{"drop_packets: 1000", "drop_life: 5m"}
	}
	d, err := rig.Start(ctx, l, p, opts)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	out, src, err := l.Client.Link(lab.ClientPort)
	if err != nil {
		return 0, err
	}
	_, dst, err := l.Router.Link(lab.LANPort)
	if err != nil {
		return 0, err
	}
	sender, err := blast.NewSender(out, blast.Frame{SrcMAC: src, DstMAC: dst, Src: unwanted.src, Dst: unwanted.dst})
	if err != nil {
		return 0, err
	}
	defer sender.Close()
	send := func(f func() bool) (n int, err error) {
		const burst = 1 << 14
		err = l.Client.Do(func() error {
			for f() && ctx.Err() == nil {
				if err := sender.Send(burst); err != nil {
					return err
				}
				n += burst
			}
			return ctx.Err()
		})
		return n, err
	}
	if _, err := send(until(200 * time.Millisecond)); err != nil {
		return 0, err
	}
	if offload {
		if err := awaitDrop(ctx, d); err != nil {
			return 0, err
		}
	}
	before, err := busy()
	if err != nil {
		return 0, err
	}
	n, err := send(until(each))
	if err != nil {
		return 0, err
	}
	after, err := busy()
	return float64(after-before) / float64(n), err
}

func until(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().Before(end) }
}

// awaitDrop waits until hardware drops.
func awaitDrop(ctx context.Context, d *rig.Daemon) error {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		fs, err := d.List(ctx, "")
		if err != nil {
			return err
		}
		for _, f := range fs {
			if f.Verdict == shuntv1.Verdict_VERDICT_DROP && rig.InNIC(f.Orig) {
				return nil
			}
		}
	}
	return errors.New("the flow that the ruleset drops got no drop rule in the NIC")
}

// busy is the CPU time that the machine has spent on anything.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var sum int64
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		if i != 3 && i != 4 && i < 8 { // idle, iowait; guest is in user already
			sum += n
		}
	}
	const hz = 100 // USER_HZ
	return time.Duration(sum) * time.Second / hz, nil
}
