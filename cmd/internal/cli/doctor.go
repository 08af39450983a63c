package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/cmd/internal/doctor"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) doctor() *cobra.Command {
	var opts doctor.Options
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at this host: can shuntd work here, and what mends it if not",
		Long: `Look at this host; no daemon need run: kernel, privileges, conntrack, forwarding,
ports, and with --nic auto the cards behind them. Each finding that is not ok comes
with the command that mends it. If a daemon answers, its ports and its mode are held
against what is wanted; without --ports, its ports and its driver are looked at.
Nothing is changed. The exit code is 1 when shuntd cannot work like this.`,
		Example: "  shuntctl doctor --ports eth0,eth1\n  sudo shuntctl doctor --nic auto --ports p0,pf0vf0",
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := card.ByName(opts.Driver); err != nil && opts.Driver != "" && opts.Driver != card.Auto {
				return &usageError{fmt.Errorf("--nic: %w", err)}
			}
			opts.Socket, opts.Devices = a.socket, a.devicesOf
			found := doctor.Run(cmd.Context(), opts)
			if err := a.printFindings(found); err != nil {
				return err
			}
			if doctor.Worst(found) == doctor.Fail {
				return errQuiet{exitFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&opts.Ports, "ports", nil, "`interfaces` that shuntd is to use, like eth0,eth1")
	cmd.Flags().StringVar(&opts.Driver, "nic", "", "the device's `driver`: xdp (default), "+strings.Join(slices.DeleteFunc(card.Names(), func(n string) bool { return n == "xdp" }), ", "))
	return cmd
}

// devicesOf asks the daemon that answers on the socket.
func (a *app) devicesOf(ctx context.Context) (devices []*pb.Device, err error) {
	err = a.call(ctx, func(ctx context.Context, c *client) error {
		r, err := c.ListDevices(ctx, &pb.ListDevicesRequest{})
		devices = r.GetDevices()
		return err
	})
	if err != nil {
		text, _ := said(err)
		return nil, errors.New(text)
	}
	return devices, nil
}

func (a *app) printFindings(found []doctor.Finding) error {
	if a.output == asJSON {
		enc := json.NewEncoder(a.out)
		for _, f := range found {
			err := enc.Encode(struct {
				Name  string `json:"name"`
				Level string `json:"level"`
				Text  string `json:"text"`
				Mend  string `json:"mend,omitempty"`
			}{f.Name, f.Level.String(), f.Text, f.Mend})
			if err != nil {
				return err
			}
		}
		return nil
	}
	colours := map[doctor.Level]string{doctor.OK: green, doctor.Warn: yellow, doctor.Fail: red}
	width := 0
	for _, f := range found {
		width = max(width, len(f.Name))
	}
	for _, f := range found {
		level := a.screen.paint(colours[f.Level], fmt.Sprintf("%-4s", f.Level))
		if _, err := fmt.Fprintf(a.out, "%s  %-*s  %s\n", level, width, f.Name, f.Text); err != nil {
			return err
		}
		if f.Mend == "" {
			continue
		}
		if _, err := fmt.Fprintf(a.out, "%*smend: %s\n", width+8, "", f.Mend); err != nil {
			return err
		}
	}
	return nil
}
