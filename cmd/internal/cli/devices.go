package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) devices() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "devices",
		Aliases: []string{"device"},
		Short:   "Show devices: how full, what they can do, and which ports carry rules",
		Long:    "Show each device: how full its table is, its ports, where they can send, and why a\nport carries no rules. -o wide adds what it can match and do.",
		Example: "  shuntctl devices -o wide\n  sudo shuntctl devices probe",
		Args:    subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.ListDevices(ctx, &pb.ListDevicesRequest{})
				if err != nil {
					return err
				}
				for i, d := range r.GetDevices() {
					if a.output == asJSON {
						err = printJSON(a.out, d)
					} else {
						err = a.printDevice(d, i > 0)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.AddCommand(a.devicesProbe(), a.devicesMode())
	return cmd
}

func (a *app) printDevice(d *pb.Device, space bool) error {
	if space {
		fmt.Fprintln(a.out)
	}
	caps := d.GetCapabilities()
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(a.out, "%-9s %s\n", name, text)
		}
	}
	line("device", fmt.Sprintf("%d %s", d.GetId(), d.GetDriver()))
	line("rules", occupancy(d.GetUsed(), caps.GetMaxRules()))
	if n := d.GetStrangers(); n > 0 {
		line("strangers", fmt.Sprintf("%d rules that are not ours", n))
	}
	if d.GetFailed() != "" {
		line("failed", a.screen.paint(red, d.GetFailed()))
	}
	line("counters", fmt.Sprintf("%s, up to %s old", countersText(caps.GetCounters()), age(caps.GetCounterLag())))
	if a.output == asWide {
		line("matches", strings.Join(caps.GetFields(), ", "))
		line("actions", strings.Join(caps.GetActions(), ", "))
		line("loose", strings.Join(caps.GetLoose(), ", "))
		line("batch", fmt.Sprint(caps.GetBatch()))
		line("guarded", yes(caps.GetGuarded(), "leaves by itself what a rule cannot exclude to the kernel", "needs guard rules"))
		line("persists", yes(caps.GetPersistent(), "rules outlive the daemon", "rules end with the daemon"))
	}
	for _, n := range caps.GetNotes() {
		line("note", n)
	}
	t := &table{screen: a.screen, heads: []string{"PORT", "KIND", "IFINDEX", "MAC", "MTU", "LINK", "SENDS TO", "RULES"}, spare: []string{"IFINDEX", "MAC", "MTU", "KIND"}}
	for _, p := range d.GetPorts() {
		t.row(p.GetName(), word(p.GetKind(), "PORT_KIND_"), fmt.Sprint(p.GetIfindex()), p.GetMac(), fmt.Sprint(p.GetMtu()),
			yes(p.GetUp(), "up", "down"), sendsTo(d, p), or(p.GetRefused(), "ok"))
	}
	return t.print(a.out, true)
}

// sendsTo says which ports the device can join this one to. Of many it names the
// first few: -o json has them all.
func sendsTo(d *pb.Device, p *pb.Port) string {
	const most = 4
	j := p.GetJoins()
	names := j.GetPorts()
	switch others := len(d.GetPorts()) - 1; {
	case j == nil:
		return "every port"
	case len(names) == 0:
		return "none"
	case len(names) > most && len(names) == others && !slices.Contains(names, p.GetName()):
		return "every other port"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ","), len(names)-most)
	}
	return strings.Join(names, ",")
}

func yes(b bool, is, isNot string) string {
	if b {
		return is
	}
	return isNot
}

func countersText(k pb.CounterKind) string {
	if k == pb.CounterKind_COUNTER_KIND_FULL {
		return "packets and bytes"
	}
	return word(k, "COUNTER_KIND_")
}

func occupancy(used, limit uint32) string {
	if limit == 0 {
		return fmt.Sprintf("%d of an unknown number", used)
	}
	return fmt.Sprintf("%d of %d (%.1f%%)", used, limit, 100*float64(used)/float64(limit))
}
