package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) flowsEvict() *cobra.Command {
	var t tupleArgs
	var by who
	var d time.Duration
	cmd := &cobra.Command{
		Use:   "evict PROTO SRC DST",
		Short: "Take a flow out of hardware for a while",
		Long: `Take a flow out of hardware and keep it out for a while, so that tcpdump and
counters see its packets. It goes back in by itself.
` + tupleHelp,
		Example: `  shuntctl flows evict tcp 10.0.0.1:4000 192.0.2.1:443 --for 2m --note "capturing"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tuple, err := t.parse(args)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.EvictFlow(ctx, &pb.EvictFlowRequest{Tuple: tuple, Owner: by.owner, Note: by.note, Hold: lease(cmd, "for", d)})
				if err != nil || a.output != asJSON {
					return err
				}
				return printJSON(a.out, r)
			})
		},
	}
	t.on(cmd)
	by.on(cmd, true)
	cmd.Flags().DurationVar(&d, "for", 30*time.Second, "how `long` it stays out")
	return cmd
}
