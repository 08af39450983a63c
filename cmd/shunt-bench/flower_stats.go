package main

import "time"

// results is what the racers did: for each of them one span for each slice, in the
// same order for all.
type results struct {
	n, rounds, parts int
	racers           racers
	in, out          [][]span
	readers          []reader
	read             [][]span
}

// each is the median span for one of the n things that were done in it.
func each(spans []span, n float64) (took, user time.Duration) {
	var all, out []float64
	for _, s := range spans {
		all, out = append(all, s.took.Seconds()), append(out, s.user.Seconds())
	}
	if len(all) == 0 {
		return 0, 0
	}
	return seconds(median(all) / n), seconds(mean(out) / n) // user time comes in clock ticks: a median would be one
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// ratio is how many times as long b takes as a: the median of what each slice says
// of the two, since slices differ more than racers.
func ratio(a, b []span) float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		if a[i].took > 0 {
			all = append(all, b[i].took.Seconds()/a[i].took.Seconds())
		}
	}
	if len(all) == 0 {
		return 0
	}
	return median(all)
}

// of finds a racer's spans by its name; nil when it did not run.
func (r *results) of(spans [][]span, name string) []span {
	for i := range r.racers {
		if r.racers[i].name == name {
			return spans[i]
		}
	}
	return nil
}

func (r *results) reading(name string) []span {
	for i := range r.readers {
		if r.readers[i].name == name {
			return r.read[i]
		}
	}
	return nil
}
