package hwif

import (
	"context"
	"iter"
	"log/slog"
)

// Driver opens devices of one make. Package drivers holds the list of them.
type Driver interface {
	// Name is the driver's word in config, logs and metrics.
	Name() string
	// Open takes hold of a device over the named ports. It must either return a
	// working Device or leave everything as it was. Its error should be an
	// *Error that names the port and what mends it.
	Open(ctx context.Context, opts OpenOptions) (Device, error)
}

// OpenOptions is what a driver is told. Drivers refuse options that they
// cannot honour; they never ignore them.
type OpenOptions struct {
	Ports    []string          // interface names
	MaxRules int               // table size in rules; 0 is the driver's default
	Settings map[string]string // the driver's own options, by its documented keys
	Log      *slog.Logger      // nil means silent
}

// Device is what a driver author implements. Users hold a *NIC around it.
//
// Apply is called by one goroutine at a time; Rules, Counters and Ports by one
// other, at the same time as Apply. Close is called once, after both are done.
type Device interface {
	// Caps must be the same at every call.
	Caps() Caps

	// Ports gives the ports as they are now. A port that vanished is left out;
	// one that can no longer carry rules says why in Refused.
	Ports(ctx context.Context) ([]Port, error)

	// Apply carries out ops in order and must fill results[i] for ops[i], with
	// len(results) == len(ops). One failed operation must not stop the rest.
	//
	// Install of a match that is already there must leave the old rule alone and
	// say KindExist. It must be all or nothing for each rule. Remove must touch
	// only a rule with the same cookie; when there is none it says KindNotExist.
	// After Remove returned, no further frame may be forwarded by that rule.
	Apply(ctx context.Context, ops []Op, results []Result)

	// Rules lists what is really there: ours by cookie, and what else it can see
	// in the same table. Order is free.
	Rules(ctx context.Context) iter.Seq2[Installed, error]

	// Counters appends one Counted for each installed rule to into. Values never
	// fall during a rule's life. They may be Caps.CounterLag old.
	Counters(ctx context.Context, into []Counted) ([]Counted, error)

	// Close releases the device. With flush, no rule of ours is left; without,
	// a persistent device goes on forwarding.
	Close(flush bool) error
}

// Notifier is what a Device also implements when it learns of changes by itself:
// a port that vanished or returned, a card that was reset. Without it such things
// show at the next look, about a second later.
type Notifier interface {
	// Changed must give the same channel at every call. The device sends a value
	// (without waiting: one that is not yet taken stands for all) when Ports, or
	// Rules by another cause than Apply, would now answer otherwise. It is never
	// obliged to: a value lost costs time only. What has been sent before the
	// first look is harmless.
	Changed() <-chan struct{}
}

// OpKind is what to do with a rule.
type OpKind uint8

const (
	OpInstall OpKind = iota
	OpRemove
)

func (k OpKind) String() string {
	if k == OpRemove {
		return "remove"
	}
	return "install"
}

// Op is one wish to a device. Token comes back in no way from the device; it is
// the caller's own mark.
type Op struct {
	Kind   OpKind
	Device DeviceID
	Rule   Rule
	Token  Token
}

// Token says which flow, direction and generation an operation is for.
type Token struct {
	Flow uint32
	Dir  uint8
	Gen  uint64
}

// Result is the answer to one Op. Err is nil or an error with a Kind.
type Result struct {
	Presence Presence // after an install: what the kernel said
	Final    Counter  // after a remove: the rule's last counters, if the device knows them
	Err      error
}
