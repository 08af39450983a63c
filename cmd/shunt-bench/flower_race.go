package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// racer does the same work in its own way: the rules from..to into the card, and
// out again. What it cannot express, or does besides, it says in note.
type racer struct {
	name, note string
	ready      func(from, to int) // makes what a slice needs; not counted, may be nil
	insert     move
	remove     move
	start      time.Duration // of a program that is started for each slice; not counted
	readers    []reader
	apart      bool         // its readers read its own rules, not the driver's
	end        func() error // nil when there is nothing to close
}

// move carries rules from..to in or out.
type move func(ctx context.Context, from, to int) error

// reader reads the counters of a whole table of rules.
type reader struct {
	name  string
	start time.Duration // of the program; not counted
	read  func(ctx context.Context) error
}

type racers []*racer

func (rs racers) close() error {
	var errs []error
	for _, r := range rs {
		if r.end != nil {
			errs = append(errs, r.end())
		}
	}
	return errors.Join(errs...)
}

// span is how long something took, and how much of it was outside the kernel:
// processor time of this process and of programs that it has started.
type span struct{ took, user time.Duration }

// timed measures f. Garbage of others is taken away before.
func timed(start time.Duration, f func() error) (span, error) {
	runtime.GC()
	user, began := userTime(), time.Now()
	err := f()
	return span{max(time.Since(began)-start, 0), userTime() - user}, err
}

func userTime() time.Duration {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var ru unix.Rusage
		if err := unix.Getrusage(who, &ru); err == nil {
			sum += time.Duration(ru.Utime.Nano())
		}
	}
	return sum
}

// race lets all racers fill the card at the same time, slice by slice, and then
// empty it so: a machine that is busy for a while is so for all of them, and
// nobody has a smaller table than the others. Who follows whom is drawn anew for
// each slice: some leave the kernel with work to do.
func (c *course) race(ctx context.Context, w io.Writer, rs racers, rounds, parts int) (*results, error) {
	res := &results{n: c.n, rounds: rounds, parts: parts, racers: rs, in: make([][]span, len(rs)), out: make([][]span, len(rs))}
	want := c.base
	lot := rand.New(rand.NewPCG(1, 2)) // the same in each run
	for round := range rounds {
		began := time.Now()
		for _, in := range []bool{true, false} {
			var turns []int
			for k := range parts * len(rs) {
				if k%len(rs) == 0 {
					turns = lot.Perm(len(rs))
				}
				part, i := k/len(rs), turns[k%len(rs)]
				from, to := part*c.n/parts, (part+1)*c.n/parts
				if in {
					want += uint64(to - from)
				} else {
					want -= uint64(to - from)
				}
				if err := c.slice(ctx, res, i, in, from, to, want); err != nil {
					return nil, err
				}
			}
		}
		fmt.Fprintf(w, "round %d of %d: %d racers with %d rules each, in and out in %.0f s\n", round+1, rounds, len(rs), c.n, time.Since(began).Seconds())
	}
	return res, nil
}

// slice is one racer's turn. The card's own count says whether the work was done.
func (c *course) slice(ctx context.Context, res *results, i int, in bool, from, to int, want uint64) error {
	r := res.racers[i]
	if r.ready != nil {
		r.ready(from, to)
	}
	what, f, into := "remove", r.remove, &res.out[i]
	if in {
		what, f, into = "insert", r.insert, &res.in[i]
	}
	s, err := timed(r.start, func() error { return f(ctx, from, to) })
	if err == nil {
		err = c.holds(want)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", r.name, what, err)
	}
	*into = append(*into, s)
	return nil
}

// holds compares the card's count with what it has to be.
func (c *course) holds(want uint64) error {
	switch got, err := c.used(); {
	case err != nil:
		return err
	case got != want:
		return fmt.Errorf("%d rules in the card, want %d", got, want)
	}
	return nil
}

// sweeps lets everybody read the counters of one and the same table, that of the
// first racer, the driver; who cannot reads an equal one.
func (c *course) sweeps(ctx context.Context, rs racers, rounds int, res *results) error {
	full := func(in bool) error {
		want := c.base
		for i, r := range rs {
			if i > 0 && !r.apart {
				continue
			}
			do := r.remove
			if in {
				do = r.insert
				want += uint64(c.n)
			}
			if r.ready != nil {
				r.ready(0, c.n)
			}
			if err := do(ctx, 0, c.n); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		return c.holds(want)
	}
	if err := full(true); err != nil {
		return err
	}
	for _, r := range rs {
		res.readers = append(res.readers, r.readers...)
	}
	res.read = make([][]span, len(res.readers))
	for k := range rounds * len(res.readers) {
		i := (k + k/len(res.readers)) % len(res.readers)
		s, err := timed(res.readers[i].start, func() error { return res.readers[i].read(ctx) })
		if err != nil {
			return fmt.Errorf("%s: %w", res.readers[i].name, err)
		}
		res.read[i] = append(res.read[i], s)
	}
	return full(false)
}
