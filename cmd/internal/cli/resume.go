package cli

import (
	"context"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) resume() *cobra.Command {
	var by who
	cmd := &cobra.Command{
		Use:     "resume",
		Short:   "End a pause",
		Long:    "End a pause: flows are judged anew and go back into hardware.",
		Example: "  shuntctl resume",
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				_, err := c.Resume(ctx, &pb.ResumeRequest{Owner: by.owner})
				return err
			})
		},
	}
	by.on(cmd, false)
	return cmd
}
