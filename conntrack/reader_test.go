package conntrack

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// script feeds a reader with what its sockets give, call by call.
type script struct {
	events, spare, chunk []any // each a [][]byte or an error
	requests             int
	said                 []string
	r                    *reader
}

func newScript() *script {
	s := &script{r: newReader()}
	var clock flow.Time
	play := func(from *[]any) receive {
		return func() ([][]byte, error) {
			if len(*from) == 0 {
				return nil, nil
			}
			x := (*from)[0]
			*from = (*from)[1:]
			if err, ok := x.(error); ok {
				return nil, err
			}
			return x.([][]byte), nil
		}
	}
	r := s.r
	r.events, r.spare, r.chunk = play(&s.events), play(&s.spare), play(&s.chunk)
	r.request = func(uint32) error { s.requests++; return nil }
	r.clock = func() flow.Time { clock++; return clock }
	r.now, r.log, r.count, r.own = time.Now, slog.New(slog.DiscardHandler), new(counters), 77
	r.wish = false
	r.emit = func(e flow.Event) {
		switch e := e.(type) {
		case flow.Conns:
			for _, c := range e {
				s.said = append(s.said, c.Kind.String())
			}
		case flow.Loss:
			s.said = append(s.said, "loss")
		case flow.Synced:
			s.said = append(s.said, "synced")
		}
	}
	return s
}

