package cli

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

// who are the flags that every write has.
type who struct{ owner, note string }

func (w *who) on(cmd *cobra.Command, note bool) {
	cmd.Flags().StringVar(&w.owner, "owner", "", "`who` asks (default: the user)")
	if note {
		cmd.Flags().StringVar(&w.note, "note", "", "`why`, for the log and for others")
	}
}

// lease reads a duration flag; nil when it was not given, so that 0 is refused
// and not taken for "none".
func lease(cmd *cobra.Command, flag string, d time.Duration) *durationpb.Duration {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return durationpb.New(d)
}
