package rpc

import (
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// batch is what the log had.
type batch struct {
	moment
	deltas []offload.Delta
	next   uint64
	seq    uint64 // the engine's latest
	ok     bool
}

// since reads the log after w.seq. Port names are taken anew with each batch:
// interfaces come and go.
func (w *watch) since(max int) (batch, error) {
	at := w.seq
	return ask(w.ctx, w.Server, func(e *offload.Engine) batch {
		b := batch{moment: momentOf(e), seq: e.Seq()}
		if at <= b.seq {
			b.deltas, b.next, b.ok = e.Since(at, max, nil)
		}
		return b
	})
}

// catchUp sends what the log has, up to its end as it is now: a log that grows
// as fast as it is sent has no other end, and a snapshot has to go on. ok is
// false when the log does not reach back to where the reader is.
func (w *watch) catchUp() (ok, sent bool, err error) {
	end := uint64(0)
	for {
		b, err := w.since(perAsk)
		if err != nil || !b.ok {
			return false, sent, err
		}
		if end == 0 {
			end = b.seq
		}
		some, err := w.changes(&b)
		sent = sent || some
		if err != nil {
			return false, sent, err
		}
		w.seq = b.next
		if w.seq >= end || len(b.deltas) < perAsk {
			return true, sent, nil
		}
	}
}

// changes sends one batch in messages of perMessage. Each message carries the
// number of its last change; the last one that of the whole batch.
func (w *watch) changes(b *batch) (sent bool, err error) {
	c := w.converter(b.moment)
	m := &pb.WatchChanges{}
	for i := range b.deltas {
		v := &b.deltas[i].View
		switch {
		case w.filter.Match(v):
			m.Flows = append(m.Flows, c.flow(v))
		case !w.filter.Never(v):
			m.Left = append(m.Left, v.UID)
		}
		last := i == len(b.deltas)-1
		size := len(m.Flows) + len(m.Left)
		if size == 0 || size < perMessage && !last {
			continue
		}
		if err := w.send(b.moment, w.place(b, i, last), &pb.WatchFlowsResponse{Event: &pb.WatchFlowsResponse_Changes{Changes: m}}); err != nil {
			return sent, err
		}
		sent, m = true, &pb.WatchChanges{}
	}
	return sent, nil
}

// place is where a reader may resume after the message that ends with change i.
func (w *watch) place(b *batch, i int, last bool) uint64 {
	switch {
	case !w.whole:
		return 0
	case last:
		return b.next
	}
	return b.deltas[i].Seq
}
