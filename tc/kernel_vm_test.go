//go:build vm

package tc_test

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim/simnic"
	"github.com/shunt-offload/shunt/tc"
)

// card is an emulated card that takes what flower says, with clsact on its uplink.
func card(t *testing.T, o simnic.Options) (c *simnic.Card, conn *tc.Conn, in, out hwif.Ifindex) {
	t.Helper()
	c, err := simnic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if conn, err = tc.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	in, out = hwif.Ifindex(simnic.Index(c.VF(0))), hwif.Ifindex(simnic.Index(c.Uplink(0)))
	if made, err := conn.AddClsact(in, 0); err != nil || !made {
		t.Fatalf("clsact: made %v, %v", made, err)
	}
	if made, err := conn.AddClsact(in, 0); err != nil || made {
		t.Fatalf("clsact again: made %v, %v", made, err)
	}
	return c, conn, in, out
}

func apply(t *testing.T, conn *tc.Conn, s *tc.Shape, reqs ...tc.Request) []tc.Response {
	t.Helper()
	out := make([]tc.Response, len(reqs))
	conn.Apply(t.Context(), s, reqs, out)
	return out
}

// volatile is what tc prints of a filter that is not the filter: ages, statistics
// and the kernel's numbers of actions.
var volatile = regexp.MustCompile(`(?m)index \d+ ref \d+ bind \d+.*$|installed .*$|^\s*(Action statistics|Sent|backlog|used_hw_stats|no_percpu).*$|in_hw_count \d+|^filter .* handle 0x[0-9a-f]+\s*$`)

func printed(t *testing.T, dev string) string {
	t.Helper()
	out, err := exec.Command("tc", "-s", "filter", "show", "dev", dev, "ingress").CombinedOutput()
	if err != nil {
		t.Fatalf("tc filter show: %v: %s", err, out)
	}
	text := volatile.ReplaceAllString(string(out), "")
	return regexp.MustCompile(`(?m)^\s*\n`).ReplaceAllString(text, "")
}

// Each rule that shunt can ask for: the kernel takes our bytes, tells them back as
// they were, and tc prints of ours what it prints of its own.
func TestEveryRuleOnTheKernel(t *testing.T) {
	c, conn, in, out := card(t, simnic.Options{Profile: "flower", CounterM: -1})
	for _, s := range samples(in, out) {
		t.Run(s.name, func(t *testing.T) {
			// tc takes the ethertype key from the classifier's protocol.
			s.shape.Ethertype = true
			res := apply(t, conn, &s.shape, tc.Request{Verb: tc.New, Filter: &s.filter})
			if res[0].Err != nil || res[0].Flags&tc.InHW == 0 {
				t.Fatalf("add: %+v", res[0])
			}
			var found []tc.Filter
			if err := conn.Dump(t.Context(), in, &s.shape, func(f *tc.Filter) error { found = append(found, *f); return nil }); err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0].Rule != s.filter.Rule || len(found[0].Strange) > 0 || found[0].Presence() != hwif.InHW ||
				found[0].AnyTag != s.filter.AnyTag || found[0].Place != s.filter.Place || found[0].Handle != s.filter.Handle {
				t.Errorf("listed %+v, want one like %+v", found, s.filter)
			}
			ours := printed(t, c.VF(0))
			if !strings.Contains(ours, "skip_sw") || !strings.Contains(ours, "in_hw") {
				t.Errorf("tc prints no skip_sw and in_hw:\n%s", ours)
			}
			if res := apply(t, conn, &s.shape, tc.Request{Verb: tc.Delete, Filter: &s.filter}); res[0].Err != nil {
				t.Fatalf("delete: %v", res[0].Err)
			}
			args := words(&s, c.VF(0), c.Uplink(0))
			if text, err := exec.Command("tc", args...).CombinedOutput(); err != nil {
				t.Fatalf("tc %s: %v: %s", strings.Join(args, " "), err, text)
			}
			if theirs := printed(t, c.VF(0)); theirs != ours {
				t.Errorf("tc %s\nprints\n%s\nand of ours\n%s", strings.Join(args, " "), theirs, ours)
			}
			if text, err := exec.Command("tc", "filter", "del", "dev", c.VF(0), "ingress").CombinedOutput(); err != nil {
				t.Fatalf("tc filter del: %v: %s", err, text)
			}
		})
	}
}

