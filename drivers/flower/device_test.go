package flower

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

func TestOpenMakesQdiscsAndGuards(t *testing.T) {
	b := mustOpen(t)
	for _, i := range []hwif.Ifindex{10, 11, 12} {
		on := b.kernel.on(i)
		if len(on) != guardsPerPort || b.kernel.qdiscs[i].Kind != "clsact" {
			t.Errorf("port %d: %d filters, qdisc %+v", i, len(on), b.kernel.qdiscs[i])
		}
		for _, f := range on {
			if f.Prio != defaultPrio || !f.Rule.Actions.Set.Has(hwif.ActTrap) || f.Rule.Match.TTLMask != 0xfe || f.Rule.Cookie.Ours() {
				t.Errorf("guard %+v", f)
			}
		}
	}
	if n := len(b.listed()); n != 0 {
		t.Errorf("guards are listed as %d rules", n)
	}
	if err := b.dev.Close(true); err != nil || len(b.kernel.qdiscs) != 0 {
		t.Errorf("left %v: %v", b.kernel.qdiscs, err)
	}
	b.dev = nil
}

// What was there before us stays.
func TestCloseLeavesStrangersAlone(t *testing.T) {
	foreign := tc.Filter{Place: tc.Place{Ifindex: 11, Prio: 3}, Handle: 7, Strange: []string{"flower attribute 91"}}
	b, err := open(t, testProfile(), hwif.OpenOptions{}, func(b *bench) {
		b.kernel.qdiscs[11] = tc.Clsact{Kind: "clsact"}
		b.kernel.filters[keyOf(&foreign)] = foreign
	})
	if err != nil {
		t.Fatal(err)
	}
	strangers := 0
	for c := range b.listed() {
		if !c.Ours() {
			strangers++
		}
	}
	if strangers != 1 {
		t.Errorf("%d strangers listed, want 1", strangers)
	}
	if err := b.dev.Close(true); err != nil {
		t.Fatal(err)
	}
	b.dev = nil
	if len(b.kernel.filters) != 1 || b.kernel.qdiscs[11].Kind != "clsact" || len(b.kernel.qdiscs) != 1 {
		t.Errorf("left %d filters and qdiscs %v", len(b.kernel.filters), b.kernel.qdiscs)
	}
}

func TestOpenRefuses(t *testing.T) {
	foreign := tc.Filter{Place: tc.Place{Ifindex: 11, Prio: defaultPrio + 1}, Handle: 7}
	for name, c := range map[string]struct {
		opts    hwif.OpenOptions
		prepare func(*bench)
		says    string
	}{
		"no port":       {hwif.OpenOptions{Ports: []string{"up", "eth9"}}, nil, "eth9: gone: ports (no such interface"},
		"no ports":      {hwif.OpenOptions{Ports: []string{}}, nil, "none named"},
		"twice":         {hwif.OpenOptions{Ports: []string{"up", "up"}}, nil, "named twice"},
		"setting":       {hwif.OpenOptions{Settings: map[string]string{"pro": "1"}}, nil, `unknown setting; the driver knows "prio"`},
		"prio":          {hwif.OpenOptions{Settings: map[string]string{"prio": "0"}}, nil, "is no prio"},
		"prio too high": {hwif.OpenOptions{Settings: map[string]string{"prio": "65530"}}, nil, "is no prio"},
		"rules":         {hwif.OpenOptions{MaxRules: -1}, nil, "negative"},
		"legacy": {hwif.OpenOptions{}, func(b *bench) {
			b.sight.inv = switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeLegacy)}, nil)
		}, "devlink dev eswitch set pci/0000:03:00.0 mode switchdev"},
		"another card": {hwif.OpenOptions{}, func(b *bench) { b.sight.inv = other("ice") }, "driven by ice and not by test_core"},
		"offload off":  {hwif.OpenOptions{}, func(b *bench) { b.sight.inv = offloadOff() }, "hw-tc-offload"},
		"foreign filters": {hwif.OpenOptions{}, func(b *bench) {
			b.kernel.filters[keyOf(&foreign)] = foreign
			b.kernel.qdiscs[11] = tc.Clsact{Kind: "clsact"}
		}, "somebody else has filters at pref 11"},
		"shared block": {hwif.OpenOptions{}, func(b *bench) { b.kernel.qdiscs[12] = tc.Clsact{Kind: "ingress", Block: 5} }, "shared block 5"},
		"no guards": {hwif.OpenOptions{}, func(b *bench) {
			b.kernel.refuse = func(f *tc.Filter) (unix.Errno, string) {
				if f.Rule.Actions.Set.Has(hwif.ActTrap) {
					return unix.EOPNOTSUPP, "no trap here"
				}
				return 0, ""
			}
		}, "no trap here"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := open(t, testProfile(), c.opts, c.prepare)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, want %q", err, c.says)
			}
			for k := range b.kernel.filters {
				if k.prio >= defaultPrio && k != keyOf(&foreign) {
					t.Errorf("left behind: %+v", k)
				}
			}
		})
	}
}

