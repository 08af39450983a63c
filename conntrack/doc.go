// Package conntrack follows the kernel's connection tracking through ctnetlink
// and keeps alive the entries whose packets the kernel no longer sees.
//
// Up come batches of flow.Conns: every change of a TCP or UDP entry, in an order
// that may be taken for the truth (order.go says why), and whole listings that
// end in flow.Synced. Down go flow.Prepare, which makes an entry ready for
// hardware, and flow.Touch, which refreshes its time-out or hands it back.
//
//	kernel ──events──▶ reader ──▶ order ──▶ emit(Conns, Loss, Synced)
//	       ──listing─▶   │
//	       ◀──get, change── writer ──▶ emit(Prepared)
//
// Tracker is the concrete type. Open makes every socket and opens every sysctl
// file that it will ever use, in the network namespace of the calling thread; no
// later call depends on a thread's namespace. Run owns two goroutines: the reader,
// which owns the event and listing sockets and the order, and the writer, which
// owns its socket. Emitted batches belong to the receiver.
//
// It is not a policy: it says what the kernel said, and whether an entry is worth
// hardware is package flow's and package policy's to say. It creates and deletes
// no entry and writes no mark and no status. It knows TCP and UDP alone: other
// protocols are filtered out, in the kernel where that is possible.
//
// An UPDATE says what the kernel chose to put in it: without a change of state it
// has no CTA_PROTOINFO (flow.HasTCP), with a mark of 0 mostly no CTA_MARK. What is
// absent has not changed.
//
// An entry exists only where conntrack's hooks are registered, which a ruleset
// does that mentions connection tracking, in each namespace.
package conntrack
