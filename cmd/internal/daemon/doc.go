// Package daemon is shuntd: the wiring of everything, from the command line to
// the last Close.
//
// It decides nothing about flows. It opens what the configuration names, in an
// order in which a refusal leaves nothing changed, starts every goroutine of the
// program in one errgroup (goroutines.go), and closes in the reverse order:
//
//	listeners ─▶ device ─▶ conntrack ─▶ route ─▶ loop ─▶ API and metrics ─▶ ready
//
// Listeners come first because they are the lock that two daemons fight for; the
// API answers last, when there is something to say.
//
// It fails to software. When the device, a source or a listener fails, every
// flow is given back to the kernel and the program ends with an error; it never
// goes on with a part of itself.
//
// Everything that Run opens it owns and closes. Main and Run may be called many
// times in one process, one after the other or at once, as tests do.
package daemon
