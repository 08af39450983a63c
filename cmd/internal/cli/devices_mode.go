package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/switchdev"
)

func (a *app) devicesMode() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "mode switchdev|legacy DEVICE",
		Short: "Change the mode of a card's eswitch; shuntd itself never does",
		Long: `Change the mode of a card's eswitch. DEVICE is devlink's name of it, or one of its
interfaces. Representors appear or vanish by it, and the traffic of the card's VFs
stops meanwhile, so it wants --yes. It needs root, and no daemon; rules on the
card's ports, of anybody, are in the way.`,
		Example: "  sudo shuntctl devices mode switchdev pci/0000:03:00.0 --yes",
		Args:    exactly(2, "a mode and a device"),
		RunE: func(cmd *cobra.Command, args []string) error {
			mode, ok := map[string]switchdev.Mode{"switchdev": switchdev.ModeSwitchdev, "legacy": switchdev.ModeLegacy}[args[0]]
			if !ok {
				return &usageError{fmt.Errorf("%q is no mode; there are switchdev and legacy", args[0])}
			}
			return a.setMode(cmd.Context(), mode, args[1], yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it, although the traffic of the card's VFs stops meanwhile")
	return cmd
}

func (a *app) setMode(ctx context.Context, mode switchdev.Mode, name string, yes bool) error {
	c, err := switchdev.Open()
	if err != nil {
		return err
	}
	defer c.Close()
	inv, err := c.Read(ctx)
	if err != nil {
		return fmt.Errorf("look for cards: %w", err)
	}
	d, err := deviceNamed(inv, name)
	if err != nil {
		return err
	}
	switch {
	case d.Mode == mode:
		fmt.Fprintf(a.out, "%s is in %s mode already\n", d.Handle, mode)
		return nil
	case !yes:
		return &usageError{fmt.Errorf("%s is in %s mode; to change it its representors appear or vanish and the traffic of its VFs stops meanwhile: say --yes", d.Handle, d.Mode)}
	}
	if err := c.SetEswitchMode(ctx, d.Handle, mode); err != nil {
		return err
	}
	if inv, err = c.Read(ctx); err != nil {
		return fmt.Errorf("it was changed; look again: %w", err)
	}
	var ports []string
	if now, ok := inv.Device(d.Handle); ok {
		for _, p := range now.Ports {
			if p.Name != "" {
				ports = append(ports, p.Name)
			}
		}
	}
	fmt.Fprintf(a.out, "%s is in %s mode; its ports: %s\n", d.Handle, mode, or(strings.Join(ports, ", "), none))
	return nil
}

// deviceNamed finds a card by devlink's name or by the name of an interface.
func deviceNamed(inv *switchdev.Inventory, name string) (*switchdev.Device, error) {
	if h, err := switchdev.ParseHandle(name); err == nil {
		if d, ok := inv.Device(h); ok {
			return d, nil
		}
	}
	if p := card.Look(inv, name); p.Dev != nil {
		return p.Dev, nil
	}
	var known []string
	for i := range inv.Devices {
		known = append(known, inv.Devices[i].Handle.String())
	}
	if len(known) == 0 {
		return nil, errors.New("devlink knows no card in this network namespace")
	}
	return nil, fmt.Errorf("%s is no card and no port of one; there are: %s", name, strings.Join(known, ", "))
}
