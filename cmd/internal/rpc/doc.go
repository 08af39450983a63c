// Package rpc serves the API shunt.v1 (package proto) over the engine's loop.
//
// It is the only place that knows both worlds: convert*.go turns the engine's
// values into messages, tuple.go and intents.go turn requests into the engine's
// values. It is not a client (package cli is), it decides nothing about flows,
// and it holds no flow: each answer is a copy taken by Loop.Do.
//
//	request ──▶ checks ──▶ Loop.Do(copy views) ──▶ convert, outside the loop ──▶ message
//	watch   ──▶ Changed ──▶ Loop.Do(Since(seq)) ──▶ convert ──▶ Send, at the reader's own speed
//
// A slow reader waits in its own goroutine. What it misses stays in the engine's
// log; when the log no longer reaches back, the watch starts over and says so.
//
// Who may do what: whoever can open the unix socket (mode 0660) is an operator,
// known by SO_PEERCRED. Over TCP, loopback only, there is nobody to know: such
// peers only read. Every write is logged, done or refused.
//
// Server owns its listeners from Serve on and closes them.
package rpc
