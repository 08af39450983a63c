// Package sim is the card that we don't have: a NIC in memory. It has ports, a
// table of fixed size and a pipeline that really parses, matches, rewrites and
// counts frames; a clock that is turned by hand; and faults on request. It needs
// no privilege and prints itself as text.
//
// It is not a Device: package drivers/sim puts the hwif interface around it, so
// that the path from engine to table is the same as for a card. It asserts
// nothing: tests ask Stats, Rules and String what happened.
//
// Frames go in by Inject and come out as its answer:
//
//	Inject ─▶ parse ─▶ match ─▶ guards ─▶ rewrite ─▶ Forwarded, Dropped
//	            └────────┴────────┴──▶ ToKernel, untouched
//
// A NIC owns its rules and counters; all methods may be called by any goroutine.
// Frames given to Inject stay the caller's and are never written to.
package sim