func other(driver string) *switchdev.Inventory {
	d := fakeCard(switchdev.ModeSwitchdev)
	d.Driver = driver
	return switchdev.Assemble([]switchdev.Device{d}, nil)
}

func offloadOff() *switchdev.Inventory {
	p := fakePort(11, "vf0", hwif.PortVF)
	p.TCOffload = switchdev.TCOffloadOff
	return switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeSwitchdev, fakePort(10, "up", hwif.PortUplink), p, fakePort(12, "vf1", hwif.PortVF))}, nil)
}

// A batch that the card takes in part: each operation has its own answer, with the
// kernel's words, and nothing of what was refused stays.
func TestHalfAppliedBatch(t *testing.T) {
	b := mustOpen(t)
	for errno, want := range map[unix.Errno]hwif.Kind{
		unix.ENOSPC: hwif.KindFull, unix.EBUSY: hwif.KindBusy, unix.ENODEV: hwif.KindGone, unix.EOPNOTSUPP: hwif.KindUnsupported,
		unix.EINVAL: hwif.KindOther, unix.EPERM: hwif.KindPermission, unix.E2BIG: hwif.KindFull, unix.ENOMEM: hwif.KindBusy,
	} {
		n := 0
		b.kernel.refuse = func(*tc.Filter) (unix.Errno, string) {
			if n++; n%3 == 0 {
				return errno, ""
			}
			return 0, ""
		}
		var ops []hwif.Op
		for i := range 9 {
			ops = append(ops, put(b.rule(100+i, 11, 10)))
		}
		for i, res := range b.apply(ops...) {
			var he *hwif.Error
			switch {
			case i%3 != 2 && (res.Err != nil || res.Presence != hwif.InHW):
				t.Errorf("%s: op %d: %+v", errno, i, res)
			case i%3 == 2 && (!errors.As(res.Err, &he) || he.Kind != want || he.Port != "vf0" || !errors.Is(he, errno) || he.Cookie != ops[i].Rule.Cookie):
				t.Errorf("%s: op %d: %v, want kind %s of vf0", errno, i, res.Err, want)
			}
		}
		b.kernel.refuse = nil
		if n := len(b.listed()); n != 6 {
			t.Errorf("%s: %d rules listed, want 6", errno, n)
		}
		for i := range ops {
			res := b.apply(drop(ops[i].Rule))[0]
			if i%3 == 2 != errors.Is(res.Err, hwif.ErrNotExist) {
				t.Errorf("remove %d: %v", i, res.Err)
			}
		}
	}
}

func TestTextIsKept(t *testing.T) {
	b := mustOpen(t)
	b.kernel.refuse = func(*tc.Filter) (unix.Errno, string) { return unix.EINVAL, "can't offload ct zone" }
	err := b.apply(put(b.rule(1, 11, 10)))[0].Err
	if hwif.KindOf(err) != hwif.KindUnsupported || !strings.Contains(err.Error(), "can't offload ct zone") || !strings.Contains(err.Error(), "vf0") {
		t.Errorf("%v", err)
	}
}

// A match that is there without our knowing is KindExist, and stays.
func TestLeftoverMatch(t *testing.T) {
	b := mustOpen(t)
	r := b.rule(1, 11, 10)
	b.apply(put(r))
	again := r
	again.Cookie = hwif.NewCookie(999, 0)
	if err := b.apply(put(again))[0].Err; !errors.Is(err, hwif.ErrExist) {
		t.Errorf("%v", err)
	}
	if _, ok := b.listed()[r.Cookie]; !ok {
		t.Error("the old rule is gone")
	}
}

// Lost answers are read back: what was carried out has succeeded.
func TestLostAnswers(t *testing.T) {
	b := mustOpen(t)
	rules := []hwif.Rule{b.rule(1, 11, 10), b.rule(2, 11, 10)}
	b.kernel.lose = true
	for i, res := range b.apply(put(rules[0]), put(rules[1])) {
		if res.Err != nil || res.Presence != hwif.InHW {
			t.Errorf("install %d: %+v", i, res)
		}
	}
	b.kernel.lose = true
	for i, res := range b.apply(drop(rules[0]), drop(rules[1])) {
		if res.Err != nil {
			t.Errorf("remove %d: %v", i, res.Err)
		}
	}
	if b.kernel.lost != 4 {
		t.Errorf("%d answers were lost, want 4", b.kernel.lost)
	}
}

