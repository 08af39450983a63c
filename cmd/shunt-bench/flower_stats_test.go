package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func spans(ms ...int) []span {
	var out []span
	for _, m := range ms {
		out = append(out, span{took: time.Duration(m) * time.Millisecond, user: time.Duration(m) * time.Millisecond / 10})
	}
	return out
}

// A machine that is three times as slow in some slices changes no ratio, and one
// slice that went wrong changes neither ratio nor time.
func TestRatioIsOfSlices(t *testing.T) {
	a, b := spans(10, 30, 30, 10, 500), spans(20, 60, 60, 20, 40)
	if r := ratio(a, b); r != 2 {
		t.Errorf("ratio %v, want 2", r)
	}
	if r := ratio(b, a); r != 0.5 {
		t.Errorf("ratio %v, want 0.5", r)
	}
	if r := ratio(a, nil); r != 0 {
		t.Errorf("ratio to nobody %v, want 0", r)
	}
	if r := ratio(spans(0, 10), spans(5, 20)); r != 2 {
		t.Errorf("ratio beside a slice that took no time %v, want 2", r)
	}
	took, user := each(spans(10, 900, 20), 10)
	if took != 2*time.Millisecond || user != 3100*time.Microsecond {
		t.Errorf("each took %v and %v outside the kernel, want 2 ms and 3.1 ms", took, user)
	}
	if took, _ := each(nil, 10); took != 0 {
		t.Errorf("nothing took %v", took)
	}
}

// Each figure is of those whose name it has, whatever the racers' order.
func TestFigures(t *testing.T) {
	r := &results{n: 100, rounds: 1, parts: 1}
	add := func(name string, in, out int) {
		r.racers = append(r.racers, &racer{name: name, note: "-"})
		r.in, r.out = append(r.in, spans(in)), append(r.out, spans(out))
	}
	add(nameLibrary, 400, 80)
	add(nameTC, 200, 60)
	add(nameDriver, 20, 10)
	add(nameCodec, 19, 4)
	add(nameReplay, 16, 2)
	add(nameCounted, 16, 8)
	add(nameOVS, 800, 100)
	for name, ms := range map[string]int{nameDriver: 5, readTC: 50, readTCJSON: 75, readLibrary: 100, readOVS: 200} {
		r.readers, r.read = append(r.readers, reader{name: name}), append(r.read, spans(ms))
	}
	var b bytes.Buffer
	r.figures(&b)
	for _, want := range []string{
		"insert_vs_tc_batch 10.00 x", "insert_vs_ceiling 0.80 x", "insert_vs_vishvananda 20.00 x", "insert_vs_ovs 40.00 x", "ceiling_vs_itself 1.00 x",
		"delete_vs_tc_batch 6.00 x", "delete_vs_ceiling 0.80 x", "delete_vs_vishvananda 8.00 x", "delete_vs_ovs 10.00 x",
		"delete_uncounted_vs_tc_batch 15.00 x", "delete_uncounted_vs_ceiling 0.50 x",
		"sweep_vs_tc_s 10.00 x", "sweep_vs_tc_s_j 15.00 x", "sweep_vs_vishvananda 20.00 x", "sweep_vs_ovs 40.00 x",
		"insert_rules_per_second 5000 1/s", "delete_rules_per_second 10000 1/s", "sweep_seconds 0.005 s",
		"tc_batch_insert_rules_per_second 500 1/s", "ceiling_insert_rules_per_second 6250 1/s",
	} {
		if !strings.Contains(b.String(), "figure "+want+"\n") {
			t.Errorf("no figure %s in\n%s", want, &b)
		}
	}
	// Without Open vSwitch there is no figure of it.
	r.racers, r.in, r.out = r.racers[:6], r.in[:6], r.out[:6]
	b.Reset()
	r.figures(&b)
	if strings.Contains(b.String(), "insert_vs_ovs") {
		t.Errorf("a figure of an absent racer in\n%s", &b)
	}
}
