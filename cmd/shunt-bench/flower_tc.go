package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// tcBatch is iproute2's own program with lines of commands. It handles one at a
// time: its batches save starts of the program, not system calls.
func (c *course) tcBatch() (*racer, error) {
	lines := func(one func(i int, prio uint16) string) []string {
		out := make([]string, c.n)
		for i := range out {
			out[i] = one(i, prioTC) + "\n"
		}
		return out
	}
	adds, dels := lines(c.tcAdd), lines(c.tcDel)
	start, err := programStart("tc", "-batch", "-")
	if err != nil {
		return nil, err
	}
	play := func(lines []string) func(context.Context, int, int) error {
		return func(ctx context.Context, from, to int) error {
			return program(ctx, strings.Join(lines[from:to], ""), "tc", "-batch", "-")
		}
	}
	show := []string{"filter", "show", "dev", c.in.Name, "ingress"}
	return &racer{
		name:   nameTC,
		note:   fmt.Sprintf("equal rules; without its start, %.0f ms for each slice", start.Seconds()*1e3),
		insert: play(adds), remove: play(dels), start: start,
		readers: []reader{
			{name: readTC, start: start, read: func(ctx context.Context) error {
				return program(ctx, "", "tc", append([]string{"-s"}, show...)...)
			}},
			{name: readTCJSON, start: start, read: func(ctx context.Context) error {
				return program(ctx, "", "tc", append([]string{"-s", "-j"}, show...)...)
			}},
		},
	}, nil
}

// program runs a program to its end. What it prints goes to /dev/null, unless it
// is a complaint.
func program(ctx context.Context, stdin, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return nil
}

// programStart is how long a program takes to do nothing.
func programStart(name string, args ...string) (time.Duration, error) {
	var took []float64
	for range 7 {
		began := time.Now()
		if err := program(context.Background(), "", name, args...); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began).Seconds())
	}
	return time.Duration(median(took) * float64(time.Second)), nil
}
