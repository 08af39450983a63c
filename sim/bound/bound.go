package bound

import (
	"math"
	"slices"
)

// Flow is what one flow sends: bytes in each tick from Start on. It may be in the table
// in these ticks alone: those before it could be known are left out by the caller.
type Flow struct {
	Start int
	Bytes []float32
}

// Table is what holds the flows.
type Table struct {
	Slots   int
	Inserts int // most in one tick; 0 is no limit
}

// Bounds are bytes: no choice forwards more than Upper, and one forwards Lower.
type Bounds struct {
	Upper, Lower float64
}

// Find bounds what the table can forward of the flows in ticks 0 to ticks-1, by so many
// subgradient steps; 60 are enough. It panics if a flow has a tick outside.
func Find(flows []Flow, ticks int, t Table, steps int) Bounds {
	p := newProblem(flows, ticks, t)
	upper := p.unhurried()
	if t.Inserts <= 0 || len(flows) <= t.Inserts {
		return Bounds{upper, upper} // the best of each tick may just be taken
	}
	lower := 0.0
	for i := range max(steps, 1) {
		upper = min(upper, p.price())
		lower = max(lower, p.round())
		p.step(i)
	}
	return Bounds{upper, lower}
}

// problem is a load, a table and prices.
type problem struct {
	flows        []Flow
	table        Table
	slot, insert []float64 // prices by tick
	unitS, unitI []float64 // what a price changes by at most in a first step
	used, taken  []int     // by tick, of the last pricing: flows in, and flows let in
	in           [][]bool  // by flow and its tick: what the last pricing chose
	from         [2][]bool // scratch: whether the best way into a state came from being in
}

func newProblem(flows []Flow, ticks int, t Table) *problem {
	p := &problem{flows: flows, table: t,
		slot: make([]float64, ticks), insert: make([]float64, ticks), unitS: make([]float64, ticks), unitI: make([]float64, ticks),
		used: make([]int, ticks), taken: make([]int, ticks), in: make([][]bool, len(flows))}
	for i := range flows {
		p.in[i] = make([]bool, len(flows[i].Bytes))
	}
	return p
}

// unhurried is the most without a limit of insertions, which is exact: in each tick the
// flows that send most. It leaves the prices at what the first flow without a slot would
// have sent.
func (p *problem) unhurried() float64 {
	byTick := make([][]float32, len(p.slot))
	for _, f := range p.flows {
		for i, b := range f.Bytes {
			byTick[f.Start+i] = append(byTick[f.Start+i], b)
		}
	}
	sum := 0.0
	for t, all := range byTick {
		slices.SortFunc(all, func(a, b float32) int { return int(math.Copysign(1, float64(b-a))) })
		for _, b := range all[:min(p.table.Slots, len(all))] {
			sum += float64(b)
		}
		if len(all) > p.table.Slots {
			p.slot[t] = float64(all[p.table.Slots])
		}
	}
	// A flow is in if it sends more than the price; who sends just as much is left to it.
	for i, f := range p.flows {
		for k, b := range f.Bytes {
			p.in[i][k] = float64(b) > p.slot[f.Start+k]
		}
	}
	mean := 0.0
	for _, s := range p.slot {
		mean += s / float64(len(p.slot))
	}
	for t := range p.slot {
		p.insert[t] = 2 * p.slot[t]
		p.unitS[t] = max(p.slot[t], mean/10, 1)
		p.unitI[t] = 2 * p.unitS[t]
	}
	return sum
}

// price is the bound at the prices of now. It notes what each flow would do.
func (p *problem) price() float64 {
	clear(p.used)
	clear(p.taken)
	sum := 0.0
	for t := range p.slot {
		sum += float64(p.table.Slots)*p.slot[t] + float64(p.table.Inserts)*p.insert[t]
	}
	for i := range p.flows {
		sum += p.path(i)
	}
	return sum
}

// path is the best that one flow can gain, by two states over its ticks.
func (p *problem) path(n int) float64 {
	f := &p.flows[n]
	for s := range p.from {
		p.from[s] = slices.Grow(p.from[s][:0], len(f.Bytes))[:len(f.Bytes)]
	}
	out, in := 0.0, math.Inf(-1)
	for i, b := range f.Bytes {
		t := f.Start + i
		stay, enter := in, out-p.insert[t]
		p.from[1][i] = stay >= enter
		p.from[0][i] = in > out
		out, in = max(out, in), max(stay, enter)+float64(b)-p.slot[t]
	}
	was := in > out
	best := max(in, out, 0)
	for i := len(f.Bytes) - 1; i >= 0; i-- {
		p.in[n][i] = was
		now := was
		if was {
			p.used[f.Start+i]++
			was = p.from[1][i]
		} else {
			was = p.from[0][i]
		}
		if now && !was {
			p.taken[f.Start+i]++
		}
	}
	return best
}

// step moves the prices: up where too many want something, down where too few do.
func (p *problem) step(i int) {
	rate := 0.5 / math.Sqrt(float64(i+1))
	for t := range p.slot {
		short := float64(p.used[t]-p.table.Slots) / float64(p.table.Slots)
		p.slot[t] = max(0, p.slot[t]+rate*p.unitS[t]*max(-1, min(1, short)))
		short = float64(p.taken[t]-p.table.Inserts) / float64(p.table.Inserts)
		p.insert[t] = max(0, p.insert[t]+rate*p.unitI[t]*max(-1, min(1, short)))
	}
}
