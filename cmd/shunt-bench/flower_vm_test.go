//go:build vm

package main

import (
	"context"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// Everybody puts the same rules into the card, and takes them out again: read back
// from the kernel they are equal, but for what a racer's note says.
func TestRacersDoTheSame(t *testing.T) {
	c, dev, err := newCourse(t.Context(), 40)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(true); err != nil {
			t.Error(err)
		}
		if err := c.card.Close(); err != nil {
			t.Error(err)
		}
	})
	rs, absent, err := c.racers(dev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rs.close(); err != nil {
			t.Error(err)
		}
	})
	for _, text := range absent {
		t.Error(text)
	}
	conn, err := tc.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, r := range rs {
		do := func(what string, f move, want uint64) {
			if r.ready != nil {
				r.ready(0, c.n)
			}
			if err := f(t.Context(), 0, c.n); err != nil {
				t.Fatalf("%s: %s: %v", r.name, what, err)
			}
			if err := c.holds(c.base + want); err != nil {
				t.Fatalf("%s: %s: %v", r.name, what, err)
			}
		}
		do("insert", r.insert, uint64(c.n))
		if r.name != nameOVS { // the rules of which are at other ports
			c.compare(t.Context(), t, r.name, conn)
		}
		for _, read := range r.readers {
			if r.apart || r.name == nameDriver {
				if err := read.read(t.Context()); err != nil {
					t.Errorf("%s: %v", read.name, err)
				}
			}
		}
		do("remove", r.remove, 0)
	}
}

// compare reads what is at the port but guards.
func (c *course) compare(ctx context.Context, t *testing.T, name string, conn *tc.Conn) {
	t.Helper()
	found := 0
	err := conn.Dump(ctx, c.in.Ifindex, &shape, func(f *tc.Filter) error {
		if f.Rule.Actions.Set.Has(hwif.ActTrap) {
			return nil
		}
		i := found
		found++
		if i >= c.n {
			return nil
		}
		want := c.rule(i)
		if name == nameLibrary {
			want = poorer(want)
		}
		if f.Rule != want || len(f.Strange) > 0 {
			t.Errorf("%s: rule %d:\n got %v %q\nwant %v", name, i, &f.Rule, f.Strange, &want)
		}
		return nil
	})
	if err != nil || found != c.n {
		t.Errorf("%s: %d rules at the port, want %d; %v", name, found, c.n, err)
	}
}

// poorer is what the library's note says that it lacks.
func poorer(r hwif.Rule) hwif.Rule {
	r.Cookie = hwif.Cookie{}
	r.Match.Fields = r.Match.Fields.Without(hwif.FieldTCPFlags).Without(hwif.FieldNotFrag)
	r.Match.TCPFlags, r.Match.TCPFlagsMask = 0, 0
	r.Actions.Set = r.Actions.Set.Without(hwif.ActDecTTL)
	return r
}

// A short race comes to its end, with every slice measured.
func TestRace(t *testing.T) {
	var b strings.Builder
	if err := benchFlower(t.Context(), &b, flowerOptions{rules: 60, rounds: 1, slices: 2}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{nameDriver, nameReplay, nameOVS, readTC, "figure insert_vs_tc_batch", "figure sweep_vs_ovs"} {
		if !strings.Contains(b.String(), name) {
			t.Errorf("no %s in\n%s", name, &b)
		}
	}
}
