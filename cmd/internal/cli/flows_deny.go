package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) flowsDeny() *cobra.Command {
	var t tupleArgs
	var by who
	var d time.Duration
	cmd := &cobra.Command{
		Use:   "deny PROTO SRC DST",
		Short: "Keep a flow out of hardware",
		Long: `Keep a flow out of hardware.
A denial outlives the flow, and takes it out of hardware if it is there. It
stands until its lease is over, until it is taken back ("flows allow"), or until
the daemon ends: it does not survive a restart.
` + tupleHelp,
		Example: `  shuntctl flows deny tcp 10.0.0.1:4000 192.0.2.1:443 --note "being captured" --lease 1h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tuple, err := t.parse(args)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.DenyFlow(ctx, &pb.DenyFlowRequest{Tuple: tuple, Owner: by.owner, Note: by.note, Lease: lease(cmd, "lease", d)})
				if err != nil {
					return err
				}
				return a.intentSet(ctx, c, r.GetIntent(), "denial")
			})
		},
	}
	t.on(cmd)
	by.on(cmd, true)
	cmd.Flags().DurationVar(&d, "lease", 0, "how `long` it stands (default: until it is taken back, or the daemon ends)")
	return cmd
}
