// Package simnic drives the simnic kernel module (sim/kmod) for tests: it makes
// cards, asks for faults, reads what a card holds, and injects frames behind a port
// to see what becomes of them (Tap).
//
// A card belongs to the network namespace of the thread that makes it; so do the
// far ends of its ports, until somebody moves them. Whoever makes a card closes it.
package simnic
