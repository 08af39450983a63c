package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// flowerCommand measures how quickly rules get into a card behind tc flower. It
// wants a kernel with the simnic module: make bench-vm runs it in one.
func flowerCommand() *cobra.Command {
	var n, rounds int
	var only []string
	cmd := &cobra.Command{
		Use:   "flower",
		Short: "Rules into, out of and counted in an emulated card, beside tc, vishvananda/netlink and a replay of messages (in the guest)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return benchFlower(cmd.Context(), n, rounds, only)
		},
	}
	cmd.Flags().IntVar(&n, "rules", 20_000, "NAT rules in the card at once")
	cmd.Flags().IntVar(&rounds, "rounds", 3, "rounds, each with everybody in another order")
	cmd.Flags().StringSliceVar(&only, "only", nil, "let only racers run whose names begin so; no figures then")
	return cmd
}

// racer does the same work in its own way: n rules in, their counters read, and
// out again. What it cannot express it says in note.
type racer struct {
	name   string
	note   string
	insert func(context.Context) error
	sweep  func(context.Context) error // nil when it has no such thing
	remove func(context.Context) error
}

// lap is one racer's times in one round.
type lap struct {
	insert, sweep, remove time.Duration
	user                  time.Duration // of the insertion: processor time outside the kernel, children's too
}

// course is what all racers run on.
type course struct {
	card    *simnic.Card
	in, out hwif.Port
	n       int
	base    uint64 // rules that are in the card anyway
}

func benchFlower(ctx context.Context, n, rounds int, only []string) (err error) {
	if !simnic.Present() {
		return errors.New("the simnic module is not loaded; run make bench-vm")
	}
	card, err := simnic.New(simnic.Options{ID: 9, Profile: "mlx5", Mode: "switchdev", Rules: uint(2*n + 64)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, card.Close()) }()
	if err := card.Quieten(card.VF(0), card.Uplink(0)); err != nil {
		return err
	}
	dev, err := mlx5.New().Open(ctx, hwif.OpenOptions{Ports: []string{card.VF(0), card.Uplink(0)}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close(true)) }()
	ports, err := dev.Ports(ctx)
	if err != nil {
		return err
	}
	c := &course{card: card, in: ports[0], out: ports[1], n: n}
	if c.base, err = c.used(); err != nil {
		return err
	}
	racers, stop, err := c.racers(dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if len(only) > 0 {
		racers = slices.DeleteFunc(racers, func(r racer) bool {
			return !slices.ContainsFunc(only, func(o string) bool { return strings.HasPrefix(r.name, o) })
		})
	}
	laps, err := c.race(ctx, racers, rounds)
	if err != nil {
		return err
	}
	c.report(os.Stdout, racers, laps)
	if len(only) > 0 {
		return nil
	}
	c.others(ctx, os.Stdout)
	figures(os.Stdout, racers, laps)
	return nil
}

func (c *course) used() (uint64, error) {
	st, err := c.card.Stats()
	return st.Used, err
}

// race runs rounds; the order turns, so that nobody always has the warm caches.
func (c *course) race(ctx context.Context, racers []racer, rounds int) ([][]lap, error) {
	laps := make([][]lap, len(racers))
	for round := range rounds {
		for k := range racers {
			i := (k + round) % len(racers)
			l, err := c.lap(ctx, &racers[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", racers[i].name, err)
			}
			laps[i] = append(laps[i], l)
			fmt.Printf("round %d  %-24s in %6.2f s (%5.2f s of it outside the kernel)  counted %6.3f s  out %6.2f s\n", round+1, racers[i].name,
				l.insert.Seconds(), l.user.Seconds(), l.sweep.Seconds(), l.remove.Seconds())
		}
	}
	return laps, nil
}

// lap is one racer's turn. The card's own count says whether the work was done.
func (c *course) lap(ctx context.Context, r *racer) (l lap, err error) {
	timed := func(what string, f func(context.Context) error, want uint64) time.Duration {
		if err != nil || f == nil {
			return 0
		}
		began := time.Now()
		err = f(ctx)
		took := time.Since(began)
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
			return took
		}
		var got uint64
		if got, err = c.used(); err == nil && got != c.base+want {
			err = fmt.Errorf("%s: %d rules in the card, want %d", what, got-c.base, want)
		}
		return took
	}
	before := userTime()
	l.insert = timed("insert", r.insert, uint64(c.n))
	l.user = userTime() - before
	l.sweep = timed("sweep", r.sweep, uint64(c.n))
	l.remove = timed("remove", r.remove, 0)
	return l, err
}

// userTime is what this process and its ended children have used outside the kernel.
func userTime() time.Duration {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var ru unix.Rusage
		if err := unix.Getrusage(who, &ru); err == nil {
			sum += time.Duration(ru.Utime.Nano())
		}
	}
	return sum
}
