package flower

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// fakeKernel is tc and the card behind it: filters in memory, and a no for each
// place in say.
type fakeKernel struct {
	filters map[fakeKey]tc.Filter
	qdiscs  map[hwif.Ifindex]tc.Clsact
	// refuse looks at each new filter; nil takes all.
	refuse func(f *tc.Filter) (unix.Errno, string)
	lose   bool // the answers of the next batch, after carrying it out
	lost   int
	sent   []tc.Verb
	// deleted is what was, in order.
	deleted []tc.Filter
	count   map[hwif.Cookie]hwif.Counter
	late    func()                // runs when a dump with rules has been made, before it is handed on
	others  map[hwif.Ifindex]bool // where a filter hangs that no list of flower's has
}

type fakeKey struct {
	dev    hwif.Ifindex
	prio   uint16
	handle uint32
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{filters: map[fakeKey]tc.Filter{}, qdiscs: map[hwif.Ifindex]tc.Clsact{}, count: map[hwif.Cookie]hwif.Counter{}}
}

func keyOf(f *tc.Filter) fakeKey { return fakeKey{f.Ifindex, f.Prio, f.Handle} }

func (k *fakeKernel) Apply(ctx context.Context, s *tc.Shape, reqs []tc.Request, out []tc.Response) {
	for i := range reqs {
		out[i] = k.one(ctx, s, &reqs[i])
		k.sent = append(k.sent, reqs[i].Verb)
		if k.lose && reqs[i].Verb != tc.Get {
			out[i] = tc.Response{Err: tc.ErrLost}
			k.lost++
		}
	}
	k.lose = false
}

func (k *fakeKernel) one(ctx context.Context, s *tc.Shape, r *tc.Request) tc.Response {
	f := r.Filter
	no := func(e unix.Errno, text string) tc.Response {
		return tc.Response{Err: &tc.Error{Verb: r.Verb, Place: f.Place, Handle: f.Handle, Errno: e, Text: text}}
	}
	if err := ctx.Err(); err != nil {
		return tc.Response{Err: err}
	}
	if _, ok := k.qdiscs[f.Ifindex]; !ok {
		return no(unix.EINVAL, "Parent Qdisc doesn't exists")
	}
	old, there := k.filters[keyOf(f)]
	switch r.Verb {
	case tc.Get, tc.Delete:
		if !there {
			return no(unix.ENOENT, "")
		}
		if r.Verb == tc.Delete {
			delete(k.filters, keyOf(f))
			k.deleted = append(k.deleted, old)
			if r.NoCounter {
				return tc.Response{}
			}
		}
		return tc.Response{Flags: old.Flags, Counter: k.count[old.Rule.Cookie], Cookie: old.Rule.Cookie}
	}
	if err := tc.Check(f, s); err != nil {
		return tc.Response{Err: err}
	}
	if k.refuse != nil {
		if errno, text := k.refuse(f); errno != 0 {
			return no(errno, text)
		}
	}
	for _, g := range k.filters {
		if g.Place == f.Place && g.Rule.Match == f.Rule.Match && g.AnyTag == f.AnyTag {
			return no(unix.EEXIST, "")
		}
	}
	c := *f
	c.Flags = tc.SkipSW | tc.InHW
	k.filters[keyOf(f)] = c
	return tc.Response{Flags: c.Flags}
}

// on lists a port's filters as the kernel does: by prio, then handle.
func (k *fakeKernel) on(dev hwif.Ifindex) []tc.Filter {
	var out []tc.Filter
	for _, key := range slices.SortedFunc(maps.Keys(k.filters), func(a, b fakeKey) int {
		return cmp.Or(cmp.Compare(a.prio, b.prio), cmp.Compare(a.handle, b.handle))
	}) {
		if key.dev == dev {
			out = append(out, k.filters[key])
		}
	}
	return out
}

func (k *fakeKernel) Dump(_ context.Context, dev hwif.Ifindex, _ *tc.Shape, f func(*tc.Filter) error) error {
	shown := k.on(dev)
	if k.late != nil && slices.ContainsFunc(shown, func(f tc.Filter) bool { return f.Rule.Cookie.Ours() }) {
		k.late()
	}
	for _, x := range shown {
		x.Counter = k.count[x.Rule.Cookie]
		if err := f(&x); err != nil {
			return err
		}
	}
	return nil
}

func (k *fakeKernel) Terse(_ context.Context, dev hwif.Ifindex, f func(*tc.Tally)) error {
	for _, x := range k.on(dev) {
		f(&tc.Tally{Prio: x.Prio, Handle: x.Handle, Flags: x.Flags, Cookie: x.Rule.Cookie, Counter: k.count[x.Rule.Cookie]})
	}
	return nil
}

func (k *fakeKernel) Empty(_ context.Context, dev hwif.Ifindex) (bool, error) {
	return len(k.on(dev)) == 0 && !k.others[dev], nil
}

func (k *fakeKernel) AddClsact(dev hwif.Ifindex, block uint32) (bool, error) {
	if _, ok := k.qdiscs[dev]; ok {
		return false, nil
	}
	k.qdiscs[dev] = tc.Clsact{Kind: "clsact", Block: block}
	return true, nil
}