// Numbers are not used again, within a run and after a restart.
func TestHandlesAreNotUsedAgain(t *testing.T) {
	b := mustOpen(t)
	seen := map[uint32]bool{}
	var stays hwif.Rule
	for i := range 50 {
		stays = b.rule(1, 11, 10)
		b.apply(put(stays))
		for k := range b.kernel.filters {
			if k.prio == defaultPrio+1 {
				if seen[k.handle] {
					t.Fatalf("handle %d again", k.handle)
				}
				seen[k.handle] = true
			}
		}
		if i < 49 {
			b.apply(drop(stays))
		}
	}
	if err := b.dev.Close(false); err != nil {
		t.Fatal(err)
	}
	if err := b.reopen(testProfile(), hwif.OpenOptions{Ports: []string{"up", "vf0", "vf1"}}); err != nil {
		t.Fatal(err)
	}
	next := b.rule(2, 11, 10)
	b.apply(put(next))
	for k, f := range b.kernel.filters {
		if f.Rule.Cookie == next.Cookie && seen[k.handle] {
			t.Errorf("after a restart handle %d again", k.handle)
		}
	}
	if res := b.apply(drop(stays))[0]; res.Err != nil {
		t.Errorf("a rule of the earlier daemon cannot be removed: %v", res.Err)
	}
}

func TestPairsThatDoNotJoin(t *testing.T) {
	p := testProfile()
	p.Joins = func(_ switchdev.Mode, in, out *switchdev.Port) string {
		if in.Ifindex == 11 && out.Ifindex == 12 {
			return "never"
		}
		return ""
	}
	b, err := open(t, p, hwif.OpenOptions{}, func(b *bench) {
		b.kernel.refuse = func(f *tc.Filter) (unix.Errno, string) {
			if f.Ifindex == 12 && f.Rule.Actions.OutPort == 10 {
				return unix.EOPNOTSUPP, "devices are not on same switch HW"
			}
			return 0, ""
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ports, err := b.dev.Ports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pt := range ports {
		for out, want := range map[hwif.Ifindex]bool{10: pt.Ifindex != 12, 12: pt.Ifindex != 11} {
			if pt.Reaches(out) != want {
				t.Errorf("%s reaches %d: %v", pt.Name, out, !want)
			}
		}
	}
	sent := len(b.kernel.sent)
	for _, pair := range [][2]hwif.Ifindex{{11, 12}, {12, 10}} {
		var he *hwif.Error
		err := b.apply(put(b.rule(1, pair[0], pair[1])))[0].Err
		if !errors.As(err, &he) || he.Kind != hwif.KindUnsupported || he.Field != hwif.ActRedirect.String() {
			t.Errorf("%v: %v", pair, err)
		}
	}
	if len(b.kernel.sent) != sent {
		t.Error("a rule for a pair that does not join was sent")
	}
	for k := range b.kernel.filters {
		if k.prio >= defaultPrio+prioProbe {
			t.Errorf("a probe was left: %+v", k)
		}
	}
}

// A port that vanishes between plan and install, and comes back as another.
func TestPortVanishesAndReturns(t *testing.T) {
	b := mustOpen(t)
	r := b.rule(1, 10, 11)
	b.apply(put(r))
	b.sight.inv = switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeSwitchdev, fakePort(10, "up", hwif.PortUplink), fakePort(12, "vf1", hwif.PortVF))}, nil)
	b.kernel.DelClsact(11)
	ports, err := b.dev.Ports(t.Context())
	if err != nil || len(ports) != 2 {
		t.Fatalf("%+v %v", ports, err)
	}
	select {
	case <-b.dev.Changed():
	case <-time.After(5 * time.Second):
		t.Error("the change was not told")
	}
	for _, bad := range []hwif.Rule{b.rule(2, 11, 10), b.rule(2, 10, 11)} {
		var he *hwif.Error
		if err := b.apply(put(bad))[0].Err; !errors.As(err, &he) || he.Kind != hwif.KindGone || he.Port != "port 11" {
			t.Errorf("%v", err)
		}
	}
	if res := b.apply(drop(r))[0]; res.Err != nil {
		t.Errorf("a rule that points to it cannot be removed: %v", res.Err)
	}
	b.sight.inv = switchdev.Assemble([]switchdev.Device{fakeCard(switchdev.ModeSwitchdev, fakePort(10, "up", hwif.PortUplink), fakePort(31, "vf0", hwif.PortVF), fakePort(12, "vf1", hwif.PortVF))}, nil)
	if ports, err = b.dev.Ports(t.Context()); err != nil || len(ports) != 3 || len(b.kernel.on(31)) != guardsPerPort {
		t.Fatalf("%+v %v, %d filters", ports, err, len(b.kernel.on(31)))
	}
	if res := b.apply(put(b.rule(3, 31, 10)))[0]; res.Err != nil {
		t.Error(res.Err)
	}
}

