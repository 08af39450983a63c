package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Names that figures go by.
const (
	nameDriver  = "shunt, mlx5 driver"
	nameReplay  = "replay (ceiling)"
	nameTC      = "tc -batch"
	nameLibrary = "vishvananda/netlink"
)

// of picks one time of a lap.
type of func(lap) time.Duration

var (
	inserting = of(func(l lap) time.Duration { return l.insert })
	sweeping  = of(func(l lap) time.Duration { return l.sweep })
	removing  = of(func(l lap) time.Duration { return l.remove })
)

func middle[T int | float64 | time.Duration](v []T) T {
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

func times(laps []lap, f of) []time.Duration {
	out := make([]time.Duration, len(laps))
	for i := range laps {
		out[i] = f(laps[i])
	}
	return out
}

// ratio is how many times as long b takes as a: the median of what each round
// says, since rounds differ more than racers.
func ratio(a, b []lap, f of) float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if t := f(a[i]); t > 0 {
			out = append(out, f(b[i]).Seconds()/t.Seconds())
		}
	}
	return middle(out)
}

func (c *course) report(w io.Writer, racers []racer, laps [][]lap) {
	fmt.Fprintf(w, "\n%d NAT rules, %s to %s, one worker; medians of %d rounds\n", c.n, c.in.Name, c.out.Name, len(laps[0]))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tin, rules/s\tµs a rule\tout, rules/s\tcounted, s\t")
	for i, r := range racers {
		in, out, sweep := middle(times(laps[i], inserting)), middle(times(laps[i], removing)), middle(times(laps[i], sweeping))
		counted := "-"
		if r.sweep != nil {
			counted = fmt.Sprintf("%.3f", sweep.Seconds())
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.1f\t%.0f\t%s\t\n", r.name, float64(c.n)/in.Seconds(), in.Seconds()*1e6/float64(c.n), float64(c.n)/out.Seconds(), counted)
	}
	t.Flush()
	for _, r := range racers {
		if r.note != "" {
			fmt.Fprintf(w, "  %s: %s\n", r.name, r.note)
		}
	}
}

// others are the rows that cannot be had, with the words that say why.
func (c *course) others(ctx context.Context, w io.Writer) {
	script := fmt.Sprintf("add table inet bench\nadd flowtable inet bench ft { hook ingress priority 0; devices = { %s, %s }; flags offload; }\ndelete table inet bench\n", c.in.Name, c.out.Name)
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	first, _, _ := strings.Cut(strings.TrimSpace(text.String()), "\n")
	fmt.Fprintf(w, "  nft flowtable, flags offload: no row; on these ports nft says %q (%v): the kernel asks a port for TC_SETUP_FT, which mlx5's representors have and its uplink and this card have not\n", first, err)
	fmt.Fprintln(w, c.ovs(ctx))
}

func figures(w io.Writer, racers []racer, laps [][]lap) {
	by := map[string][]lap{}
	for i := range racers {
		by[racers[i].name] = laps[i]
	}
	ours := by[nameDriver]
	n := func(name string, v float64, unit string) { fmt.Fprintf(w, "figure %s %.2f %s\n", name, v, unit) }
	n("insert_vs_tc_batch", ratio(ours, by[nameTC], inserting), "x")
	n("insert_vs_ceiling", ratio(ours, by[nameReplay], inserting), "x")
	n("insert_vs_vishvananda", ratio(ours, by[nameLibrary], inserting), "x")
	n("delete_vs_tc_batch", ratio(ours, by[nameTC], removing), "x")
	n("delete_vs_ceiling", ratio(ours, by[nameReplay], removing), "x")
	n("sweep_vs_tc_s", ratio(ours, by[nameTC], sweeping), "x")
}
