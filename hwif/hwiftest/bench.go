package hwiftest

import (
	"context"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

// bench is one open device with what a subtest needs around it.
type bench struct {
	*testing.T
	h    *Harness
	dev  hwif.Device // nil once the subtest has closed it
	nic  *hwif.NIC   // around dev
	caps hwif.Caps
	gen  uint64 // of the latest cookie
}

func open(t *testing.T, h *Harness) *bench {
	t.Helper()
	if len(h.Ports) < 2 {
		t.Fatalf("harness has %d ports; the suite needs two", len(h.Ports))
	}
	if h.MaxRules == 0 {
		h.MaxRules = 64
	}
	b := &bench{T: t, h: h}
	b.use(h.Open(Options{MaxRules: h.MaxRules}))
	t.Cleanup(func() { b.close(true) })
	return b
}

func (b *bench) use(dev hwif.Device) {
	b.Helper()
	if dev == nil {
		b.Fatal("harness opened no device")
	}
	b.dev, b.nic, b.caps = dev, hwif.NewNIC(dev, hwif.NICOptions{}), dev.Caps()
}

// close closes the device once.
func (b *bench) close(flush bool) {
	b.Helper()
	if b.dev == nil {
		return
	}
	dev := b.dev
	b.dev = nil
	if err := dev.Close(flush); err != nil {
		b.Errorf("Close(%v): %v", flush, err)
	}
}

func (b *bench) in() hwif.Port  { return b.h.Ports[0] }
func (b *bench) out() hwif.Port { return b.h.Ports[1] }

func (b *bench) settle() {
	if b.h.Settle != nil {
		b.h.Settle()
	}
}

func (b *bench) cookie(dir uint8) hwif.Cookie {
	b.gen++
	return hwif.NewCookie(b.gen, dir)
}

// apply sends ops through the NIC that users hold.
func (b *bench) apply(ops ...hwif.Op) []hwif.Result {
	results := make([]hwif.Result, len(ops))
	b.nic.Apply(context.Background(), ops, results)
	return results
}

func install(r hwif.Rule) hwif.Op { return hwif.Op{Kind: hwif.OpInstall, Rule: r} }
func remove(r hwif.Rule) hwif.Op  { return hwif.Op{Kind: hwif.OpRemove, Rule: r} }

// install puts a rule in, or fails the test.
func (b *bench) install(r hwif.Rule) {
	b.Helper()
	if res := b.apply(install(r))[0]; res.Err != nil {
		b.Fatalf("install %s: %v", &r, res.Err)
	} else if res.Presence != hwif.InHW {
		b.Fatalf("install %s: presence %s, want in_hw", &r, res.Presence)
	}
}

// remove takes a rule out, or fails the test.
func (b *bench) remove(r hwif.Rule) hwif.Counter {
	b.Helper()
	res := b.apply(remove(r))[0]
	if res.Err != nil {
		b.Fatalf("remove %s: %v", &r, res.Err)
	}
	return res.Final
}

// wantKind fails the test unless err has the kind.
func (b *bench) wantKind(what string, err error, want ...hwif.Kind) {
	b.Helper()
	if err == nil {
		b.Errorf("%s: no error, want kind %s", what, want[0])
		return
	}
	for _, k := range want {
		if hwif.KindOf(err) == k {
			return
		}
	}
	b.Errorf("%s: kind %s (%v), want %v", what, hwif.KindOf(err), err, want)
}

// rules lists what is in the device, by cookie.
func (b *bench) rules() map[hwif.Cookie]hwif.Installed {
	b.Helper()
	out := map[hwif.Cookie]hwif.Installed{}
	for in, err := range b.nic.Rules(context.Background()) {
		if err != nil {
			b.Fatalf("Rules: %v", err)
		}
		if _, twice := out[in.Rule.Cookie]; twice {
			b.Errorf("Rules lists cookie %s twice", in.Rule.Cookie)
		}
		out[in.Rule.Cookie] = in
	}
	return out
}

// wantRules fails the test unless exactly these rules are listed, value for value.
func (b *bench) wantRules(want ...hwif.Rule) {
	b.Helper()
	got := b.rules()
	for _, w := range want {
		in, ok := got[w.Cookie]
		delete(got, w.Cookie)
		switch {
		case !ok:
			b.Errorf("not listed: %s", &w)
		case in.Rule != w:
			b.Errorf("listed\n\t%s %+v\nwant\n\t%s %+v", &in.Rule, in.Rule, &w, w)
		case in.Presence != hwif.InHW:
			b.Errorf("%s: presence %s, want in_hw", &w, in.Presence)
		}
	}
	for _, in := range got {
		b.Errorf("listed, but not wanted: %s", &in.Rule)
	}
}

// counter reads one rule's counter; zero when the rule has none.
func (b *bench) counter(c hwif.Cookie) hwif.Counter {
	b.Helper()
	b.settle()
	list, err := b.nic.Counters(context.Background(), nil)
	if err != nil {
		b.Fatalf("Counters: %v", err)
	}
	for _, k := range list {
		if k.Cookie == c {
			return k.Counter
		}
	}
	return hwif.Counter{}
}

// need skips the subtest when the device says that it lacks something of r. It
// proves the reason first: the device must refuse the rule by name.
func (b *bench) need(r hwif.Rule) {
	b.Helper()
	err := b.caps.Check(&r)
	if err == nil {
		return
	}
	if hwif.KindOf(err) != hwif.KindUnsupported {
		b.Fatalf("the suite's own rule is wrong: %s: %v", &r, err)
	}
	b.wantRefused(r)
	b.Skipf("caps: %v", err)
}

// wantRefused fails the test unless the bare device refuses r as unsupported,
// names something, and has installed nothing.
func (b *bench) wantRefused(r hwif.Rule) {
	b.Helper()
	results := []hwif.Result{{}}
	b.dev.Apply(context.Background(), []hwif.Op{install(r)}, results)
	b.wantKind("install "+r.String(), results[0].Err, hwif.KindUnsupported)
	b.wantNamed(results[0].Err)
	if _, there := b.rules()[r.Cookie]; there {
		b.Errorf("refused, but installed: %s", &r)
	}
}
