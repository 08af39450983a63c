package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) flowsPin() *cobra.Command {
	var t tupleArgs
	var by who
	var d time.Duration
	cmd := &cobra.Command{
		Use:   "pin PROTO SRC DST",
		Short: "Put a flow into hardware before all others and keep it there",
		Long: `Put a flow into hardware before all others and keep it there.
A pin outlives the flow: it waits for the next one with the same tuple. A pinned
flow is never evicted for room. A pin stands until its lease is over, until it is
taken back ("flows unpin"), or until the daemon ends: it does not survive a restart.
` + tupleHelp,
		Example: `  shuntctl flows pin tcp 10.0.0.1:4000 192.0.2.1:443 --note "gold customer" --lease 8h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tuple, err := t.parse(args)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.PinFlow(ctx, &pb.PinFlowRequest{Tuple: tuple, Owner: by.owner, Note: by.note, Lease: lease(cmd, "lease", d)})
				if err != nil {
					return err
				}
				return a.intentSet(ctx, c, r.GetIntent(), "pin")
			})
		},
	}
	t.on(cmd)
	by.on(cmd, true)
	cmd.Flags().DurationVar(&d, "lease", 0, "how `long` it stands (default: until it is taken back, or the daemon ends)")
	return cmd
}