func (s *script) want(t *testing.T, rounds int, want string) {
	t.Helper()
	for range rounds {
		if _, _, err := s.r.round(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(s.said, " "); got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func says(typ, flags uint16, place int, pid uint32) []byte {
	b := (&kernel{}).msg(typ, flags, 1, place, entry{version: 1}, 0)
	b[12], b[13] = byte(pid), byte(pid>>8)
	return b
}

func one(b []byte) [][]byte { return [][]byte{b} }

// After a loss the spare's DESTROY comes out behind the UPDATE of the same entry
// that was still queued, not before it, where the flow would be alive again.
func TestSpareComesAfterWhatWasQueued(t *testing.T) {
	s := newScript()
	s.events = []any{errLost, [][]byte{}, one(says(typeNew, 0, 1, 0))}
	s.spare = []any{one(says(typeDelete, 0, 1, 0))}
	s.want(t, 2, "loss update destroy")
}

// The listing after a loss waits until the socket was emptied, and says Synced.
func TestListingFollowsLoss(t *testing.T) {
	s := newScript()
	s.events = []any{errLost}
	s.want(t, 2, "loss")
	if s.requests != 0 {
		t.Errorf("listing asked for while lossy")
	}
	s.chunk = []any{[][]byte{}, one(says(typeNew, unix.NLM_F_MULTI, 2, 0)), one(doneMessage(1))}
	s.want(t, 2, "loss listed synced")
}

// The kernel writes what is read next while it is asked for what was before: a
// listed entry is dated to when it may have been written, however late it is read.
// Dated later, it would seem to be newer than what was read meanwhile.
func TestListedIsDatedToItsWriting(t *testing.T) {
	s := newScript()
	var reads, dated []flow.Time
	chunk := s.r.chunk
	s.r.chunk = func() ([][]byte, error) {
		reads = append(reads, s.r.clock())
		return chunk()
	}
	s.r.emit = func(e flow.Event) {
		if cs, ok := e.(flow.Conns); ok {
			for _, c := range cs {
				dated = append(dated, c.At)
			}
		}
	}
	s.r.wish = true
	s.chunk = []any{[][]byte{}, one(says(typeNew, unix.NLM_F_MULTI, 2, 0)), one(says(typeNew, unix.NLM_F_MULTI, 3, 0)), one(doneMessage(1))}
	s.want(t, 3, "")
	begin := s.r.list.begin
	if len(reads) != 4 || len(dated) != 2 || dated[0] != begin || dated[1] < begin || dated[1] > reads[1] {
		t.Errorf("asked for at %d, read at %v, dated to %v", begin, reads, dated)
	}
}

// A loss while a listing runs makes it worthless: the rest is not emitted, no
// Synced follows, and another listing does.
func TestLossVoidsListing(t *testing.T) {
	s := newScript()
	s.r.wish = true
	s.chunk = []any{[][]byte{}, one(says(typeNew, unix.NLM_F_MULTI, 2, 0)), one(says(typeNew, unix.NLM_F_MULTI, 3, 0)), one(doneMessage(1))}
	s.want(t, 1, "listed")
	s.events = []any{errLost}
	s.want(t, 3, "listed loss")
	if s.r.count.listingsVoid.Load() != 1 || !s.r.wish {
		t.Errorf("void %d, wish %v", s.r.count.listingsVoid.Load(), s.r.wish)
	}
}

// A message that was cut, or cannot be read, is an unknown event.
func TestUnreadableEvents(t *testing.T) {
	s := newScript()
	s.events = []any{errCut}
	s.want(t, 2, "loss")
	s = newScript()
	bad := says(typeNew, 0, 1, 0)
	bad[20] = 1
	s.events = []any{[][]byte{bad, says(typeNew, 0, 2, 0)}}
	s.want(t, 1, "update")
	if s.r.count.malformed.Load() != 1 || !s.r.wish {
		t.Errorf("malformed %d, wish %v", s.r.count.malformed.Load(), s.r.wish)
	}
}

// Only UPDATE can be our own doing; a DESTROY with our port id is none of ours.
func TestOwnUpdates(t *testing.T) {
	s := newScript()
	s.events = []any{[][]byte{says(typeNew, 0, 1, 77), says(typeNew, 0, 1, 78), says(typeDelete, 0, 1, 77)}}
	s.want(t, 1, "update destroy")
	if s.r.count.own.Load() != 1 {
		t.Errorf("own %d", s.r.count.own.Load())
	}
}

// A listing that the kernel refuses, or breaks off, is asked for again later.
func TestListingRefused(t *testing.T) {
	refusal, at := begin(nil, nlmsgErrorType, 0, 1, 0)
	refusal = end(append(refusal[:headerLen], 0xf0, 0xff, 0xff, 0xff), at) // -EBUSY
	for name, chunk := range map[string][]any{
		"refused": {[][]byte{}, one(refusal)}, "broken off": {[][]byte{}}, "failed": {[][]byte{}, unix.ENOMEM}, "done with error": {[][]byte{}, one(doneMessageErr(1))},
	} {
		s := newScript()
		s.r.wish, s.chunk = true, chunk
		s.want(t, 1, "")
		if !s.r.wish || s.r.list.on || s.r.count.listingsVoid.Load() != 1 || s.r.list.after.IsZero() {
			t.Errorf("%s: %+v, wish %v", name, s.r.list, s.r.wish)
		}
	}
}

func doneMessage(seq uint32) []byte {
	b, at := begin(nil, nlmsgDoneType, unix.NLM_F_MULTI, seq, 0)
	return end(b, at)
}

func doneMessageErr(seq uint32) []byte {
	b, at := begin(nil, nlmsgDoneType, unix.NLM_F_MULTI, seq, 0)
	return end(append(b[:headerLen], 0xf4, 0xff, 0xff, 0xff), at)
}

// What is destroyed is remembered for deadMax others, and no longer.
func TestOrderForgetsTheLongDead(t *testing.T) {
	o := newOrder()
	tup := func(i int) *flow.Tuple {
		x := placeTuple(0)
		x.Src[4], x.Src[5], x.Src[6] = byte(i), byte(i>>8), byte(i>>16)
		return &x
	}
	for i := range 3 * deadMax {
		o.event(flow.ConnDestroy, tup(i))
	}
	if len(o.dead) != deadMax {
		t.Errorf("%d remembered, want %d", len(o.dead), deadMax)
	}
	if o.event(flow.ConnUpdate, tup(3*deadMax-1)) || o.event(flow.ConnUpdate, tup(2*deadMax)) {
		t.Errorf("an update of a dead one passed")
	}
	if !o.event(flow.ConnUpdate, tup(2*deadMax-1)) {
		t.Errorf("the long dead are remembered")
	}
	// Dead, born, and dead again: the older place in the ring must not free it.
	o = newOrder()
	o.event(flow.ConnDestroy, tup(0))
	o.event(flow.ConnNew, tup(0))
	o.event(flow.ConnDestroy, tup(0))
	for i := range deadMax - 1 {
		o.event(flow.ConnDestroy, tup(i+1))
	}
	if o.event(flow.ConnUpdate, tup(0)) {
		t.Errorf("forgotten with its older death")
	}
}
