package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/cmd/internal/doctor"
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

func (a *app) devicesProbe() *cobra.Command {
	var driver, prio string
	var ports []string
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Ask the cards of this host what they take, with real rules that no packet matches",
		Long: `Ask the cards of this host what they take: each feature between each pair of
ports, as a real rule that no packet matches, and that is taken out at once. It
needs root, and no daemon; one that runs is not disturbed, as long as --prio is
its nic.settings.prio.

Without --ports every card is asked by two of its ports of each kind. Cells are
"ok" or "no" with a number, below which stands what the kernel said; "!" is where
the card does otherwise than its driver here claims. -o wide has a column for each
pair of ports, -o json a line for each question.`,
		Example: "  sudo shuntctl devices probe\n  sudo shuntctl devices probe --nic mlx5 --ports p0,pf0vf0 -o json",
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !card.IsFlower(driver) {
				return &usageError{fmt.Errorf("--nic %s: give auto or the driver of a card with an eswitch", driver)}
			}
			settings := map[string]string{}
			if prio != "" {
				settings[flower.SettingPrio] = prio
			}
			if err := checkSettings(settings); err != nil {
				return err
			}
			return a.probe(cmd.Context(), driver, ports, settings)
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&ports, "ports", nil, "`interfaces` to ask about, like p0,pf0vf0; two of each kind by default")
	fs.StringVar(&driver, "nic", card.Auto, "the card's `driver`: auto or one of "+strings.Join(cardDrivers(), ", "))
	fs.StringVar(&prio, "prio", "", "the first of shunt's seven tc `prefs`, as nic.settings.prio has it (default 10)")
	return cmd
}

// checkSettings asks the driver that all cards share, which looks at nothing else.
func checkSettings(settings map[string]string) error {
	err := flower.New(flower.Generic).Check(hwif.OpenOptions{Ports: []string{"any"}, Settings: settings})
	var he *hwif.Error
	if errors.As(err, &he) {
		return &usageError{fmt.Errorf("--%s: %s", he.Field, he.Text)}
	}
	return err
}

// cardDrivers are the words for cards behind tc flower, less auto.
func cardDrivers() (out []string) {
	for _, n := range card.Names() {
		if n != card.Auto && card.IsFlower(n) {
			out = append(out, n)
		}
	}
	return out
}

func (a *app) probe(ctx context.Context, driver string, ports []string, settings map[string]string) error {
	missing, err := doctor.Lacking(driver)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing privileges: %s; run it with sudo", strings.Join(missing, ", "))
	}
	inv, err := switchdev.Read(ctx)
	if err != nil {
		return fmt.Errorf("look for cards: %w", err)
	}
	groups, err := toProbe(inv, driver, ports)
	if err != nil {
		return err
	}
	var errs []error
	for i := range groups {
		g := &groups[i]
		if i > 0 && a.output != asJSON {
			fmt.Fprintln(a.out)
		}
		// Interrupted or not, the driver takes out what it has put in.
		found, err := g.Driver.Probe(ctx, hwif.OpenOptions{Ports: g.Named(), Settings: settings})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.Devices[0].Handle, err))
			continue
		}
		if err := a.printProbe(g, found); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// toProbe are the ports to ask about, and who asks.
func toProbe(inv *switchdev.Inventory, driver string, names []string) ([]card.Group, error) {
	if len(names) > 0 {
		g, err := oneGroup(inv, driver, names)
		return []card.Group{g}, err
	}
	var out []card.Group
	var why []string
	for _, g := range card.Groups(inv) {
		switch {
		case driver != card.Auto && g.Driver.Name() != driver:
			why = append(why, fmt.Sprintf("%s is a card for driver %s", g.Devices[0].Handle, g.Driver.Name()))
		case len(g.Ports) == 0:
			why = append(why, append(g.Unfit, g.Devices[0].Handle.String()+" has no other port here")...)
		default:
			out = append(out, g)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	for i := range inv.Devices {
		if d := &inv.Devices[i]; card.Of(d) == nil {
			why = append(why, fmt.Sprintf("%s has kernel driver %s, which no driver of ours knows", d.Handle, or(d.Driver, "unknown")))
		} else if refuse := card.Of(d).Profile.Refuse; refuse != "" {
			why = append(why, fmt.Sprintf("%s is recognised and not used: %s", d.Handle, refuse))
		}
	}
	if len(why) == 0 {
		why = []string{"devlink knows none in this network namespace"}
	}
	return nil, errors.New("no card to ask: " + strings.Join(why, "; "))
}

// oneGroup takes the ports that were named.
func oneGroup(inv *switchdev.Inventory, driver string, names []string) (g card.Group, err error) {
	for _, name := range names {
		g.Ports = append(g.Ports, card.Look(inv, strings.TrimSpace(name)))
	}
	if driver == card.Auto {
		if driver, err = card.Choose(g.Ports); err != nil {
			return g, err
		}
	}
	g.Driver, _ = card.Flower(driver)
	seen := map[switchdev.Handle]bool{}
	for i := range g.Ports {
		p := &g.Ports[i]
		if text := card.Unfit(g.Driver, p); text != "" {
			return g, errors.New(text)
		}
		if !seen[p.Dev.Handle] {
			seen[p.Dev.Handle] = true
			g.Devices = append(g.Devices, p.Dev)
		}
	}
	return g, nil
}
