package bound

import (
	"cmp"
	"slices"
)

// ahead is over how many ticks round looks at what a flow is worth.
const ahead = 10

// round makes of what the flows would do one by one something that the table allows: in
// each tick the best of those that want to come do, as many as there is time for, into
// free slots or in the place of those that would leave. It gives the bytes.
func (p *problem) round() float64 {
	starts := make([][]int, len(p.slot))
	for n := range p.flows {
		if len(p.flows[n].Bytes) > 0 {
			starts[p.flows[n].Start] = append(starts[p.flows[n].Start], n)
		}
	}
	var alive, resident, wish []int
	held := make([]bool, len(p.flows))
	sum := 0.0
	for t := range p.slot {
		over := func(n int) bool { return t >= p.flows[n].Start+len(p.flows[n].Bytes) }
		alive = slices.DeleteFunc(append(alive, starts[t]...), over)
		resident = slices.DeleteFunc(resident, over)
		wish = wish[:0]
		for _, n := range alive {
			if !held[n] && (p.wanted(n, t) || p.worth(n, t) > 0) {
				wish = append(wish, n)
			}
		}
		first := func(a, b int) int { return p.better(a, b, t) }
		slices.SortStableFunc(wish, first)
		slices.SortStableFunc(resident, first) // the last one is to make room
		last := len(resident)
		for _, n := range wish[:min(len(wish), p.table.Inserts)] {
			switch {
			case len(resident) < p.table.Slots:
				resident = append(resident, n)
			case last > 0 && p.better(n, resident[last-1], t) < 0:
				last--
				held[resident[last]] = false
				resident[last] = n
			default:
				continue
			}
			held[n] = true
		}
		for _, n := range resident {
			sum += float64(p.flows[n].Bytes[t-p.flows[n].Start])
		}
	}
	return sum
}

// wanted reports whether the last pricing had the flow in.
func (p *problem) wanted(n, t int) bool { return p.in[n][t-p.flows[n].Start] }

// worth is what a flow sends from t on, for a while.
func (p *problem) worth(n, t int) (sum float64) {
	f := &p.flows[n]
	i := t - f.Start
	for _, b := range f.Bytes[i:min(i+ahead, len(f.Bytes))] {
		sum += float64(b)
	}
	return sum
}

// better orders flows: those that were wanted before the others, then by their worth.
func (p *problem) better(a, b, t int) int {
	if x, y := p.wanted(a, t), p.wanted(b, t); x != y {
		if x {
			return -1
		}
		return 1
	}
	return cmp.Compare(p.worth(b, t), p.worth(a, t))
}
