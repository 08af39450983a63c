// Package cli is the command line shuntctl: one file per verb, a table for
// people, one JSON object per line for scripts.
//
// It is a client of the API shunt.v1 like any other: it knows nothing of the
// engine, and every number that it prints came over the socket. Only `doctor`,
// `devices probe` and `devices mode` look at the host itself, because they are for
// the time when no daemon runs.
//
//	arguments ──▶ verb ──▶ request ──▶ shuntd ──▶ response ──▶ table or JSON ──▶ stdout
//	                                          └──▶ error ──▶ one line on stderr, and an exit code
//
// Exit codes: 0 it worked, 1 it did not, 2 the command was written wrongly,
// 3 there is no such flow or intent.
//
// A command owns its connection and closes it before it returns.
package cli
