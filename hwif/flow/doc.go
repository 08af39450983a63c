// Package flow holds what shunt knows of connections: the tuples, what
// conntrack says of them, the route cached per direction, and the closed lists
// of states and reasons.
//
// Events come in (Conn, Answer, Dirty, Loss, Synced …), made by package
// conntrack, by package route, or by a script in a test. Queries, preparations
// and touches go out. All are plain values: no socket, no clock, no pointer, so
// that a million flows cost the garbage collector nothing.
//
// Times are nanoseconds of one monotonic clock of the daemon's own (Time), as
// Tick brings them.
//
// The package imports hwif and the standard library alone. Table is owned by
// whoever owns the engine; every other value may be copied freely.
package flow
