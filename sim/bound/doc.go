// Package bound says how much a table of rules can forward of a known load, whatever
// chooses the flows: a number that no policy can exceed, and one that some choice
// reaches.
//
// Time goes in ticks. A flow sends so many bytes in each; a table holds so many flows,
// and takes in so many in a tick:
//
//	max Σ b[f,t]·x[f,t]   Σ_f x[f,t] ≤ slots   Σ_f y[f,t] ≤ inserts   y[f,t] ≥ x[f,t] − x[f,t−1]
//
// With a price for a slot in each tick, and one for an insertion, flows no longer meet
// each other: each is a path through two states, in and out, and is found at once. What
// they gain, and the prices of all slots and insertions, bound the sum from above for
// any prices (Lagrange); better prices are looked for by subgradient steps. Bad ones can
// only make policies look worse than they are, never better.
package bound
