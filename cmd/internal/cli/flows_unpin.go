package cli

import (
	"context"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) flowsUnpin() *cobra.Command {
	var t tupleArgs
	var by who
	cmd := &cobra.Command{
		Use:     "unpin PROTO SRC DST",
		Short:   "Take a pin back",
		Long:    "Take a pin back. Only its owner can.\n" + tupleHelp,
		Example: "  shuntctl flows unpin tcp 10.0.0.1:4000 192.0.2.1:443",
		RunE: func(cmd *cobra.Command, args []string) error {
			tuple, err := t.parse(args)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.UnpinFlow(ctx, &pb.UnpinFlowRequest{Tuple: tuple, Owner: by.owner})
				if err != nil || a.output != asJSON {
					return err
				}
				return printJSON(a.out, r)
			})
		},
	}
	t.on(cmd)
	by.on(cmd, false)
	return cmd
}
