package route

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// TestMultipathSettings holds that flows of which a packet was seen choosing a leg are
// taken out, and they alone, when the choice is made otherwise; and how often that is
// looked at.
func TestMultipathSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*multipathSysctls)
		text   string
	}{
		"policy":    {func(m *multipathSysctls) { m.policy4 = 1 }, "net.ipv4.fib_multipath_hash_policy changed"},
		"fields":    {func(m *multipathSysctls) { m.fields4 = 1 }, "net.ipv4.fib_multipath_hash_fields changed"},
		"use_neigh": {func(m *multipathSysctls) { m.useNeigh = 1 }, "net.ipv4.fib_multipath_use_neigh changed"},
		"seed":      {func(m *multipathSysctls) { m.seed = 1 }, "net.ipv4.fib_multipath_hash_seed changed"},
		"policy v6": {func(m *multipathSysctls) { m.policy6 = 1 }, "net.ipv6.fib_multipath_hash_policy changed"},
		"fields v6": {func(m *multipathSysctls) { m.fields6 = 1 }, "net.ipv6.fib_multipath_hash_fields changed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var now multipathSysctls
			reads := 0
			f.again.multipath = func() multipathSysctls { reads++; return now }
			f.ask1(toB)
			f.ask1(toC)
			v := f.index.found(f.index.get(1))
			v.path[flow.Orig].Legs = 99
			f.index.amend(f.index.get(1), &v)
			for range 10 {
				f.now += flow.Time(100 * time.Millisecond)
				f.lap(0)
			}
			if s := f.tell(); len(s) != 0 || reads != 1 {
				t.Errorf("said %v, read %d times within a second", s, reads)
			}
			tc.change(&now)
			f.now += flow.Time(time.Second)
			f.lap(0)
			onlyDirty(t, f.tell(), flow.CauseRouteChanged, tc.text, 1)
			if f.view.multipath != now {
				t.Errorf("the picture has %+v, want %+v", f.view.multipath, now)
			}
		})
	}
}

func TestReadSysctls(t *testing.T) {
	var s sysctlFiles
	defer s.close()
	for i, text := range []string{"2\n", "7\n", "", "4294967295\n", "1\n"} { // the last is missing
		name := filepath.Join(t.TempDir(), "sysctl")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		s[i] = f
	}
	want := multipathSysctls{policy4: 2, fields4: 7, seed: 1<<32 - 1, policy6: 1}
	for range 2 {
		if got := s.read(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
