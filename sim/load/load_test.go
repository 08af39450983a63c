package load

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

// near fails when a number is not what it should be, within a distance.
func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %.4g, want %.4g within %.2g", what, got, want, within)
	}
}

// share is which share of all bytes the largest flows of a share of all flows have.
func share(all []float64, total, top float64) float64 {
	slices.SortFunc(all, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
	sum := 0.0
	for _, b := range all[:int(top*float64(len(all)))] {
		sum += b
	}
	return sum / total
}

// TestCampusSizes: the generator's flows have the sizes of the data: in all, and in the
// shares of the largest.
func TestCampusSizes(t *testing.T) {
	s, err := campusSizes()
	if err != nil {
		t.Fatal(err)
	}
	const n = 1_000_000
	all, total := make([]float64, n), 0.0
	for i, b := range s.slices(n) {
		all[i] = b.bytes
		total += all[i]
		if math.Abs(b.flows-1) > 1e-6 {
			t.Fatalf("slice %d holds %v of its flows", i, b.flows)
		}
	}
	near(t, "mean size", total/n, 68411, 1)
	near(t, "top 0.1 %", 100*share(all, total, 0.001), 79.2, 2)
	near(t, "top 1 %", 100*share(all, total, 0.01), 96.1, 2)
	near(t, "top 10 %", 100*share(all, total, 0.1), 99.5, 2)
}

func TestCampus(t *testing.T) {
	for _, smooth := range []bool{false, true} {
		o := Options{Seed: 1, Seconds: 120, Scale: 1, Smooth: smooth}
		l, err := Campus(o)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := Campus(o)
		if !reflect.DeepEqual(l, again) {
			t.Error("the same seed makes another load")
		}
		if !slices.IsSortedFunc(l.Flows, func(a, b Flow) int { return int(math.Copysign(1, a.Begin-b.Begin)) }) {
			t.Error("flows are not in the order of their beginnings")
		}
		active, bytes, began := make([]float64, o.Seconds), make([]float64, o.Seconds), 0
		for i := range l.Flows {
			f := &l.Flows[i]
			if f.Begin >= 0 {
				began++
			}
			if f.First()+len(f.Bytes) > o.Seconds || len(f.Bytes) == 0 {
				t.Fatalf("flow %d: from %v, %d seconds", i, f.Begin, len(f.Bytes))
			}
			for k, b := range f.Bytes {
				active[f.First()+k]++
				bytes[f.First()+k] += float64(b)
			}
		}
		near(t, "flows in a second", float64(began)/float64(o.Seconds), 1830, 150)
		// As many are active at the beginning as at the end, and as much is sent.
		first, last := mean(bytes[:40]), mean(bytes[80:])
		near(t, "bytes at the beginning and the end", first/last, 1, 0.25)
		near(t, "active at the beginning and the end", mean(active[:40])/mean(active[80:]), 1, 0.15)
		near(t, "Gbit/s", 8e-9*mean(bytes), 1.0, 0.3)
	}
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}

func BenchmarkCampus(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Campus(Options{Seed: 1, Seconds: 60, Scale: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
