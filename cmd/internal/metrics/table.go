package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/shunt-offload/shunt/conntrack"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/route"
	"github.com/shunt-offload/shunt/route/observe"
)

// Sources are asked once per scrape, from the scrape's goroutine. Those that
// are nil leave their metrics out.
type Sources struct {
	Engine    func() *offload.Stats // required
	Conntrack func() conntrack.Stats
	Route     func() route.Stats
	Observer  func() (observe.Stats, error)
	Watches   func() int // watch streams open
}

// metric is one row: a name, what it means, and where its samples come from.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	label      string   // "" when there is one sample only
	words      []string // the label's closed list, in the order of values
	values     func(*offload.Stats) []float64
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// engineTable is every metric that the engine's snapshot feeds, the histogram
// apart.
func engineTable() []metric {
	var out []metric
	for _, group := range [][]metric{flowMetrics(), ruleMetrics(), pathMetrics(), eventMetrics()} {
		out = append(out, group...)
	}
	return out
}

// one makes a metric without label from a number.
func one(name, help string, kind prometheus.ValueType, value func(*offload.Stats) float64) metric {
	return metric{name: name, help: help, kind: kind, values: func(s *offload.Stats) []float64 {
		return []float64{value(s)}
	}}
}

// wordsOf spells a closed list.
func wordsOf[T interface{ String() string }](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}

// pick takes the numbers of a closed list out of an array indexed by it.
func pick[I ~uint8, N int | uint64](list []I, from []N) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = float64(from[v])
	}
	return out
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
