package rpc

import (
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// Each table maps a closed list to its enum by spelling: table_full is
// REASON_TABLE_FULL. Numbers in the API never change, those of the Go lists may.
var (
	stateEnum  = spell[pb.State](flow.States(), pb.State_value, "STATE_")
	reasonEnum = spell[pb.Reason](flow.AllReasons(), pb.Reason_value, "REASON_")
	causeEnum  = spell[pb.Cause](flow.Causes(), pb.Cause_value, "CAUSE_")
	ruleEnum   = spell[pb.RuleState](ruleStates, pb.RuleState_value, "RULE_STATE_")
	kindEnum   = spell[pb.ErrorKind](hwif.Kinds(), pb.ErrorKind_value, "ERROR_KIND_")
	intentEnum = spell[pb.IntentKind](intentKinds, pb.IntentKind_value, "INTENT_KIND_")
	learntEnum = spell[pb.Learnt]([]flow.Learnt{flow.LearntTables, flow.LearntPacket}, pb.Learnt_value, "LEARNT_")
	verdicts   = spell[pb.Verdict]([]flow.Verdict{flow.Forward, flow.Drop}, pb.Verdict_value, "VERDICT_")
	portEnum   = spell[pb.PortKind](portKinds, pb.PortKind_value, "PORT_KIND_")
)

var (
	ruleStates  = []offload.RuleState{offload.RuleNone, offload.RuleSent, offload.RuleInHW, offload.RuleLeaving, offload.RuleRefused}
	intentKinds = []offload.IntentKind{offload.IntentPin, offload.IntentDeny, offload.IntentHold}
	portKinds   = []hwif.PortKind{hwif.PortOther, hwif.PortUplink, hwif.PortPF, hwif.PortVF, hwif.PortSF}
	connKinds   = []flow.ConnKind{flow.ConnNew, flow.ConnUpdate, flow.ConnDestroy, flow.ConnListed}
	sources     = []flow.Source{flow.SourceConntrack, flow.SourceRoute}
)

// counterEnum is not by spelling: "packets and bytes" is FULL.
var counterEnum = map[hwif.CounterKind]pb.CounterKind{
	hwif.CountersNone:    pb.CounterKind_COUNTER_KIND_NONE,
	hwif.CountersPackets: pb.CounterKind_COUNTER_KIND_PACKETS,
	hwif.CountersFull:    pb.CounterKind_COUNTER_KIND_FULL,
}

// spell builds a table indexed by the Go value. A word without a value stays
// unspecified; TestWords finds it.
func spell[E ~int32, W interface {
	~uint8
	fmt.Stringer
}](words []W, values map[string]int32, prefix string) (table [256]E) {
	for _, w := range words {
		table[w] = E(values[prefix+strings.ToUpper(w.String())])
	}
	return table
}
