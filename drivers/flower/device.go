package flower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// kernel is what a Device asks of tc; *tc.Conn is one, tests have another.
type kernel interface {
	Apply(ctx context.Context, s *tc.Shape, reqs []tc.Request, out []tc.Response)
	Dump(ctx context.Context, dev hwif.Ifindex, s *tc.Shape, f func(*tc.Filter) error) error
	Terse(ctx context.Context, dev hwif.Ifindex, f func(*tc.Tally)) error
	Empty(ctx context.Context, dev hwif.Ifindex) (bool, error)
	AddClsact(dev hwif.Ifindex, block uint32) (bool, error)
	DelClsact(dev hwif.Ifindex) error
	Clsacts(ctx context.Context) (map[hwif.Ifindex]tc.Clsact, error)
	Close() error
}

// sight is what a Device asks of switchdev; *switchdev.Watcher is one.
type sight interface {
	Inventory() *switchdev.Inventory
	Run(ctx context.Context, fn func(switchdev.Event)) error
	Close() error
}

// Device is one card's ports in the daemon's hands.
type Device struct {
	driver  *Driver
	profile *Profile
	mode    switchdev.Mode
	caps    hwif.Caps // immutable after start
	shape   tc.Shape
	prio    uint16
	names   []string
	max     int // rules, 0 for as many as the card takes
	log     *slog.Logger

	conn    kernel
	watch   sight
	changed chan struct{}
	stop    context.CancelFunc
	ended   sync.WaitGroup

	// apply is held by whoever changes filters: Apply, and what mends ports.
	apply sync.Mutex
	reqs  []tc.Request
	resps []tc.Response
	ops   []pending
	spare []*tc.Filter

	mu      sync.Mutex
	ports   map[string]*port // by name; those that are there
	last    [2]*port         // that were asked for by number; nil after a change of ports
	rules   map[hwif.Cookie]*entry
	free    []*entry            // that were used, or are of a fresh chunk
	handles uint32              // the last that was given
	round   uint64              // of listings: who came after one began is not missed by it
	lists   int                 // listings under way
	left    map[uint32]struct{} // handles of rules that were removed meanwhile: a list may still show them
	resets  uint64              // of the card: each time the hardware lost everything, and tc does not know
	mended  uint64              // of them, those after which rules were written anew
	blind   string              // why changes of the card are not followed any more
}

// port is one interface of ours, ready for rules or not.
type port struct {
	switchdev.Port
	made    bool   // the clsact qdisc is ours
	refused string // why it carries no rules
	joins   []hwif.Ifindex
}

// entryChunk is how many entries are made at once.
const entryChunk = 64

// entry is what removes and counts a rule.
type entry struct {
	place  tc.Place
	proto  uint16
	handle uint32
	round  uint64
	busy   bool  // in a batch that is under way
	l2     uint8 // bytes before the IP header, as the card counts them
	last   hwif.Counter
}

func newDevice(d *Driver, conn kernel, w sight, c *card, set settings, opts hwif.OpenOptions, log *slog.Logger) *Device {
	dev := &Device{driver: d, profile: d.Profile, mode: c.mode, caps: d.Profile.Caps(c.mode), shape: d.Profile.Shape(c.mode),
		prio: set.prio, names: opts.Ports, max: opts.MaxRules, log: log, conn: conn, watch: w, changed: make(chan struct{}, 1),
		ports: map[string]*port{}, rules: map[hwif.Cookie]*entry{}, left: map[uint32]struct{}{}}
	dev.caps.Driver, dev.caps.Persistent = d.Name(), true
	dev.caps.GuardsTTL = dev.caps.GuardsTTL || d.Profile.Guards
	if dev.caps.MaxRules == 0 || dev.max != 0 {
		dev.caps.MaxRules = dev.max
	}
	dev.max = dev.caps.MaxRules
	if dev.caps.Batch == 0 {
		dev.caps.Batch = 4 * tc.Batch
	}
	return dev
}

// start makes the ports ready and follows what becomes of them. On an error it
// takes back what it made.
func (d *Device) start(ctx context.Context) error {
	if err := d.settle(ctx, true); err != nil {
		return errors.Join(err, d.undo(context.WithoutCancel(ctx)))
	}
	if d.profile.Prove {
		d.prove(ctx)
	}
	run, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.ended.Go(func() {
		if err := d.watch.Run(run, d.event); err != nil {
			d.log.Error("changes of the card are not followed any more", "driver", d.caps.Driver, "err", err)
			d.mu.Lock()
			d.blind = "changes of the card are not followed any more: " + err.Error() + "; start shuntd again"
			d.mu.Unlock()
			d.nudge()
		}
	})
	return nil
}

// Caps is what the card can do.
func (d *Device) Caps() hwif.Caps { return d.caps }

// Changed tells when ports came or went and when the card was reset.
func (d *Device) Changed() <-chan struct{} { return d.changed }

func (d *Device) nudge() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// event takes in what switchdev saw. Work is left to the next look, which it asks
// for: that is the engine's reader, and may wait for locks.
func (d *Device) event(ev switchdev.Event) {
	switch e := ev.(type) {
	case switchdev.DeviceReset:
		if d.ours(e.Device) {
			d.log.Warn("card was reset; its rules are written again", "device", e.Device.String(), "cause", e.Cause)
			d.mu.Lock()
			d.resets++
			d.mu.Unlock()
		}
	case switchdev.Resync:
		d.log.Warn("changes of the card were missed", "cause", e.Cause)
	}
	d.nudge()
}

