package metrics

import (
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// flowMetrics say where the flows are and why.
func flowMetrics() []metric {
	return []metric{
		{
			name: "shunt_flows", help: "Flows by state.",
			kind: gauge, label: "state", words: wordsOf(flow.States()),
			values: func(s *offload.Stats) []float64 { return pick(flow.States(), s.Flows[:]) },
		},
		one("shunt_tracked_flows", "Flows in the daemon's table.", gauge,
			func(s *offload.Stats) float64 { return float64(s.Tracked) }),
		{
			name: "shunt_not_offloaded_flows", help: "Flows that are not in hardware, by reason; a flow with several reasons counts for each.",
			kind: gauge, label: "reason", words: wordsOf(flow.AllReasons()),
			values: func(s *offload.Stats) []float64 { return pick(flow.AllReasons(), s.NotOffload[:]) },
		},
		{
			name: "shunt_removals_total", help: "Flows taken out of hardware, by cause.",
			kind: counter, label: "cause", words: wordsOf(flow.Causes()),
			values: func(s *offload.Stats) []float64 { return pick(flow.Causes(), s.Removals[:]) },
		},
		one("shunt_pins", "Tuples that an operator wants in hardware.", gauge,
			func(s *offload.Stats) float64 { return float64(s.Pins) }),
		one("shunt_denials", "Tuples that an operator wants out of hardware.", gauge,
			func(s *offload.Stats) float64 { return float64(s.Denials) }),
		one("shunt_paused", "1 while an operator has paused offloading.", gauge,
			func(s *offload.Stats) float64 { return truth(s.Paused) }),
	}
}
