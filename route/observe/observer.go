package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Options of Open; zero values are defaults.
type Options struct {
	Mode  Mode
	Clock func() flow.Time // the daemon's clock; required
	// Flows is how many directions are counted at a time; the least recently seen
	// make room. 65536.
	Flows uint32
}

// Observer watches the forwarded packets of one network namespace. Run must be
// called once; every other method may be called from any goroutine.
type Observer struct {
	mode  Mode
	why   string
	clock func() flow.Time
	home  *netns
	coll  *ebpf.Collection
	ring  *ringbuf.Reader

	mu    sync.Mutex
	ports map[hwif.Ifindex][]link.Link // none in tracepoint mode
	fixed []link.Link
	asks  []bpfDirection
	vals  []bpfTally
	ways  []bpfTuple
	ins   []bpfEntry
}

// Open loads the programs in the calling thread's network namespace and attaches
// what is not bound to ports. An error is an *Error, which names the hook.
func Open(o Options) (*Observer, error) {
	home, err := here()
	if err != nil {
		return nil, err
	}
	if o.Flows == 0 {
		o.Flows = 1 << 16
	}
	ob := &Observer{clock: o.Clock, home: home, ports: map[hwif.Ifindex][]link.Link{}}
	modes := []Mode{o.Mode}
	if o.Mode == Auto {
		modes = []Mode{TCX, Tracepoint}
	}
	var faults []error
	for _, m := range modes {
		err := ob.load(m, o.Flows)
		if err == nil {
			ob.mode = m
			if len(faults) > 0 {
				ob.why = errors.Join(faults...).Error()
			}
			return ob, nil
		}
		ob.release()
		faults = append(faults, err)
	}
	home.close()
	return nil, errors.Join(faults...)
}

// Mode is the form in use; Why says why a better one is not, empty otherwise.
func (o *Observer) Mode() Mode { return o.mode }

// Why says what spoke against the forms that would have been preferred.
func (o *Observer) Why() string { return o.why }

// Run hands on what the programs tell until ctx ends; then it returns nil. emit
// may keep its argument until the next call.
func (o *Observer) Run(ctx context.Context, emit func([]Sight)) error {
	defer context.AfterFunc(ctx, func() { o.ring.Close() })()
	go o.lookAway(ctx)
	var rec ringbuf.Record
	batch := make([]Sight, 0, maxBatch)
	for {
		if err := o.ring.ReadInto(&rec); err != nil {
			if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("read what the observer saw: %w", err)
		}
		now, mono := o.clock(), monotonic()
		batch = batch[:0]
		for {
			var s Sight
			if decode(rec.RawSample, &s) {
				s.At = now - (mono - s.At)
				batch = append(batch, s)
			}
			if len(batch) == maxBatch || o.ring.AvailableBytes() == 0 || o.ring.ReadInto(&rec) != nil {
				break
			}
		}
		emit(batch)
	}
}

// look is for how many seconds what comes in is watched after the last question, LOOK in
// bpf/sight.h: directions that are silent for longer are of no interest.
const look = 120

// lookAway counts the watch over what comes in down: the programs prolong it as long as
// there is something to be told.
func (o *Observer) lookAway(ctx context.Context) {
	for tick := time.Tick(time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if !o.countDown() {
			return // closed
		}
	}
}

func (o *Observer) countDown() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.coll == nil {
		return false
	}
	v, left := o.coll.Variables[bpfVarLooking], uint32(0)
	if v.Get(&left) == nil && left > 0 {
		return v.Set(left-1) == nil
	}
	return true
}

// maxBatch is the most sights handed over at once.
const maxBatch = 256

func monotonic() flow.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // never: the clock exists on every Linux
	}
	return flow.Time(ts.Nano())
}

// tries is how many packets may leave before one is told of whose way in was not seen.
const tries = 8

// Ask wants to be told of the next packet of each direction that leaves, and how it
// came in.
func (o *Observer) Ask(orig, reply []flow.Tuple) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asks, o.vals, o.ways, o.ins = o.asks[:0], o.vals[:0], o.ways[:0], o.ins[:0]
	for i := range orig {
		o.asks = append(o.asks, directionOf(&orig[i], flow.Orig))
	}
	for i := range reply {
		o.asks = append(o.asks, directionOf(&reply[i], flow.Reply))
	}
	for i := range o.asks {
		o.vals = append(o.vals, bpfTally{Wanted: tries, Told: 1})
		way := o.asks[i].Tuple
		way.Dir = 0
		o.ways, o.ins = append(o.ways, way), append(o.ins, bpfEntry{})
	}
	if len(o.asks) == 0 || o.coll == nil {
		return nil
	}
	if _, err := o.coll.Maps[bpfMapEntries].BatchUpdate(o.ways, o.ins, nil); err != nil {
		return &Error{Hook: "entries", Err: err, Text: "asking for a packet"}
	}
	if err := o.coll.Variables[bpfVarLooking].Set(uint32(look)); err != nil {
		return &Error{Hook: bpfVarLooking, Err: err, Text: "asking for a packet"}
	}
	_, err := o.coll.Maps[bpfMapTallies].BatchUpdate(o.asks, o.vals, nil)
	if err != nil {
		return &Error{Hook: "tallies", Err: err, Text: "asking for a packet"}
	}
	return nil
}