// ours reports whether one of the ports is the device's.
func (d *Device) ours(h switchdev.Handle) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.ports {
		if p.Device == h {
			return true
		}
	}
	return false
}

// Close lets go of the ports. With flush no filter of ours is left, and no clsact
// qdisc that was ours and is empty.
func (d *Device) Close(flush bool) error {
	if d.stop != nil {
		d.stop()
		d.ended.Wait()
	}
	var err error
	if flush {
		err = d.undo(context.Background())
	}
	return errors.Join(err, d.conn.Close(), d.watch.Close())
}

// undo takes out every filter of ours on every port.
func (d *Device) undo(ctx context.Context) error {
	d.apply.Lock()
	defer d.apply.Unlock()
	var errs []error
	for _, p := range d.snapshot() {
		errs = append(errs, d.clear(ctx, p))
		if !p.made {
			continue
		}
		if err := unhang(ctx, d.conn, p.Ifindex); err != nil {
			errs = append(errs, d.failed("close", p.Name, hwif.Cookie{}, err))
		}
	}
	d.mu.Lock()
	clear(d.rules)
	d.mu.Unlock()
	return errors.Join(errs...)
}

// snapshot are the ports that are there.
func (d *Device) snapshot() []*port {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]*port, 0, len(d.ports))
	for _, name := range d.names {
		if p := d.ports[name]; p != nil {
			out = append(out, p)
		}
	}
	return out
}

// unhang takes a clsact qdisc of ours away, unless somebody has come to use it.
func unhang(ctx context.Context, conn kernel, dev hwif.Ifindex) error {
	empty, err := conn.Empty(ctx, dev)
	if err == nil && empty {
		err = conn.DelClsact(dev)
	}
	if err != nil && !tc.Gone(err) {
		return err
	}
	return nil
}

// clear deletes every filter of ours on a port: flows, guards and probes. It looks
// until there is none: a list may lack some when others change their filters (see
// listing). The caller holds apply.
func (d *Device) clear(ctx context.Context, p *port) error {
	known := d.known(p)
	for range listTries {
		ours, err := d.owned(ctx, p)
		if err != nil {
			return err
		}
		for _, f := range ours {
			delete(known, named{f.Prio, f.Handle})
		}
		ours = slices.AppendSeq(ours, maps.Values(known)) // what the list may have lacked
		clear(known)
		if len(ours) == 0 {
			return nil
		}
		if failed := d.delete(ctx, p, ours); len(failed) > 0 {
			if len(failed) > 3 {
				failed = append(failed[:3], fmt.Errorf("and %d more", len(failed)-3))
			}
			return errors.Join(failed...)
		}
	}
	return d.failed("remove", p.Name, hwif.Cookie{}, tc.ErrInterrupted)
}

// named is a filter's name on its port: each prio counts its own handles.
type named struct {
	prio   uint16
	handle uint32
}

// known are the rules on a port that we have put there.
func (d *Device) known(p *port) map[named]*tc.Filter {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[named]*tc.Filter{}
	for _, e := range d.rules {
		if e.place.Ifindex == p.Ifindex {
			out[named{e.place.Prio, e.handle}] = &tc.Filter{Place: e.place, Protocol: e.proto, Handle: e.handle}
		}
	}
	return out
}

// owned lists what of ours is on a port, whatever its pref: by prio, as the kernel
// does.
func (d *Device) owned(ctx context.Context, p *port) (out []*tc.Filter, err error) {
	err = again(func() error {
		out = out[:0]
		return d.conn.Dump(ctx, p.Ifindex, &d.shape, func(f *tc.Filter) error {
			if f.Chain == 0 && owned(f.Rule.Cookie) {
				out = append(out, &tc.Filter{Place: f.Place, Protocol: f.Protocol, Handle: f.Handle})
			}
			return nil
		})
	})
	switch {
	case err == nil, errors.Is(err, tc.ErrInterrupted):
		return out, nil
	case tc.Gone(err):
		return nil, nil
	}
	return nil, d.failed("remove", p.Name, hwif.Cookie{}, err)
}

// again repeats a listing that changed while it was read, some times.
func again(read func() error) error {
	err := read()
	for try := 1; errors.Is(err, tc.ErrInterrupted) && try < listTries; try++ {
		err = read()
	}
	return err
}

// delete takes filters out, the last first: guards leave after what they guard.
func (d *Device) delete(ctx context.Context, p *port, filters []*tc.Filter) (failed []error) {
	reqs := make([]tc.Request, 0, len(filters))
	for _, f := range slices.Backward(filters) {
		reqs = append(reqs, tc.Request{Verb: tc.Delete, NoCounter: true, Filter: f})
	}
	resps := make([]tc.Response, len(reqs))
	d.conn.Apply(ctx, &d.shape, reqs, resps)
	for i := range resps {
		if resps[i].Err != nil && !tc.Gone(resps[i].Err) {
			failed = append(failed, d.failed("remove", p.Name, hwif.Cookie{}, resps[i].Err))
		}
	}
	return failed
}

// mine reports whether a filter is ours: by prio and cookie.
func (d *Device) mine(f *tc.Filter) bool {
	return f.Chain == 0 && f.Prio >= d.prio && f.Prio <= d.prio+prioLast && owned(f.Rule.Cookie)
}
