package bound

import (
	"math/bits"
	"testing"

	"pgregory.net/rapid"
)

// best is the most that can be forwarded, by trying every set of flows in every tick.
func best(flows []Flow, ticks int, t Table) float64 {
	limit := t.Inserts
	if limit <= 0 {
		limit = len(flows)
	}
	sets := 1 << len(flows)
	value := make([]float64, sets)
	for s := 1; s < sets; s++ {
		value[s] = -1
	}
	for tick := range ticks {
		next := make([]float64, sets)
		for to := range sets {
			next[to] = -1
			if bits.OnesCount(uint(to)) > t.Slots {
				continue
			}
			gain, possible := 0.0, true
			for n, f := range flows {
				if to&(1<<n) == 0 {
					continue
				}
				if i := tick - f.Start; i >= 0 && i < len(f.Bytes) {
					gain += float64(f.Bytes[i])
				} else {
					possible = false
				}
			}
			for from := range sets {
				if possible && value[from] >= 0 && bits.OnesCount(uint(to&^from)) <= limit {
					next[to] = max(next[to], value[from]+gain)
				}
			}
		}
		value = next
	}
	out := 0.0
	for _, v := range value {
		out = max(out, v)
	}
	return out
}

func load(t *rapid.T, ticks int) []Flow {
	flows := make([]Flow, rapid.IntRange(1, 5).Draw(t, "flows"))
	for i := range flows {
		f := &flows[i]
		f.Start = rapid.IntRange(0, ticks-1).Draw(t, "start")
		for range rapid.IntRange(1, ticks-f.Start).Draw(t, "length") {
			f.Bytes = append(f.Bytes, float32(rapid.IntRange(0, 9).Draw(t, "bytes")))
		}
	}
	return flows
}

const exact = 1e-6

// TestBounds holds both numbers against every possible choice.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ticks = 6
		flows := load(t, ticks)
		table := Table{Slots: rapid.IntRange(1, 3).Draw(t, "slots"), Inserts: rapid.IntRange(0, 2).Draw(t, "inserts")}
		b, want := Find(flows, ticks, table, 60), best(flows, ticks, table)
		if b.Upper < want-exact || b.Lower > want+exact {
			t.Fatalf("%+v of %+v, the best is %v", b, table, want)
		}
		more := Find(flows, ticks, Table{Slots: table.Slots + 1, Inserts: table.Inserts}, 60)
		if exactly := best(flows, ticks, Table{table.Slots + 1, table.Inserts}); more.Upper < exactly-exact {
			t.Fatalf("one slot more: %+v, the best is %v", more, exactly)
		}
	})
}

// TestUnhurried: as many insertions as there are flows are no limit, and then the bound
// is what can be reached.
func TestUnhurried(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ticks = 6
		flows := load(t, ticks)
		slots := rapid.IntRange(1, 3).Draw(t, "slots")
		want := best(flows, ticks, Table{Slots: slots})
		for _, inserts := range []int{0, len(flows)} {
			if got := Find(flows, ticks, Table{slots, inserts}, 20); got.Upper > want+exact || got.Upper < want-exact || got.Lower < want-exact {
				t.Fatalf("%+v with %d insertions, the best is %v", got, inserts, want)
			}
		}
	})
}

// TestScarceInsertions: the steps find prices that are worth something, and are not the
// bound of a table without haste.
func TestScarceInsertions(t *testing.T) {
	const ticks = 40
	var flows []Flow
	for i := range 60 {
		f := Flow{Start: i % 10}
		for k := range 20 + i%10 {
			f.Bytes = append(f.Bytes, float32(1+(i*7+k*3)%13))
		}
		flows = append(flows, f)
	}
	table := Table{Slots: 8, Inserts: 1}
	b, free := Find(flows, ticks, table, 100), Find(flows, ticks, Table{Slots: 8}, 1)
	if b.Upper > 0.95*free.Upper || b.Lower < 0.75*b.Upper || b.Lower > b.Upper {
		t.Errorf("%+v, without a limit %+v", b, free)
	}
}

func BenchmarkFind(b *testing.B) {
	const ticks = 300
	var flows []Flow
	for i := range 5000 {
		f := Flow{Start: i % 250}
		for k := range 1 + i%50 {
			f.Bytes = append(f.Bytes, float32(1+(i*7919+k*31)%997))
		}
		flows = append(flows, f)
	}
	b.ReportAllocs()
	for b.Loop() {
		Find(flows, ticks, Table{Slots: 256, Inserts: 10}, 60)
	}
}
