// Package kernel is a scripted kernel: connections, routes, neighbours and
// masquerading in memory, in front of a sim.NIC. It stands in for conntrack and
// routing where there is no root: in tests of the engine, and in the
// demonstration.
//
//	hosts ─▶ sim.NIC ─▶ wire                 what a rule matches
//	            └▶ slow path ─▶ wire         all else: conntrack, route, NAT, neighbour
//
// Tracker and Resolver give the two event sources as the daemon wants them. The
// events are those of a real kernel, in its order and with its gaps: counters and
// start time in listings and DESTROY only, nothing for a refreshed time-out, two
// seconds before a UDP connection is assured, and entries that die unless somebody
// refreshes them while the card has their packets.
//
// The slow path is plain code of its own: it shares nothing with the card's
// pipeline and computes checksums from scratch. So it is also the judge: each frame
// that the card forwards is held against what the kernel would have sent just
// then, and Stats.Wrong counts the differences.
//
// It does not model fragments, ICMP, DNAT, TCP windows, or packets for the router
// itself. A Kernel may be used by any goroutine.
package kernel
