package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) flowsGet() *cobra.Command {
	var t tupleArgs
	cmd := &cobra.Command{
		Use:   "get PROTO SRC DST",
		Short: "Show one flow with all that is known of it",
		Long: `Show one flow with all that is known of it. Its age is since the connection's
start where conntrack tells it (nf_conntrack_timestamp), otherwise since shuntd
first heard of it.
` + tupleHelp,
		Example: "  shuntctl flows get tcp 10.0.0.1:4000 192.0.2.1:443",
		RunE: func(cmd *cobra.Command, args []string) error {
			tuple, err := t.parse(args)
			if err != nil {
				return err
			}
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.GetFlow(ctx, &pb.GetFlowRequest{Tuple: tuple})
				if err != nil {
					return err
				}
				if a.output == asJSON {
					return printJSON(a.out, r.GetFlow())
				}
				a.printFlow(a.out, r)
				return nil
			})
		},
	}
	t.on(cmd)
	return cmd
}

func (a *app) printFlow(w io.Writer, r *pb.GetFlowResponse) {
	f := r.GetFlow()
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("flow", "#%d %s", f.GetUid(), flowText(f))
	line("state", "%s for %s", a.screen.paint(stateColour(f.GetState()), stateText(f)), since(f.GetStateSince(), r.GetAsOf()))
	if len(f.GetReasons()) > 0 {
		line("reason", "%s", reasonWords(f.GetReasons()))
	}
	if f.GetText() != "" {
		line("text", "%s", f.GetText())
	}
	if f.GetRetryAt() != nil {
		line("retry", "in %s", since(r.GetAsOf(), f.GetRetryAt()))
	}
	if in := f.GetIntent(); in != nil {
		line("intent", "%s", intentText(in, r.GetAsOf().AsTime()))
	}
	for _, d := range []struct {
		name string
		dir  *pb.Direction
	}{{"orig", f.GetOrig()}, {"reply", f.GetReply()}} {
		line(d.name, "%s", directionText(f, d.dir))
	}
	line("counted", "kernel %s, NIC %s", ago(f.GetKernelCountersAge()), ago(f.GetNicCountersAge()))
	line("conntrack", "id %d, mark 0x%x, status 0x%x %s", f.GetConntrackId(), f.GetMark(), f.GetConntrackStatus(), f.GetTcpState())
	line("installs", "%d, age %s", f.GetInstalls(), since(f.GetCreatedAt(), r.GetAsOf()))
	for i, h := range f.GetHistory() {
		name := "history"
		if i > 0 {
			name = ""
		}
		text := stateWord(h.GetState())
		if h.GetCause() != 0 {
			text += ": " + causeWord(h.GetCause())
		}
		if h.GetText() != "" {
			text += " (" + h.GetText() + ")"
		}
		line(name, "%8s ago  %s", since(h.GetAt(), r.GetAsOf()), text)
	}
}

func directionText(f *pb.Flow, d *pb.Direction) string {
	s := "rule " + word(d.GetRule(), "RULE_STATE_")
	r := d.GetRoute()
	switch {
	case !hasWay(f, d):
	case isDrop(f):
		s += ", in " + portText(r.GetInPort(), r.GetInIfindex(), r.GetInVlan()) + " drop"
	default:
		s += fmt.Sprintf(", in %s out %s lladdr %s mtu %d", portText(r.GetInPort(), r.GetInIfindex(), r.GetInVlan()),
			portText(r.GetOutPort(), r.GetOutIfindex(), r.GetOutVlan()), r.GetDstMac(), r.GetMtu())
		if r.GetNexthop() != "" {
			s += " via " + r.GetNexthop()
		}
	}
	return s + fmt.Sprintf("; kernel %s, NIC %s", counterText(d.GetKernel(), nil), counterText(d.GetNic(), nil))
}

func intentText(in *pb.Intent, now time.Time) string {
	s := word(in.GetKind(), "INTENT_KIND_")
	if in.GetOwner() != "" {
		s += " by " + in.GetOwner()
	}
	if in.GetExpiresAt() != nil {
		s += ", " + span(in.GetExpiresAt().AsTime().Sub(now)) + " left"
	}
	if in.GetNote() != "" {
		s += fmt.Sprintf(" (%s)", in.GetNote())
	}
	return s
}
