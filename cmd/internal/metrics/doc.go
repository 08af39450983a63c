// Package metrics shows the daemon's numbers to Prometheus.
//
// A scrape takes one snapshot from the engine and one from each source and
// turns them into samples; between scrapes nothing happens and nothing is kept.
// So there is no second account that could drift from the first.
//
// Every metric is one row of a table, one file per group. Label values come
// from the closed lists of packages hwif and hwif/flow, and every word of a
// list is always there, zero or not: a query for a reason that has not occurred
// yet gives 0 and not nothing. No address, port name or tuple is ever a label,
// and there is no series per flow.
//
// Package daemon gives the functions that take the snapshots, and the listener.
package metrics