func nat(n int, in, out hwif.Ifindex) tc.Filter {
	r := routed(hwif.IPv4, hwif.ProtoTCP, "s", 0, 0, in, out)
	r.Match.SrcPort = uint16(n)
	r.Cookie = hwif.NewCookie(uint64(n), 0)
	return tc.Filter{Place: tc.Place{Ifindex: in, Prio: 10}, Handle: uint32(n), Rule: r}
}

// One answer per request, in order; what fails stops nothing.
func TestBatch(t *testing.T) {
	c, conn, in, out := card(t, simnic.Options{Profile: "flower", CounterM: -1})
	shape := tc.Shape{}
	const n = 200
	filters := make([]tc.Filter, n)
	var reqs []tc.Request
	for i := range filters {
		filters[i] = nat(i+1, in, out)
		if i%10 == 5 {
			filters[i] = nat(i, in, out) // equal to the one before
			filters[i].Handle = uint32(i + 1)
		}
		reqs = append(reqs, tc.Request{Verb: tc.New, Filter: &filters[i]})
	}
	for i, res := range apply(t, conn, &shape, reqs...) {
		if bad := i%10 == 5; bad != errors.Is(res.Err, unix.EEXIST) || !bad && res.Err != nil {
			t.Errorf("request %d: %v", i, res.Err)
		}
	}
	st, err := c.Stats()
	if err != nil || st.Used != n*9/10 {
		t.Errorf("%d rules in the card, want %d: %v", st.Used, n*9/10, err)
	}
	tallies := 0
	if err := conn.Terse(t.Context(), in, func(x *tc.Tally) {
		tallies++
		if x.Cookie.Gen() != uint64(x.Handle) || x.Flags&tc.InHW == 0 {
			t.Errorf("tally %+v", x)
		}
	}); err != nil || tallies != n*9/10 {
		t.Errorf("%d tallies, want %d: %v", tallies, n*9/10, err)
	}
	for i := range reqs {
		reqs[i].Verb = tc.Delete
	}
	for i, res := range apply(t, conn, &shape, reqs...) {
		if bad := i%10 == 5; bad != errors.Is(res.Err, unix.ENOENT) || !bad && res.Err != nil {
			t.Errorf("delete %d: %v", i, res.Err)
		}
	}
	if st, err = c.Stats(); err != nil || st.Used != 0 {
		t.Errorf("%d rules left: %v", st.Used, err)
	}
}

