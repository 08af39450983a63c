package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) intents() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:   "intents",
		Short: "List pins and denials: who, why, how long",
		Long: `List the pins and denials in force. Each stands until its lease is over, until it
is taken back, or until the daemon ends: they do not survive a restart.
Holds after an eviction stand on their flows.`,
		Example: "  shuntctl intents --owner alice",
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.ListIntents(ctx, &pb.ListIntentsRequest{Owner: owner})
				if err != nil {
					return err
				}
				return a.printIntents(r)
			})
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "only those of `who`")
	return cmd
}

func (a *app) printIntents(r *pb.ListIntentsResponse) error {
	t := &table{screen: a.screen, heads: []string{"KIND", "FLOW", "OWNER", "AGE", "LEFT", "NOTE"}, spare: []string{"AGE", "NOTE"}}
	for _, in := range r.GetIntents() {
		if a.output == asJSON {
			if err := printJSON(a.out, in); err != nil {
				return err
			}
			continue
		}
		left := "until shuntd ends"
		if in.GetExpiresAt() != nil {
			left = since(r.GetAsOf(), in.GetExpiresAt())
		}
		t.row(word(in.GetKind(), "INTENT_KIND_"), tupleText(in.GetTuple()), in.GetOwner(), since(in.GetSetAt(), r.GetAsOf()), left, or(in.GetNote(), none))
	}
	switch {
	case len(t.rows) > 0:
		return t.print(a.out, true)
	case a.output != asJSON:
		fmt.Fprintln(a.err, "no pin or denial is in force")
	}
	return nil
}

// intentSet prints what a pin or a denial has to say once it is in force. That
// its flow is not there goes to stderr: it is no error, but may be a typing error.
func (a *app) intentSet(ctx context.Context, c *client, in *pb.Intent, what string) error {
	if a.output == asJSON {
		if err := printJSON(a.out, in); err != nil {
			return err
		}
	}
	if _, err := c.GetFlow(ctx, &pb.GetFlowRequest{Tuple: in.GetTuple()}); status.Code(err) == codes.NotFound {
		fmt.Fprintf(a.err, "no such flow now; the %s waits for it\n", what)
	}
	return nil
}
