package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// flowerOptions is what the command line says.
type flowerOptions struct {
	rules, rounds, slices int
	only                  []string
}

// flowerCommand measures how quickly rules get into a card behind tc flower. It
// wants a kernel with the simnic module: make bench-vm runs it in one.
func flowerCommand() *cobra.Command {
	var o flowerOptions
	cmd := &cobra.Command{
		Use:   "flower",
		Short: "Rules into, out of and counted in an emulated card, beside tc, vishvananda/netlink, Open vSwitch and a replay of messages (in the guest)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.slices < 1 || o.rounds < 1 || o.rules < o.slices {
				return fmt.Errorf("rules %d, rounds %d, slices %d: want one at least, and a rule for each slice", o.rules, o.rounds, o.slices)
			}
			return benchFlower(cmd.Context(), os.Stdout, o)
		},
	}
	cmd.Flags().IntVar(&o.rules, "rules", 20_000, "NAT rules that each racer puts into the card")
	cmd.Flags().IntVar(&o.rounds, "rounds", 5, "rounds")
	cmd.Flags().IntVar(&o.slices, "slices", 8, "parts of a round, in each of which every racer has its turn")
	cmd.Flags().StringSliceVar(&o.only, "only", nil, "let only racers run whose names begin so; no figures then")
	return cmd
}

// course is what all racers run on: one card, and rules from in to out.
type course struct {
	card    *simnic.Card
	in, out hwif.Port
	n       int
	base    uint64 // rules that are in the card anyway
}

// mostRacers is how many tables of rules the card has room for.
const mostRacers = 8

func benchFlower(ctx context.Context, w io.Writer, o flowerOptions) (err error) {
	if !simnic.Present() {
		return errors.New("the simnic module is not loaded; run make bench-vm")
	}
	c, dev, err := newCourse(ctx, o.rules)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close(true), c.card.Close()) }()
	racers, absent, err := c.racers(dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, racers.close()) }()
	if len(o.only) > 0 {
		racers = slices.DeleteFunc(racers, func(r *racer) bool {
			return !slices.ContainsFunc(o.only, func(p string) bool { return strings.HasPrefix(r.name, p) })
		})
	}
	res, err := c.race(ctx, w, racers, o.rounds, o.slices)
	if err != nil {
		return err
	}
	if len(o.only) > 0 {
		res.print(w)
		return nil
	}
	if err := c.sweeps(ctx, racers, o.rounds, res); err != nil {
		return err
	}
	res.print(w)
	for _, text := range append(absent, c.nft(ctx)) {
		fmt.Fprintf(w, "  %s\n", text)
	}
	res.figures(w)
	return nil
}

// newCourse makes the card and opens the driver on a VF and the uplink, as the
// daemon does.
func newCourse(ctx context.Context, n int) (*course, hwif.Device, error) {
	card, err := simnic.New(simnic.Options{ID: 9, Profile: "mlx5", Mode: "switchdev", VFs: 3, Rules: uint(mostRacers*n + 64)})
	if err != nil {
		return nil, nil, err
	}
	c := &course{card: card, n: n}
	dev, err := c.open(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, card.Close())
	}
	return c, dev, nil
}

func (c *course) open(ctx context.Context) (hwif.Device, error) {
	names := []string{c.card.VF(0), c.card.Uplink(0)}
	if err := c.card.Quieten(names...); err != nil {
		return nil, err
	}
	dev, err := mlx5.New().Open(ctx, hwif.OpenOptions{Ports: names})
	if err != nil {
		return nil, err
	}
	ports, err := dev.Ports(ctx)
	if err == nil && len(ports) != len(names) {
		err = fmt.Errorf("the device has %d ports, want %d", len(ports), len(names))
	}
	if err != nil {
		return nil, errors.Join(err, dev.Close(true))
	}
	c.in, c.out = ports[0], ports[1]
	if c.base, err = c.used(); err != nil {
		return nil, errors.Join(err, dev.Close(true))
	}
	return dev, nil
}

// used is the card's own count of its rules.
func (c *course) used() (uint64, error) {
	st, err := c.card.Stats()
	return st.Used, err
}
