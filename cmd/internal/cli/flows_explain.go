package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) flowsExplain() *cobra.Command {
	var t tupleArgs
	cmd := &cobra.Command{
		Use:   "explain PROTO SRC DST",
		Short: "Ask every stage about one tuple: why it is in hardware, or why not",
		Long: `Ask every stage about one tuple: why it is in hardware, or why not. Nothing is
installed for it. The age is since shuntd first heard of the flow; "flows get"
has the connection's own. Lines that begin with "no:" speak against hardware.
The exit code is 3 when there is no such flow.
` + tupleHelp,
		Example: "  shuntctl flows explain tcp 10.0.0.1:4000 192.0.2.1:443",
		RunE: func(cmd *cobra.Command, args []string) error {
			tuple, err := t.parse(args)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.ExplainFlow(ctx, &pb.ExplainFlowRequest{Tuple: tuple})
				if err != nil {
					return err
				}
				if a.output == asJSON {
					err = printJSON(a.out, r)
				} else {
					err = a.printStages(a.out, r.GetStages())
				}
				if err == nil && r.GetFlow() == nil {
					return errQuiet{exitNotFound}
				}
				return err
			})
		},
	}
	t.on(cmd)
	return cmd
}

func (a *app) printStages(w io.Writer, stages []*pb.Stage) error {
	last := ""
	for _, s := range stages {
		name := s.GetName()
		if name == last {
			name = ""
		}
		last = s.GetName()
		if _, err := fmt.Fprintf(w, "%-8s %s\n", name, a.stageText(s)); err != nil {
			return err
		}
	}
	return nil
}

// stageText is the stage's word, with its reasons if the words lack them.
func (a *app) stageText(s *pb.Stage) string {
	text := s.GetText()
	if s.GetOk() {
		return text
	}
	var missing []pb.Reason
	for _, r := range s.GetReasons() {
		if !strings.Contains(text, word(r, "REASON_")) {
			missing = append(missing, r)
		}
	}
	if len(missing) > 0 {
		text = strings.TrimSuffix(reasonWords(missing)+": "+text, ": ")
	}
	return a.screen.paint(red, "no:") + " " + text
}