// Counters come by all three ways, and the last ones with the removal.
func TestCounters(t *testing.T) {
	c, conn, in, out := card(t, simnic.Options{Profile: "flower", CounterM: -1})
	shape := tc.Shape{}
	if err := c.Quieten(c.VF(0), c.Uplink(0)); err != nil {
		t.Fatal(err)
	}
	tap, err := c.NewTap(c.VF(0), c.Uplink(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
	}()
	f := nat(7, in, out)
	f.Rule.Actions = hwif.Actions{Set: hwif.ActionsOf(hwif.ActRedirect), OutPort: out}
	f.Rule.Match.Fields = hwif.FieldsOf(hwif.FieldInPort, hwif.FieldEthDst, hwif.FieldVLAN, hwif.FieldEthType)
	f.Rule.Match = hwif.Match{Fields: f.Rule.Match.Fields, InPort: in, EthDst: routerMAC, Family: hwif.IPv4}
	if res := apply(t, conn, &shape, tc.Request{Verb: tc.New, Filter: &f}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	frame := make([]byte, 100)
	copy(frame, routerMAC[:])
	frame[12], frame[14] = 8, 0x45
	for range 3 {
		if o, err := tap.Inject(c.VF(0), frame); err != nil || o.Fate != simnic.Forwarded || !bytes.Equal(o.Frame, frame) {
			t.Fatalf("%+v %v", o, err)
		}
	}
	want := hwif.Counter{Packets: 3, Bytes: 300}
	if err := conn.Terse(t.Context(), in, func(x *tc.Tally) {
		if x.Counter != want {
			t.Errorf("terse: %+v", x.Counter)
		}
	}); err != nil {
		t.Error(err)
	}
	if err := conn.Dump(t.Context(), in, &shape, func(x *tc.Filter) error {
		if x.Counter != want {
			t.Errorf("dump: %+v", x.Counter)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if res := apply(t, conn, &shape, tc.Request{Verb: tc.Get, Filter: &f}); res[0].Err != nil || res[0].Counter != want || res[0].Flags&tc.InHW == 0 {
		t.Errorf("get: %+v", res[0])
	}
	if res := apply(t, conn, &shape, tc.Request{Verb: tc.Delete, Filter: &f}); res[0].Err != nil || res[0].Counter != want {
		t.Errorf("delete: %+v", res[0])
	}
	r := apply(t, conn, &shape, tc.Request{Verb: tc.New, Filter: &f}, tc.Request{Verb: tc.Delete, Filter: &f, NoCounter: true}, tc.Request{Verb: tc.Delete, Filter: &f, NoCounter: true})
	if r[0].Err != nil || r[1] != (tc.Response{}) || !errors.Is(r[2].Err, unix.ENOENT) {
		t.Errorf("delete without counter, twice: %+v", r)
	}
}

// The kernel's words are kept, and errors name place and handle.
func TestRefusals(t *testing.T) {
	c, conn, in, out := card(t, simnic.Options{Profile: "mlx5", Mode: "switchdev", Rules: 4})
	shape := tc.Shape{NoCsum: true, Retag: true}
	far := nat(1, in, out)
	far.Prio = 30
	gone := nat(2, in, 9999)
	res := apply(t, conn, &shape, tc.Request{Verb: tc.New, Filter: &far}, tc.Request{Verb: tc.New, Filter: &gone})
	var te *tc.Error
	if !errors.As(res[0].Err, &te) || te.Errno != unix.EOPNOTSUPP || !strings.Contains(te.Text, "priority is out of supported range") || te.Handle != 1 {
		t.Errorf("prio 30: %v", res[0].Err)
	}
	if !errors.Is(res[1].Err, unix.ENODEV) {
		t.Errorf("no such egress: %v", res[1].Err)
	}
	var reqs []tc.Request
	filters := make([]tc.Filter, 6)
	for i := range filters {
		filters[i] = nat(i+1, in, out)
		reqs = append(reqs, tc.Request{Verb: tc.New, Filter: &filters[i]})
	}
	for i, r := range apply(t, conn, &shape, reqs...) {
		if i < 4 != (r.Err == nil) || i >= 4 && !errors.Is(r.Err, unix.ENOSPC) {
			t.Errorf("rule %d into a table of 4: %v", i, r.Err)
		}
	}
	if out, err := exec.Command("tc", "qdisc", "del", "dev", c.VF(0), "clsact").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := apply(t, conn, &shape, tc.Request{Verb: tc.New, Filter: &filters[0]}, tc.Request{Verb: tc.Delete, Filter: &filters[1]})
	for i := range r {
		if !errors.As(r[i].Err, &te) || !tc.Gone(r[i].Err) {
			t.Errorf("without qdisc: %v", r[i].Err)
		}
	}
	if st, err := c.Stats(); err != nil || st.Used != 0 {
		t.Errorf("the qdisc left, and %d rules stay: %v", st.Used, err)
	}
	if acts, err := conn.Clsacts(t.Context()); err != nil || acts[in].Kind != "" {
		t.Errorf("clsacts: %+v %v", acts, err)
	}
}

// Filters in a shared block are addressed by its number.
func TestBlock(t *testing.T) {
	c, conn, _, out := card(t, simnic.Options{Profile: "flower"})
	shape := tc.Shape{}
	second := hwif.Ifindex(simnic.Index(c.VF(1)))
	if made, err := conn.AddClsact(second, 77); err != nil || !made {
		t.Fatalf("clsact with block: %v %v", made, err)
	}
	if acts, err := conn.Clsacts(t.Context()); err != nil || acts[second].Block != 77 {
		t.Errorf("clsacts: %+v %v", acts[second], err)
	}
	f := nat(5, 0, out)
	f.Place = tc.Place{Block: 77, Prio: 3}
	f.Rule.Match.Fields = f.Rule.Match.Fields.Without(hwif.FieldInPort)
	if res := apply(t, conn, &shape, tc.Request{Verb: tc.New, Filter: &f}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	text, err := exec.Command("tc", "filter", "show", "block", "77").CombinedOutput()
	if err != nil || !strings.Contains(string(text), "in_hw") {
		t.Errorf("%v: %s", err, text)
	}
	direct := nat(6, second, out)
	if res := apply(t, conn, &shape, tc.Request{Verb: tc.New, Filter: &direct}); !strings.Contains(fmt.Sprint(res[0].Err), "block index") {
		t.Errorf("a shared block by its device: %v", res[0].Err)
	}
	if res := apply(t, conn, &shape, tc.Request{Verb: tc.Delete, Filter: &f}); res[0].Err != nil {
		t.Error(res[0].Err)
	}
}
