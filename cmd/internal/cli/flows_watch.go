package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// watchView is one run of `flows watch`.
type watchView struct {
	*app
	known   map[uint64]known // uid → what was said of it
	quiet   bool             // leave the snapshot out
	resumed bool             // an earlier watch has told of flows that known lacks
	limit   int              // changes to print, 0 for no end
	printed int
}

// known is what a reader was told of a flow.
type known struct {
	text string    // its name, for when it leaves the filter
	last time.Time // of the latest change in its history
}

func (a *app) flowsWatch() *cobra.Command {
	var resume string
	w := &watchView{app: a, known: map[uint64]known{}}
	cmd := &cobra.Command{
		Use:   "watch [FILTER]",
		Short: "Follow flows as they change",
		Long: `Print the flows that match, then a line for each change, until interrupted.
Counters that move are no change. With -o json each line is one message of the
API; its seq and instance are what --resume takes. Flows that leave the filter
are told of only if they were in it; after --resume, all that left are.
` + filterHelp(),
		Example: `  shuntctl flows watch
  shuntctl flows watch --changes dst=192.0.2.0/24
  shuntctl flows watch -o json --resume 5c1f03aa9be2d410:8112`,
		ValidArgsFunction: completeFilter,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &pb.WatchFlowsRequest{Filter: strings.Join(args, " ")}
			if err := parseResume(resume, req); err != nil {
				return err
			}
			err := a.connected(cmd.Context(), func(ctx context.Context, c *client) error { return w.run(ctx, c, req) })
			if stopped(cmd.Context(), err) {
				return nil
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&w.quiet, "changes", false, "leave out the flows that are there at the start")
	cmd.Flags().IntVar(&w.limit, "count", 0, "end after `n` changes; 0 means never")
	cmd.Flags().StringVar(&resume, "resume", "", "go on after `instance:seq` of an earlier watch")
	return cmd
}

func parseResume(s string, req *pb.WatchFlowsRequest) error {
	if s == "" {
		return nil
	}
	instance, seq, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(seq, 10, 64)
	if !ok || err != nil || instance == "" {
		return &usageError{fmt.Errorf("--resume %q: write instance:seq, both from one message of -o json", s)}
	}
	req.ResumeInstance, req.ResumeAfterSeq = instance, n
	return nil
}

func (w *watchView) run(ctx context.Context, c *client, req *pb.WatchFlowsRequest) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when count is reached
	defer cancel()
	s, err := c.WatchFlows(ctx, req)
	if err != nil {
		return err
	}
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if w.output == asJSON {
			err = w.raw(m)
		} else {
			err = w.show(m)
		}
		if err != nil || w.full() {
			return err
		}
	}
}

func (w *watchView) full() bool { return w.limit > 0 && w.printed >= w.limit }

func (w *watchView) show(m *pb.WatchFlowsResponse) error {
	switch ev := m.GetEvent().(type) {
	case *pb.WatchFlowsResponse_Start:
		if ev.Start.GetText() != "" {
			fmt.Fprintf(w.err, "shuntctl: the watch starts over: %s\n", ev.Start.GetText())
		}
	case *pb.WatchFlowsResponse_Snapshot:
		for _, f := range ev.Snapshot.GetFlows() {
			if err := w.line(m, f, !w.quiet); err != nil {
				return err
			}
		}
	case *pb.WatchFlowsResponse_Changes:
		return w.changes(m, ev.Changes)
	}
	return nil
}

func (w *watchView) changes(m *pb.WatchFlowsResponse, ch *pb.WatchChanges) error {
	for _, f := range ch.GetFlows() {
		if w.printed++; w.limit > 0 && w.printed > w.limit {
			return nil
		}
		if err := w.line(m, f, true); err != nil {
			return err
		}
		if f.GetGone() {
			delete(w.known, f.GetUid())
		}
	}
	for _, uid := range ch.GetLeft() {
		k, ok := w.known[uid]
		if !ok {
			continue // never matched
		}
		delete(w.known, uid)
		if w.printed++; w.limit > 0 && w.printed > w.limit {
			return nil
		}
		if _, err := fmt.Fprintf(w.out, "%s  %-18s %s\n", clock(m), "(left)", k.text); err != nil {
			return err
		}
	}
	return nil
}

func clock(m *pb.WatchFlowsResponse) string {
	return m.GetAsOf().AsTime().Local().Format("15:04:05.000")
}

// line prints one flow. Columns have fixed widths: a watch has no end at which
// it could be aligned.
func (w *watchView) line(m *pb.WatchFlowsResponse, f *pb.Flow, show bool) error {
	text := flowText(f)
	before, seen := w.known[f.GetUid()]
	k := known{text, before.last}
	var why []string
	if len(f.GetReasons()) > 0 {
		why = append(why, reasonWords(f.GetReasons()))
	}
	// Changes between two messages come as one: the history has them.
	for i, h := range f.GetHistory() {
		at := h.GetAt().AsTime()
		fresh := seen && at.After(before.last) || !seen && i == len(f.GetHistory())-1
		if fresh && h.GetCause() != 0 {
			if c := "after " + causeWord(h.GetCause()); !slices.Contains(why, c) {
				why = append(why, c)
			}
		}
		k.last = at
	}
	w.known[f.GetUid()] = k
	if !show {
		return nil
	}
	if len(why) == 0 && hasWay(f, f.GetOrig()) && !isDrop(f) {
		why = append(why, "out "+outText(f, f.GetOrig()))
	}
	state := w.screen.paint(stateColour(f.GetState()), fmt.Sprintf("%-18s", stateText(f)))
	_, err := fmt.Fprintf(w.out, "%s  %s %s  %s\n", clock(m), state, text, strings.Join(why, ", "))
	return err
}