func (k *fakeKernel) DelClsact(dev hwif.Ifindex) error {
	delete(k.qdiscs, dev)
	maps.DeleteFunc(k.filters, func(key fakeKey, _ tc.Filter) bool { return key.dev == dev })
	return nil
}

func (k *fakeKernel) Clsacts(context.Context) (map[hwif.Ifindex]tc.Clsact, error) {
	return maps.Clone(k.qdiscs), nil
}

func (k *fakeKernel) Close() error { return nil }

// fakeSight is switchdev with what the test says.
type fakeSight struct {
	inv    *switchdev.Inventory
	events chan switchdev.Event
}

func (s *fakeSight) Inventory() *switchdev.Inventory { return s.inv }
func (s *fakeSight) Close() error                    { return nil }
func (s *fakeSight) Run(ctx context.Context, fn func(switchdev.Event)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-s.events:
			fn(e)
		}
	}
}

// The card of the tests: uplink 10, VFs 11 and 12.
var handle = switchdev.Handle{Bus: "pci", Name: "0000:03:00.0"}

func fakePort(i hwif.Ifindex, name string, kind hwif.PortKind) switchdev.Port {
	return switchdev.Port{Device: handle, Index: uint32(i), Kind: kind, Ifindex: i, Name: name, SwitchID: "aabb", MTU: 1500, Up: true, AdminUp: true,
		MAC: hwif.MAC{2, 0, 0, 0, 0, byte(i)}, TCOffload: switchdev.TCOffloadOn}
}

func fakeCard(mode switchdev.Mode, ports ...switchdev.Port) switchdev.Device {
	if ports == nil {
		ports = []switchdev.Port{fakePort(10, "up", hwif.PortUplink), fakePort(11, "vf0", hwif.PortVF), fakePort(12, "vf1", hwif.PortVF)}
	}
	return switchdev.Device{Handle: handle, Driver: "test_core", Mode: mode, SwitchID: "aabb", Ports: ports}
}

// testProfile is a card that takes everything, with guards.
func testProfile() *Profile {
	p := *Generic
	p.Name, p.Kernel, p.Board, p.Prove = "test", "test_core", "", false
	p.Caps = func(switchdev.Mode) hwif.Caps {
		return hwif.Caps{Fields: tc.Fields(), Actions: tc.Actions(), Counters: hwif.CountersFull}
	}
	return &p
}

// bench is an open device over the fakes.
type bench struct {
	*testing.T
	kernel *fakeKernel
	sight  *fakeSight
	dev    *Device
	gen    uint64
}

func open(t *testing.T, p *Profile, opts hwif.OpenOptions, prepare func(*bench)) (*bench, error) {
	t.Helper()
	b := &bench{T: t, kernel: newFakeKernel(), sight: &fakeSight{inv: switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeSwitchdev)}, nil), events: make(chan switchdev.Event)}}
	if prepare != nil {
		prepare(b)
	}
	if opts.Ports == nil {
		opts.Ports = []string{"up", "vf0", "vf1"}
	}
	return b, b.reopen(p, opts)
}

func (b *bench) reopen(p *Profile, opts hwif.OpenOptions) error {
	d := New(p)
	set, err := d.parse(opts)
	if err != nil {
		return err
	}
	c, err := d.find(b.sight.inv, opts.Ports)
	if err != nil {
		return err
	}
	dev := newDevice(d, b.kernel, b.sight, c, set, opts, slog.New(slog.DiscardHandler))
	if err := dev.start(b.Context()); err != nil {
		return err
	}
	b.dev = dev
	b.Cleanup(func() {
		if b.dev == dev {
			if err := dev.Close(false); err != nil {
				b.Error(err)
			}
		}
	})
	return nil
}

func mustOpen(t *testing.T) *bench {
	t.Helper()
	b, err := open(t, testProfile(), hwif.OpenOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rule is the n-th flow's, from one port to another.
func (b *bench) rule(n int, in, out hwif.Ifindex) hwif.Rule {
	b.gen++
	r := (&feature{fields: hwif.RoutedFlow, actions: hwif.Routed, fam: hwif.IPv4, proto: hwif.ProtoUDP}).rule(in, out, &hwif.Caps{})
	r.Cookie, r.Match.SrcPort = hwif.NewCookie(b.gen, 0), uint16(n)
	return r
}

func (b *bench) apply(ops ...hwif.Op) []hwif.Result {
	out := make([]hwif.Result, len(ops))
	b.dev.Apply(b.Context(), ops, out)
	return out
}

func put(r hwif.Rule) hwif.Op  { return hwif.Op{Kind: hwif.OpInstall, Rule: r} }
func drop(r hwif.Rule) hwif.Op { return hwif.Op{Kind: hwif.OpRemove, Rule: r} }

func (b *bench) listed() map[hwif.Cookie]hwif.Installed {
	b.Helper()
	out := map[hwif.Cookie]hwif.Installed{}
	for in, err := range b.dev.Rules(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		out[in.Rule.Cookie] = in
	}
	return out
}
