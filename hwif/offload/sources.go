package offload

import (
	"context"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Tracker is conntrack as the loop needs it. Its methods other than Run are
// called by the loop's goroutine and must not wait for the kernel or for emit.
type Tracker interface {
	// Run subscribes, lists, emits Synced, and follows until ctx ends. What it
	// emits belongs to the receiver. It returns an error when it can't go on.
	Run(ctx context.Context, emit func(flow.Event)) error
	// Prepare is answered by one emit of Prepared for each.
	Prepare([]flow.Prepare)
	// Touch is not answered. The slice is the caller's again on return.
	Touch([]flow.Touch)
	// Relist asks for a new listing, which ends with Synced.
	Relist()
}

// Resolver is routing as the loop needs it, on the same terms.
type Resolver interface {
	// Run follows notifications and emits Synced after the first listing.
	Run(ctx context.Context, emit func(flow.Event)) error
	// Resolve is answered by an Answer for each, and later by Dirty when the
	// answer no longer holds.
	Resolve([]flow.Query)
	// Forget ends the watch over these flows' routes.
	Forget([]flow.ID)
	// Recount has packets of these tuples, which are of no connection, told of anew by
	// a Heavy once there are many.
	Recount([]flow.Tuple)
	// SetPorts says which interfaces are ports of devices.
	SetPorts([]hwif.Port)
}
