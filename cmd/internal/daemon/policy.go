package daemon

import (
	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/hwif/policy"
)

// engineOptions turns the configuration into the engine's words.
func engineOptions(cfg *config.Config, from *sources) offload.Options {
	tcp, udp := from.timeouts()
	p := &cfg.Policy
	ceiling := p.DropCeiling
	if p.DropPackets == 0 {
		ceiling = 0
	}
	life := p.Life
	if !from.seeing {
		life = 0 // the tables would say the same again
	}
	return offload.Options{
		Life:      life,
		Marks:     offload.Marks{Offload: p.MarkOffload, Never: p.MarkNever, Drop: p.MarkDrop},
		Untracked: offload.Untracked{Pinned: p.Untracked != "off", All: p.Untracked == "on", Life: p.UntrackedLife},
		DropLife:  p.DropLife, DropCeiling: ceiling,
		Policy: policyOf(&cfg.Policy), Idle: cfg.Policy.Idle, Round: cfg.NIC.Count,
		TCPTimeout: tcp, UDPTimeout: udp, Ruleset: rulesetPolicies[cfg.Policy.Ruleset],
	}
}

// rulesetPolicies are the words of policy.ruleset.
var rulesetPolicies = map[string]offload.RulesetPolicy{
	"relearn": offload.RulesetRelearn, "flush": offload.RulesetFlush, "keep": offload.RulesetKeep,
}

// heavyAt is from how many packets of one direction on the observer tells of a flow.
func heavyAt(p *config.Policy) uint64 {
	if p.Name == (policy.OnlyPinned{}).Name() {
		return 0
	}
	return max(p.MinPackets, 1)
}

// policyOf makes the policy by its name, which has been checked.
func policyOf(p *config.Policy) policy.Policy {
	if p.Name == (policy.OnlyPinned{}).Name() {
		return policy.OnlyPinned{}
	}
	return &policy.Threshold{MinPackets: p.MinPackets, MinAge: p.MinAge, Ceiling: p.Ceiling}
}
