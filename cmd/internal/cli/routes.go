package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) routes() *cobra.Command {
	var byPath bool
	cmd := &cobra.Command{
		Use:   "routes [FILTER]",
		Short: "List the routes that are cached in flows",
		Long: `List the routes that are cached in flows, a line for each direction: where its
packets enter and leave, the next hop and its MAC, the largest packet, how the route
became known, how long ago it was learnt and a packet was last seen to go that way,
and in which flow it is cached. LEARNT is "packet" when a packet was seen to leave so
and the kernel's tables agreed, "tables" when those alone were asked; "1 of N" is a
leg of a multipath route. OUT is "drop" where hardware drops: of such flows only the
directions that have a rule are listed.

Which entries of the kernel a route rests on: its next hop (ip neigh show), the
interfaces it enters and leaves by (ip link show), and what "ip route get" says for
the flow. A change of any of them takes the flow out of hardware first.
` + filterHelp(),
		Example: `  shuntctl routes
  shuntctl routes offloaded proto=tcp
  shuntctl routes --by-path`,
		ValidArgsFunction: completeFilter,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				return a.listRoutes(ctx, c, strings.Join(args, " "), byPath)
			})
		},
	}
	cmd.Flags().BoolVar(&byPath, "by-path", false, "one line for each way that flows share; not with -o json")
	return cmd
}

// way is what flows share.
type way struct{ in, out, via, lladdr, mtu string }

func wayOf(f *pb.Flow, r *pb.Route) way {
	in := portText(r.GetInPort(), r.GetInIfindex(), r.GetInVlan())
	if isDrop(f) {
		return way{in, "drop", none, none, none}
	}
	return way{in, portText(r.GetOutPort(), r.GetOutIfindex(), r.GetOutVlan()), or(r.GetNexthop(), "on link"), r.GetDstMac(), fmt.Sprint(r.GetMtu())}
}

func learntText(r *pb.Route) string {
	s := word(r.GetLearnt(), "LEARNT_")
	if r.GetLegs() != 0 {
		s += fmt.Sprintf(", 1 of %d", r.GetLegs())
	}
	if r.GetMark() != 0 {
		s += fmt.Sprintf(", mark 0x%x", r.GetMark())
	}
	return s
}

// shared counts the flows of one way.
type shared struct {
	flows, inHW    int
	learnt, newest *timestamppb.Timestamp
}

func (a *app) listRoutes(ctx context.Context, c *client, filter string, byPath bool) error {
	s, err := c.ListFlows(ctx, &pb.ListFlowsRequest{Filter: filter})
	if err != nil {
		return err
	}
	t := &table{screen: a.screen, heads: []string{"IN", "OUT", "VIA", "LLADDR", "MTU", "LEARNT", "SINCE", "SEEN", "STATE", "DIR", "FLOW"},
		spare: []string{"MTU", "SEEN", "SINCE", "LLADDR", "STATE"}}
	ways, order, printed := map[way]*shared{}, []way(nil), 0
	var last *pb.ListFlowsResponse
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		last = m
		for _, f := range m.GetFlows() {
			if f.GetOrig().GetRoute() == nil {
				continue
			}
			if a.output == asJSON {
				if err := printJSON(a.out, f); err != nil {
					return err
				}
				continue
			}
			for _, d := range []struct {
				name string
				dir  *pb.Direction
			}{{"orig", f.GetOrig()}, {"reply", f.GetReply()}} {
				r := d.dir.GetRoute()
				if !hasWay(f, d.dir) {
					continue
				}
				w := wayOf(f, r)
				if byPath {
					if ways[w] == nil {
						ways[w], order = &shared{learnt: f.GetRoutedAt()}, append(order, w)
					}
					ways[w].add(f)
					continue
				}
				t.row(w.in, w.out, w.via, w.lladdr, w.mtu, learntText(r), since(f.GetRoutedAt(), m.GetAsOf()), since(r.GetSeenAt(), m.GetAsOf()),
					stateText(f), d.name, tupleText(d.dir.GetTuple()))
			}
		}
		if len(t.rows) >= block {
			if err := t.print(a.out, printed == 0); err != nil {
				return err
			}
			printed++
		}
	}
	if byPath {
		t.heads, t.spare = []string{"IN", "OUT", "VIA", "LLADDR", "MTU", "FLOWS", "IN HW", "OLDEST", "NEWEST"}, []string{"MTU", "NEWEST", "OLDEST"}
		for _, w := range order {
			n := ways[w]
			t.row(w.in, w.out, w.via, w.lladdr, w.mtu, fmt.Sprint(n.flows), fmt.Sprint(n.inHW), since(n.learnt, last.GetAsOf()), since(n.newest, last.GetAsOf()))
		}
	}
	switch {
	case len(t.rows) > 0:
		return t.print(a.out, printed == 0)
	case printed == 0 && a.output != asJSON:
		fmt.Fprintln(a.err, "no route is cached in a flow that matches")
	}
	return nil
}

func (n *shared) add(f *pb.Flow) {
	n.flows++
	if f.GetState() == pb.State_STATE_ACTIVE || f.GetState() == pb.State_STATE_INSTALLED {
		n.inHW++
	}
	at := f.GetRoutedAt()
	if at.AsTime().Before(n.learnt.AsTime()) {
		n.learnt = at
	}
	if n.newest == nil || at.AsTime().After(n.newest.AsTime()) {
		n.newest = at
	}
}
