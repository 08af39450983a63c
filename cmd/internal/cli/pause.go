package cli

import (
	"context"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) pause() *cobra.Command {
	var by who
	cmd := &cobra.Command{
		Use:     "pause",
		Short:   "Take every flow out of hardware and let none in",
		Long:    "Take every flow out of hardware and let none in, pinned ones included, until `shuntctl resume`.",
		Example: `  shuntctl pause --note "card is being replaced"`,
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				_, err := c.Pause(ctx, &pb.PauseRequest{Owner: by.owner, Note: by.note})
				return err
			})
		},
	}
	by.on(cmd, true)
	return cmd
}
