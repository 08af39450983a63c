package cli

import (
	"slices"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// raw prints one message as JSON, less what the reader did not ask for: the
// snapshot's flows with --changes, and flows that left a filter which they were
// never in. A message of changes that has nothing else is not printed; resuming
// before it brings nothing back that matters.
func (w *watchView) raw(m *pb.WatchFlowsResponse) error {
	switch ev := m.GetEvent().(type) {
	case *pb.WatchFlowsResponse_Start:
		w.resumed = ev.Start.GetResumed()
		clear(w.known) // what was known before a new snapshot no longer counts
	case *pb.WatchFlowsResponse_Snapshot:
		w.inView(ev.Snapshot.GetFlows())
		if w.quiet {
			return nil
		}
	case *pb.WatchFlowsResponse_Changes:
		ch := ev.Changes
		w.inView(ch.GetFlows())
		ch.Left = slices.DeleteFunc(ch.GetLeft(), func(uid uint64) bool {
			_, was := w.known[uid]
			delete(w.known, uid)
			return !was && !w.resumed
		})
		n := len(ch.GetFlows()) + len(ch.GetLeft())
		if n == 0 {
			return nil
		}
		w.printed += n
	}
	return printJSON(w.out, m)
}

// inView remembers which flows the reader was told of and has not lost since.
func (w *watchView) inView(flows []*pb.Flow) {
	for _, f := range flows {
		if f.GetGone() {
			delete(w.known, f.GetUid())
		} else {
			w.known[f.GetUid()] = known{}
		}
	}
}
