package main

import (
	"context"
	"strings"
	"time"

	"github.com/shunt-offload/shunt/sim/rig"
)

// run shows a shuntctl command and its output.
func run(ctx context.Context, s *screen, d *rig.Daemon, args ...string) error {
	out, err := d.Ctl(ctx, args...)
	s.Say("   $ shuntctl %s", quoted(args))
	if out = strings.TrimRight(out, "\n"); out != "" {
		s.Say("%s", strings.TrimRight(indent(out), "\n"))
	}
	return err
}

// quoted is a command line that can be typed again.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; strings.ContainsAny(a, " []") {
			out[i] = "'" + a + "'"
		}
	}
	return strings.Join(out, " ")
}

// watch draws the table until ctx ends. Where there is no terminal, it prints a
// snapshot now and then.
func watch(ctx context.Context, s *screen, d *rig.Daemon) {
	const redraw, print = 500 * time.Millisecond, 8 * time.Second
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	last := time.Now()
	for {
		if flows, err := d.List(ctx, "proto=tcp,udp"); err == nil {
			s.Draw(table(flows))
			if !s.tty && time.Since(last) >= print {
				last = time.Now()
				s.Snapshot()
			}
		}
		select {
		case <-ctx.Done():
			s.Snapshot()
			return
		case <-tick.C:
		}
	}
}
