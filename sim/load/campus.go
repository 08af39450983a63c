package load

import (
	"math"
	"math/rand/v2"
	"slices"
)

// What is assumed of the campus, beside its sizes. Arrivals by second are those of a busy
// hour: mean 1810, median 1766, 99 % below 3282, at most 13907.
const (
	arrivals    = 1766.0 // flows in the median second
	arrivalsDev = 0.266  // sigma of their logarithm
	burstRate   = 1.0 / 1800
	burstMost   = 7.9           // times the median
	active      = 6100.0 / 1810 // mean life of a flow, seconds: so many are active at once

	ratePower = 0.35 // of a flow's rate by its size
	rateDev   = 1.2  // sigma of its logarithm

	epoch   = 4  // seconds that a long flow sends or pauses
	longest = 10 // seconds of a flow without pauses
)

// Options of a campus.
type Options struct {
	Seed    uint64
	Seconds int
	Scale   float64 // of arrivals; 1 is 1810 a second, 1.1 Gbit/s
	Smooth  bool    // without pauses
}

// Campus is the traffic of a campus border. The load begins with the flows that are
// under way.
func Campus(o Options) (*Load, error) {
	s, err := campusSizes()
	if err != nil {
		return nil, err
	}
	l := &Load{Name: "campus", Seed: o.Seed, Seconds: o.Seconds}
	if o.Smooth {
		l.Name = "smooth"
	}
	g := generator{Rand: rand.New(rand.NewPCG(o.Seed, 0)), o: o, sizes: s}
	// rate is base·bytes^ratePower·e^(rateDev·N); the mean life fixes base.
	g.base = s.mean(func(b float64) float64 { return math.Pow(b, 1-ratePower) }) * math.Exp(rateDev*rateDev/2) / active
	l.Flows = g.underWay(nil)
	for second, n := range g.seconds() {
		for range n {
			l.Flows = append(l.Flows, Flow{Begin: float64(second) + g.Float64()})
		}
	}
	fresh := l.Flows[len(l.Flows)-g.fresh:]
	slices.SortFunc(fresh, func(a, b Flow) int { return int(math.Copysign(1, a.Begin-b.Begin)) })
	g.fill(fresh)
	return l, nil
}

type generator struct {
	*rand.Rand
	o     Options
	sizes *sizes
	base  float64
	fresh int // flows that begin within the load
}

// seconds is how many flows begin in each.
func (g *generator) seconds() []int {
	out := make([]int, g.o.Seconds)
	for i := range out {
		n := arrivals * math.Exp(arrivalsDev*g.NormFloat64())
		if g.Float64() < burstRate {
			n = arrivals * (2 + (burstMost-2)*g.Float64())
		}
		out[i] = int(math.Round(n * g.o.Scale))
		g.fresh += out[i]
	}
	return out
}

// fill gives flows their sizes: of equal slices of the distribution one each, so that
// not chance alone says how many large ones there are.
func (g *generator) fill(flows []Flow) {
	parts := g.sizes.slices(len(flows))
	g.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
	for i := range flows {
		b := &parts[i]
		rate := g.base * math.Pow(b.bytes, ratePower) * math.Exp(rateDev*g.NormFloat64())
		g.spread(&flows[i], b, rate)
	}
}

// underWay adds the flows that are active when the load begins: the longer a flow lives
// the likelier it is among them, at any point of its life.
func (g *generator) underWay(flows []Flow) []Flow {
	long := g.sizes.tilted(func(b float64) float64 { return math.Pow(b, 1-ratePower) })
	n := int(arrivals * math.Exp(arrivalsDev*arrivalsDev/2) * active * g.o.Scale)
	for _, b := range long.slices(n) {
		rate := g.base * math.Pow(b.bytes, ratePower) * math.Exp(rateDev*(g.NormFloat64()-rateDev))
		f := Flow{Begin: -g.Float64() * b.bytes / rate}
		g.spread(&f, &b, rate)
		flows = append(flows, f)
	}
	slices.SortFunc(flows, func(a, b Flow) int { return int(math.Copysign(1, a.Begin-b.Begin)) })
	return flows
}

// spread lays a flow's bytes over the seconds. A long one pauses, and is as long and as
// large as it would be without: it sends twice as fast in between.
func (g *generator) spread(f *Flow, b *bin, rate float64) {
	f.Packets = float32(b.packets)
	life := b.bytes / rate
	end := min(f.Begin+life, float64(g.o.Seconds))
	phase := g.Float64() * epoch
	paused := g.IntN(2)
	for t := float64(f.First()); t < end; t++ {
		part := min(t+1, end) - max(t, f.Begin)
		bytes := rate * part
		if !g.o.Smooth && life > longest {
			bytes *= 2 * float64((int((t-f.Begin+phase)/epoch)+paused)%2)
		}
		f.Bytes = append(f.Bytes, float32(bytes))
	}
}
