// Package offload decides which flows are in hardware, and keeps that true.
//
// Engine is a value: facts go in (Step, Tick, Done, Observe, Count), wishes come
// out (Ready). It has no goroutine, no clock, no socket and no lock; one
// goroutine owns it, in production the Loop's. So its tests are stories, and a
// test with random events can hold the promises against it after every step.
//
// For each flow one function, advance, compares what is wanted with what is
// there and takes the next step; events only change facts and queue the flow.
// The promises that it keeps:
//
//   - both rules of a flow are in hardware, or on their way, or neither is wanted;
//   - an old rule is gone, by the device's own word, before its successor is sent;
//   - a rule of ours without a flow is removed, once the sources have listed
//     everything; one that is not ours is never touched;
//   - a flow that is not in hardware has a reason.
//
// Readers get copies (View, Stats). Ready's slices are the engine's own and
// valid until the next call.
package offload
