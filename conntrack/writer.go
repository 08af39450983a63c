package conntrack

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// keeper writes to entries. Owned by the writer's goroutine.
//
// The kernel applies a change to whatever entry has the tuple now; it looks at
// CTA_ID only to delete. So every change is preceded by a GET that compares both
// tuples and the id, and a Prepare is followed by one as well. Between GET and
// change an entry can still be replaced; the worst is then that the new one is
// lenient about TCP windows, or lives as long as an idle connection of its kind.
type keeper struct {
	*talk
	count *counters
	emit  func(flow.Event)
	got   [batchMax]flow.Entry
	state [batchMax]verdict
	text  [batchMax]string
	place [batchMax]int // of the entry for the change at hand
}

// verdict is what a GET showed.
type verdict uint8

const (
	fine  verdict = iota
	gone          // no entry, another one, or one that is being deleted
	wrong         // text says why
)

// writer is the loop of the writer's goroutine.
func (t *Tracker) writer(ctx context.Context, emit func(flow.Event)) error {
	k := &keeper{talk: t.write, count: &t.count, emit: emit}
	var ps []flow.Prepare
	var ts []flow.Touch
	for {
		for {
			ps, ts = t.queue.take(ps, ts)
			if len(ps)+len(ts) == 0 {
				break
			}
			var err error
			switch {
			case len(ts) > 0:
				err = k.touch(ts)
			case ctx.Err() == nil:
				err = k.prepare(ps)
			}
			if err != nil {
				return fmt.Errorf("keep conntrack entries: %w", err)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-t.queue.signal:
		case <-ctx.Done():
		}
	}
}

// get reads n entries; state and got then tell what they are. skip leaves out
// places whose state is already not fine.
func (k *keeper) get(n int, skip bool, tuple func(i int) *flow.Tuple) error {
	k.reset()
	for i := range n {
		if skip && k.state[i] != fine {
			continue
		}
		k.place[k.n] = i
		k.req = appendGet(k.req, k.next(), tuple(i))
		k.state[i] = gone
	}
	err := k.do(func(j int, msg []byte) {
		i := k.place[j]
		if err := decode(msg, &k.got[i]); err != nil {
			k.fail(i, err)
			return
		}
		k.state[i] = fine
	})
	if err != nil {
		return err
	}
	for j := range k.n {
		if err := k.errs[j]; err != nil && !errors.Is(err, unix.ENOENT) {
			k.fail(k.place[j], fmt.Errorf("read entry: %w", err))
		}
	}
	return nil
}

func (k *keeper) fail(i int, err error) { k.state[i], k.text[i] = wrong, err.Error() }

// change writes; c gives what, an empty change nothing. It counts writes.
func (k *keeper) change(n int, tuple func(i int) *flow.Tuple, c func(i int) change) (writes int, err error) {
	k.reset()
	for i := range n {
		if k.state[i] != fine {
			continue
		}
		what := c(i)
		if what.empty() {
			continue
		}
		k.place[k.n] = i
		k.req = appendChange(k.req, k.next(), tuple(i), what)
	}
	if err := k.do(func(int, []byte) {}); err != nil {
		return 0, err
	}
	for j := range k.n {
		switch err := k.errs[j]; {
		case err == nil:
			writes++
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ETIME): // ETIME: DYING
			k.state[k.place[j]] = gone
		default:
			k.fail(k.place[j], fmt.Errorf("write entry: %w", err))
		}
	}
	return writes, nil
}

func isTCP(e *flow.Entry) bool { return e.Orig.Proto == hwif.ProtoTCP }
