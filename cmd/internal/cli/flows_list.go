package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// block is how many rows are aligned together: enough for a steady picture,
// little enough to begin printing at once.
const block = 512

func (a *app) flowsList() *cobra.Command {
	var limit uint32
	cmd := &cobra.Command{
		Use:   "list [FILTER]",
		Short: "List flows, where they are, and why",
		Long: `List flows: state, addresses ("as" is the source that NAT makes of it, "to" the
destination), the reasons for not being in hardware, where the original direction
leaves, packets/bytes of both directions by kernel and by NIC, and the age: since
the connection's start where conntrack tells it (nf_conntrack_timestamp),
otherwise since shuntd first heard of it. What the kernel counted is as old as the
last listing of conntrack, at most conntrack.relist (5s); "-o wide" says how old.
` + filterHelp(),
		Example: `  shuntctl flows list
  shuntctl flows list state=active,installed proto=tcp dst=10.0.0.0/8
  shuntctl flows list '!offloaded' reason!=below_threshold -o wide`,
		ValidArgsFunction: completeFilter,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				return a.list(ctx, c, strings.Join(args, " "), limit)
			})
		},
	}
	cmd.Flags().Uint32Var(&limit, "limit", 0, "list at most `n` flows; 0 means all")
	return cmd
}

func (a *app) list(ctx context.Context, c *client, filter string, limit uint32) error {
	s, err := c.ListFlows(ctx, &pb.ListFlowsRequest{Filter: filter, PageSize: limit})
	if err != nil {
		return err
	}
	t, printed := a.flowTable(), 0
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, f := range m.GetFlows() {
			if a.output == asJSON {
				if err := printJSON(a.out, f); err != nil {
					return err
				}
				continue
			}
			t.row(a.flowRow(f, m)...)
		}
		if len(t.rows) >= block {
			if err := t.print(a.out, printed == 0); err != nil {
				return err
			}
			printed++
		}
		if m.GetNextPageToken() != "" {
			fmt.Fprintf(a.err, "shuntctl: more flows match than --limit %d\n", limit)
		}
	}
	switch {
	case len(t.rows) > 0:
		return t.print(a.out, printed == 0)
	case printed == 0 && a.output != asJSON:
		fmt.Fprintln(a.err, "no flow matches")
	}
	return nil
}

func (a *app) flowTable() *table {
	t := &table{screen: a.screen, heads: []string{a.screen.paint(plain, "STATE"), "FLOW", "REASON", "OUT", "KERNEL", "NIC", "AGE"},
		spare: []string{"AGE", "OUT", "KERNEL", "NIC", "REASON"}}
	if a.output == asWide {
		t.heads = append(t.heads, "UID", "REPLY OUT", "MTU", "RULES", "TCP", "MARK", "INSTALLS", "COUNTED", "TEXT")
		t.spare = append([]string{"TEXT", "COUNTED", "MARK", "TCP", "INSTALLS", "MTU", "REPLY OUT", "RULES", "UID"}, t.spare...)
	}
	return t
}

func (a *app) flowRow(f *pb.Flow, m *pb.ListFlowsResponse) []string {
	o, r := f.GetOrig(), f.GetReply()
	row := []string{a.screen.paint(stateColour(f.GetState()), stateText(f)), flowText(f), or(reasonWords(f.GetReasons()), none), outText(f, o),
		counterText(o.GetKernel(), r.GetKernel()), counterText(o.GetNic(), r.GetNic()), since(f.GetCreatedAt(), m.GetAsOf())}
	if a.output != asWide {
		return row
	}
	mtu := none
	if o.GetRoute() != nil && !isDrop(f) {
		mtu = fmt.Sprintf("%d/%d", o.GetRoute().GetMtu(), r.GetRoute().GetMtu())
	}
	return append(row, fmt.Sprint(f.GetUid()), outText(f, r), mtu,
		word(o.GetRule(), "RULE_STATE_")+"/"+word(r.GetRule(), "RULE_STATE_"), or(f.GetTcpState(), none),
		fmt.Sprintf("0x%x", f.GetMark()), fmt.Sprint(f.GetInstalls()),
		age(f.GetKernelCountersAge())+"/"+age(f.GetNicCountersAge()), or(f.GetText(), none))
}
