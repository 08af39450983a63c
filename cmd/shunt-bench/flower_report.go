package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

func micros(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Nanoseconds())/1e3) }

// print writes the tables.
func (r *results) print(w io.Writer) {
	per := float64(r.n) / float64(r.parts)
	ceilingIn, ceilingOut, countedOut := r.of(r.in, nameReplay), r.of(r.out, nameReplay), r.of(r.out, nameCounted)
	fmt.Fprintf(w, "\n%d NAT rules by each, one worker; medians of %d slices of %.0f rules, in %d rounds\n", r.n, r.rounds*r.parts, per, r.rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "in\trules/s\tµs a rule\tof it outside the kernel\tof the ceiling\tout\trules/s\tµs a rule\tof it outside the kernel\tof the ceiling\tof the counted one\t")
	for i, one := range r.racers {
		took, user := each(r.in[i], per)
		back, backUser := each(r.out[i], per)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.2f\t\t%s\t%s\t%s\t%.2f\t%.2f\t\n", one.name,
			rate(took), micros(took), micros(user), ratio(r.in[i], ceilingIn),
			rate(back), micros(back), micros(backUser), ratio(r.out[i], ceilingOut), ratio(r.out[i], countedOut))
	}
	t.Flush()
	for _, one := range r.racers {
		fmt.Fprintf(w, "  %s: %s\n", one.name, one.note)
	}
	if len(r.readers) == 0 {
		return
	}
	fmt.Fprintf(w, "\nthe counters of %d rules in the card, all of the driver's; medians of %d\n", r.n, r.rounds)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "read\tseconds\trules/s\tof it outside the kernel, s\tdriver's time\t")
	for i, one := range r.readers {
		took, user := each(r.read[i], 1)
		fmt.Fprintf(t, "%s\t%.3f\t%.0f\t%.3f\t%.1f x\t\n", one.name, took.Seconds(), float64(r.n)/took.Seconds(), user.Seconds(), ratio(r.read[0], r.read[i]))
	}
	t.Flush()
}

func rate(each time.Duration) string {
	if each <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", 1/each.Seconds())
}

// figures are for those who follow them from one change to the next. Who is absent
// has none.
func (r *results) figures(w io.Writer) {
	per := float64(r.n) / float64(r.parts)
	say := func(name string, a, b []span) {
		if len(a) > 0 && len(b) > 0 {
			fmt.Fprintf(w, "figure %s %.2f x\n", name, ratio(a, b))
		}
	}
	in, out := r.of(r.in, nameDriver), r.of(r.out, nameDriver)
	uncounted, read := r.of(r.out, nameCodec), r.reading(nameDriver)
	say("insert_vs_tc_batch", in, r.of(r.in, nameTC))
	say("insert_vs_ceiling", in, r.of(r.in, nameReplay))
	say("insert_vs_vishvananda", in, r.of(r.in, nameLibrary))
	say("insert_vs_ovs", in, r.of(r.in, nameOVS))
	say("ceiling_vs_itself", r.of(r.in, nameCounted), r.of(r.in, nameReplay))
	say("delete_vs_tc_batch", out, r.of(r.out, nameTC))
	say("delete_vs_ceiling", out, r.of(r.out, nameCounted))
	say("delete_vs_vishvananda", out, r.of(r.out, nameLibrary))
	say("delete_vs_ovs", out, r.of(r.out, nameOVS))
	say("delete_uncounted_vs_tc_batch", uncounted, r.of(r.out, nameTC))
	say("delete_uncounted_vs_ceiling", uncounted, r.of(r.out, nameReplay))
	say("sweep_vs_tc_s", read, r.reading(readTC))
	say("sweep_vs_tc_s_j", read, r.reading(readTCJSON))
	say("sweep_vs_vishvananda", read, r.reading(readLibrary))
	say("sweep_vs_ovs", read, r.reading(readOVS))
	for _, one := range []struct {
		name  string
		spans []span
	}{
		{"insert", in}, {"delete", out}, {"ceiling_insert", r.of(r.in, nameReplay)}, {"ceiling_delete", r.of(r.out, nameCounted)},
		{"tc_batch_insert", r.of(r.in, nameTC)}, {"tc_batch_delete", r.of(r.out, nameTC)},
	} {
		took, _ := each(one.spans, per)
		fmt.Fprintf(w, "figure %s_rules_per_second %s 1/s\n", one.name, rate(took))
	}
	sweep, _ := each(read, 1)
	fmt.Fprintf(w, "figure sweep_seconds %.3f s\n", sweep.Seconds())
}