// Somebody deletes the qdisc: it comes again with its guards, and the rules that
// were on it are not listed any more.
func TestLostQdisc(t *testing.T) {
	b := mustOpen(t)
	r, stays := b.rule(1, 11, 10), b.rule(1, 10, 11)
	b.apply(put(r), put(stays))
	b.kernel.DelClsact(11)
	if _, err := b.dev.Ports(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(b.kernel.on(11)); n != guardsPerPort {
		t.Errorf("%d filters on the mended port, want %d guards", n, guardsPerPort)
	}
	list := b.listed()
	if _, ok := list[r.Cookie]; ok || len(list) != 1 {
		t.Errorf("listed %+v", list)
	}
	if res := b.apply(put(r))[0]; res.Err != nil {
		t.Errorf("it cannot be installed again: %v", res.Err)
	}
}

// After a reset tc says in_hw of rules that the card has lost: they leave, guards
// come again.
func TestReset(t *testing.T) {
	b := mustOpen(t)
	r := b.rule(1, 11, 10)
	b.apply(put(r))
	b.sight.events <- switchdev.DeviceReset{Device: switchdev.Handle{Bus: "pci", Name: "0000:99:00.0"}, Cause: "another card's"}
	b.sight.events <- switchdev.DeviceReset{Device: handle, Cause: "health reporter fw recovered"}
	b.sight.events <- switchdev.StackChanged{} // taken only after the one before was heard
	if n := len(b.listed()); n != 0 {
		t.Errorf("%d rules listed after a reset", n)
	}
	if n := len(b.kernel.on(11)); n != guardsPerPort {
		t.Errorf("%d filters, want %d guards", n, guardsPerPort)
	}
	if res := b.apply(put(r))[0]; res.Err != nil || len(b.listed()) != 1 {
		t.Errorf("%v", res.Err)
	}
}

// Counters are L3's, of tagged frames too, and never fall.
func TestCounters(t *testing.T) {
	b := mustOpen(t)
	plain, tagged := b.rule(1, 11, 10), b.rule(2, 11, 10)
	tagged.Match.VLAN = 100
	tagged.Actions.Set |= hwif.ActionsOf(hwif.ActVLANPop)
	b.apply(put(plain), put(tagged))
	read := func() map[hwif.Cookie]hwif.Counter {
		list, err := b.dev.Counters(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[hwif.Cookie]hwif.Counter{}
		for _, c := range list {
			out[c.Cookie] = c.Counter
		}
		return out
	}
	b.kernel.count[plain.Cookie], b.kernel.count[tagged.Cookie] = hwif.Counter{Packets: 10, Bytes: 1140}, hwif.Counter{Packets: 10, Bytes: 1180}
	for c, got := range read() {
		if want := (hwif.Counter{Packets: 10, Bytes: 1000}); got != want {
			t.Errorf("%s: %+v, want %+v", c, got, want)
		}
	}
	b.kernel.count[plain.Cookie] = hwif.Counter{Packets: 3, Bytes: 300}
	if got := read()[plain.Cookie]; got.Packets != 10 || got.Bytes != 1000 {
		t.Errorf("fell to %+v", got)
	}
	b.kernel.count[tagged.Cookie] = hwif.Counter{Packets: 20, Bytes: 2360}
	if res := b.apply(drop(tagged))[0]; res.Err != nil || res.Final != (hwif.Counter{Packets: 20, Bytes: 2000}) {
		t.Errorf("final %+v", res)
	}
}

func TestCancelled(t *testing.T) {
	b := mustOpen(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := make([]hwif.Result, 1)
	r := b.rule(1, 11, 10)
	b.dev.Apply(ctx, []hwif.Op{put(r)}, out)
	if hwif.KindOf(out[0].Err) != hwif.KindBusy {
		t.Errorf("%v", out[0].Err)
	}
	if res := b.apply(put(r))[0]; res.Err != nil {
		t.Errorf("not installable afterwards: %v", res.Err)
	}
}
