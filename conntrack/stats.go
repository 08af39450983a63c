package conntrack

import "sync/atomic"

// Stats are counters since Open. A snapshot is not taken at one instant.
type Stats struct {
	New, Update, Destroy uint64 // event messages read, by group; own and dropped ones included
	Listed               uint64 // entries emitted from listings
	Own                  uint64 // UPDATEs that our own writes caused, not emitted
	Late                 uint64 // messages dropped because a newer one had been emitted (order.go)
	Foreign              uint64 // entries of other protocols, or not ASSURED, left out here
	Malformed            uint64 // messages that could not be decoded
	Losses               uint64 // times that the kernel dropped events for us
	SpareLosses          uint64 // times that the spare DESTROY socket overran too
	Spared               uint64 // DESTROYs taken from the spare socket after a loss
	Listings             uint64 // listings that ended in Synced
	ListingsVoid         uint64 // listings given up: a loss meanwhile, or the kernel refused

	Prepares      uint64 // answered Prepares
	PrepareErrors uint64 // of them with Err
	PrepareGone   uint64 // of them with Gone
	Touches       uint64 // Touches carried out or found needless
	TouchWrites   uint64 // of them that had to write
	TouchGone     uint64 // entry no longer there, or another one: normal
	TouchErrors   uint64 // the kernel refused
	TouchDropped  uint64 // not even tried: the queue was full
}

type counters struct {
	created, updated, destroyed, listed, own, late, foreign, malformed atomic.Uint64
	losses, spareLosses, spared, listings, listingsVoid                atomic.Uint64
	prepares, prepareErrors, prepareGone                               atomic.Uint64
	touches, touchWrites, touchGone, touchErrors, touchDropped         atomic.Uint64
}

// Stats gives the counters as they are now.
func (t *Tracker) Stats() Stats {
	c := &t.count
	return Stats{
		New: c.created.Load(), Update: c.updated.Load(), Destroy: c.destroyed.Load(), Listed: c.listed.Load(),
		Own: c.own.Load(), Late: c.late.Load(), Foreign: c.foreign.Load(), Malformed: c.malformed.Load(),
		Losses: c.losses.Load(), SpareLosses: c.spareLosses.Load(), Spared: c.spared.Load(),
		Listings: c.listings.Load(), ListingsVoid: c.listingsVoid.Load(),
		Prepares: c.prepares.Load(), PrepareErrors: c.prepareErrors.Load(), PrepareGone: c.prepareGone.Load(),
		Touches: c.touches.Load(), TouchWrites: c.touchWrites.Load(), TouchGone: c.touchGone.Load(),
		TouchErrors: c.touchErrors.Load(), TouchDropped: c.touchDropped.Load(),
	}
}
