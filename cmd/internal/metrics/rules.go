package metrics

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// ruleMetrics say what the device holds and what it answered.
func ruleMetrics() []metric {
	return []metric{
		one("shunt_rules_in_hw", "Rules in hardware, as the device confirmed them.", gauge,
			func(s *offload.Stats) float64 { return float64(s.RulesInHW) }),
		one("shunt_rules_limit", "Size of the rule tables, 0 when a device does not say.", gauge,
			func(s *offload.Stats) float64 { return float64(s.RuleLimit) }),
		{
			name: "shunt_installs_total", help: `Rules given to the device, by result: "ok", or the kind of its refusal.`,
			kind: counter, label: "result", words: append([]string{"ok"}, wordsOf(hwif.Kinds())...),
			values: func(s *offload.Stats) []float64 {
				return append([]float64{float64(s.Installs)}, pick(hwif.Kinds(), s.Refusals[:])...)
			},
		},
		{
			name: "shunt_rule_errors_total", help: "Removals and listings of rules that went wrong, by kind of error.",
			kind: counter, label: "kind", words: wordsOf(hwif.Kinds()),
			values: func(s *offload.Stats) []float64 { return pick(hwif.Kinds(), s.RuleErrors[:]) },
		},
		one("shunt_ghost_rules_total", "Rules of ours without a flow, found and removed.", counter,
			func(s *offload.Stats) float64 { return float64(s.Ghosts) }),
		one("shunt_adopted_rules_total", "Rules of an earlier run, found at start and kept.", counter,
			func(s *offload.Stats) float64 { return float64(s.Adopted) }),
	}
}
