package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of shuntctl, and of the daemon if it runs",
		Example: "  shuntctl version",
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var daemon, why string
			err := a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.GetStats(ctx, &pb.GetStatsRequest{})
				daemon = r.GetVersion()
				return err
			})
			if err != nil { // no fault: there may be no daemon here
				why, _ = said(err)
			}
			if a.output == asJSON {
				return json.NewEncoder(a.out).Encode(map[string]string{"shuntctl": build(), "shuntd": daemon})
			}
			fmt.Fprintln(a.out, "shuntctl", build())
			_, err = fmt.Fprintln(a.out, "shuntd  ", or(daemon, "unknown: "+why))
			return err
		},
	}
}

// build is the module's version as the Go toolchain stamped it.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
