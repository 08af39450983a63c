package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// connKinds are what a conntrack message says of an entry.
var connKinds = []flow.ConnKind{flow.ConnNew, flow.ConnUpdate, flow.ConnDestroy, flow.ConnListed}

func sources() []flow.Source {
	out := make([]flow.Source, flow.NumSources)
	for i := range out {
		out[i] = flow.Source(i)
	}
	return out
}

// eventMetrics say what came in, and what did not.
func eventMetrics() []metric {
	return []metric{
		{
			name: "shunt_conntrack_entries_total", help: "Conntrack entries that reached the engine, by what the message said.",
			kind: counter, label: "kind", words: wordsOf(connKinds),
			values: func(s *offload.Stats) []float64 { return pick(connKinds, s.Events[:]) },
		},
		{
			name: "shunt_events_lost_total", help: "Times a source lost events and had to list everything again.",
			kind: counter, label: "source", words: wordsOf(sources()),
			values: func(s *offload.Stats) []float64 { return pick(sources(), s.Losses[:]) },
		},
		{
			name: "shunt_ruleset_changes_total", help: "Changes of netfilter's rules that were heard of.", kind: counter,
			values: func(s *offload.Stats) []float64 { return []float64{float64(s.Rulesets)} },
		},
		{
			name: "shunt_listings_total", help: "Whole listings that a source has delivered.",
			kind: counter, label: "source", words: wordsOf(sources()),
			values: func(s *offload.Stats) []float64 { return pick(sources(), s.Listings[:]) },
		},
		{
			name: "shunt_source_synced", help: "1 when nothing is missing from the source; while it is 0 nothing new is offloaded.",
			kind: gauge, label: "source", words: wordsOf(sources()),
			values: func(s *offload.Stats) []float64 {
				out := make([]float64, flow.NumSources)
				for i := range out {
					out[i] = truth(s.Synced[i])
				}
				return out
			},
		},
	}
}

const (
	latencyName = "shunt_event_to_hardware_seconds"
	latencyHelp = "Time from the event that made a flow ready, or doubtful, until the device had installed or removed its rules."
)

const (
	removalName = "shunt_removal_seconds"
	removalHelp = "Time from the event that took a flow out of hardware until the device had removed its rules, by cause."
)

// latency turns the engine's histogram, whose buckets are apart, into
// Prometheus's, whose buckets contain all that is below.
func latency(desc *prometheus.Desc, h *offload.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(offload.HistogramBounds))
	var sum uint64
	for i, bound := range offload.HistogramBounds {
		sum += h.Counts[i]
		buckets[bound] = sum
	}
	return prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, buckets, labels...)
}
