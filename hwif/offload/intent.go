package offload

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// IntentKind is what an operator wants for one tuple.
type IntentKind uint8

const (
	IntentNone IntentKind = iota
	IntentPin             // into hardware before all others, and never evicted for room
	IntentDeny            // never into hardware
	IntentHold            // out of hardware until it expires, after an eviction
)

func (k IntentKind) String() string {
	return [...]string{"none", "pin", "deny", "hold"}[k]
}

// Intent is an operator's word on one tuple. It outlives the flow: a pin waits
// for its connection.
type Intent struct {
	Kind    IntentKind
	Tuple   flow.Tuple // of the original direction
	Owner   string     // who; required
	Note    string     // why
	Set     flow.Time
	Expires flow.Time // 0: until taken back
}

// Refusal is the engine's no to an operator; Kind is a closed list.
type Refusal struct {
	Kind RefusalKind
	Text string
}

// RefusalKind classifies a Refusal.
type RefusalKind uint8

const (
	RefusedInvalid  RefusalKind = iota // the request makes no sense: impossible tuple, lease in the past
	RefusedNotFound                    // no such flow or intent
	RefusedConflict                    // another owner's word stands
	RefusedState                       // the flow is not in a state where this means anything
)

func (k RefusalKind) String() string {
	return [...]string{"invalid", "not_found", "conflict", "state"}[k]
}

func (r *Refusal) Error() string { return r.Text }

func refuse(k RefusalKind, format string, args ...any) error {
	return &Refusal{Kind: k, Text: fmt.Sprintf(format, args...)}
}