// SetThreshold has directions told of once that have so many packets; 0 has none.
func (o *Observer) SetThreshold(packets uint64) error {
	return o.set(bpfVarThreshold, packets)
}

// SetDropThreshold has directions told of of which netfilter drops so many
// packets within a second; 0 has none.
func (o *Observer) SetDropThreshold(packets uint64) error {
	return o.set(bpfVarDropThreshold, packets)
}

// SetUntracked has packets looked at that conntrack was told to leave alone.
func (o *Observer) SetUntracked(on bool) error {
	v := uint32(0)
	if on {
		v = 1
	}
	return o.set(bpfVarUntracked, v)
}

// Reset has a direction counted from zero, so that it is told of anew.
func (o *Observer) Reset(orig []flow.Tuple) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.coll == nil {
		return nil
	}
	for i := range orig {
		d := directionOf(&orig[i], flow.Orig)
		if err := o.coll.Maps[bpfMapTallies].Delete(&d); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return &Error{Hook: "tallies", Err: err, Text: "forgetting a direction"}
		}
	}
	return nil
}

// ResetAll has every direction counted from zero that no packet is waited for of.
func (o *Observer) ResetAll() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.coll == nil {
		return nil
	}
	m := o.coll.Maps[bpfMapTallies]
	var d bpfDirection
	var t bpfTally
	var told []bpfDirection
	all := m.Iterate()
	for all.Next(&d, &t) {
		if t.Wanted == 0 {
			told = append(told, d)
		}
	}
	if err := all.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return &Error{Hook: "tallies", Err: err, Text: "listing directions"}
	}
	for i := range told {
		if err := m.Delete(&told[i]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return &Error{Hook: "tallies", Err: err, Text: "forgetting a direction"}
		}
	}
	return nil
}

func (o *Observer) set(name string, v any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.coll == nil {
		return os.ErrClosed
	}
	if err := o.coll.Variables[name].Set(v); err != nil {
		return &Error{Hook: name, Err: err, Text: "setting it"}
	}
	return nil
}

// Timed has the kernel measure how long programs run, all of the host's, until the
// result is closed (BPF_ENABLE_STATS).
func Timed() (io.Closer, error) { return ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME)) }

// Took is how long the programs have run since Open, in the time that was measured (Timed).
func (o *Observer) Took() (time.Duration, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var sum time.Duration
	if o.coll == nil {
		return 0, os.ErrClosed
	}
	for name, p := range o.coll.Programs {
		s, err := p.Stats()
		if err != nil {
			return 0, &Error{Hook: name, Err: err, Text: "reading its time"}
		}
		sum += s.Runtime
	}
	return sum, nil
}

// Stats counts since Open.
type Stats struct {
	Packets uint64 // forwarded, tracked packets that the programs looked at
	Told    uint64 // sights
	Lost    uint64 // not told for want of room; the next packet tried again
}

// Stats reads the programs' counters.
func (o *Observer) Stats() (Stats, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var per []bpfSeen
	if o.coll == nil {
		return Stats{}, os.ErrClosed
	}
	if err := o.coll.Maps[bpfMapCounts].Lookup(uint32(0), &per); err != nil {
		return Stats{}, &Error{Hook: "counts", Err: err, Text: "reading them"}
	}
	var st Stats
	for _, s := range per {
		st.Packets += s.Packets
		st.Told += s.Told
		st.Lost += s.Lost
	}
	return st, nil
}

// Close takes the programs off. It ends Run.
func (o *Observer) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.release()
	o.home.close()
	return nil
}

func (o *Observer) release() {
	if o.ring != nil {
		o.ring.Close()
	}
	for i, ls := range o.ports {
		closeAll(ls)
		delete(o.ports, i)
	}
	for _, l := range o.fixed {
		l.Close()
	}
	o.fixed = nil
	if o.coll != nil {
		o.coll.Close()
		o.coll = nil
	}
}
