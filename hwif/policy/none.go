package policy

import "github.com/shunt-offload/shunt/hwif/flow"

// OnlyPinned offloads nothing by itself: only what operators pin.
type OnlyPinned struct{}

// Name is "only-pinned".
func (OnlyPinned) Name() string { return "only-pinned" }

// String is the name.
func (p OnlyPinned) String() string { return p.Name() }

// Judge never lets a flow in, and takes out what another policy let in.
func (OnlyPinned) Judge(*Input) Verdict {
	return Verdict{Decision: Never, Reason: flow.DisabledByPolicy}
}
