package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/shunt-offload/shunt/conntrack"
	"github.com/shunt-offload/shunt/route"
	"github.com/shunt-offload/shunt/route/observe"
)

// extra is one row whose numbers do not come from the engine.
type extra struct {
	name, help string
	kind       prometheus.ValueType
	label      string
	words      []string
	values     func() []float64
}

func extraTable(s Sources) []extra {
	var out []extra
	if s.Conntrack != nil {
		out = append(out, conntrackTable(s.Conntrack)...)
	}
	if s.Route != nil {
		out = append(out, routeTable(s.Route)...)
	}
	if s.Observer != nil {
		out = append(out, observerTable(s.Observer)...)
	}
	if s.Watches != nil {
		out = append(out, extra{
			name: "shunt_watch_streams", help: "Watch streams that clients hold open.", kind: gauge,
			values: func() []float64 { return []float64{float64(s.Watches())} },
		})
	}
	return out
}

func conntrackTable(get func() conntrack.Stats) []extra {
	split := func(name, help, label string, words []string, value func(conntrack.Stats) []uint64) extra {
		return extra{name: name, help: help, kind: counter, label: label, words: words,
			values: func() []float64 { return floats(value(get())...) }}
	}
	return []extra{
		split("shunt_conntrack_messages_total", "Event messages read from conntrack, by group.", "group",
			[]string{"new", "update", "destroy"},
			func(s conntrack.Stats) []uint64 { return []uint64{s.New, s.Update, s.Destroy} }),
		split("shunt_conntrack_ignored_total", "Messages that told the engine nothing: the daemon's own changes, overtaken ones, other protocols, undecodable ones.", "why",
			[]string{"own", "late", "foreign", "malformed"},
			func(s conntrack.Stats) []uint64 { return []uint64{s.Own, s.Late, s.Foreign, s.Malformed} }),
		split("shunt_conntrack_listings_total", "Listings of the conntrack table, by whether they counted.", "result",
			[]string{"ok", "void"},
			func(s conntrack.Stats) []uint64 { return []uint64{s.Listings, s.ListingsVoid} }),
		split("shunt_prepares_total", "Conntrack entries that were to be made ready for hardware, by result.", "result",
			[]string{"ok", "gone", "failed"},
			func(s conntrack.Stats) []uint64 {
				return []uint64{less(s.Prepares, s.PrepareGone+s.PrepareErrors), s.PrepareGone, s.PrepareErrors}
			}),
		split("shunt_touches_total", "Time-outs to be refreshed for flows whose packets conntrack does not see, by result.", "result",
			[]string{"written", "needless", "gone", "failed", "dropped"},
			func(s conntrack.Stats) []uint64 {
				return []uint64{s.TouchWrites, less(s.Touches, s.TouchWrites), s.TouchGone, s.TouchErrors, s.TouchDropped}
			}),
	}
}

func routeTable(get func() route.Stats) []extra {
	row := func(name, help string, kind prometheus.ValueType, value func(route.Stats) float64) extra {
		return extra{name: name, help: help, kind: kind, values: func() []float64 { return []float64{value(get())} }}
	}
	return []extra{
		row("shunt_route_lookups_total", "Routes asked of the kernel.", counter, func(s route.Stats) float64 { return float64(s.Lookups) }),
		row("shunt_route_judged_total", "Flows whose routes were looked up, for the first time or again.", counter, func(s route.Stats) float64 { return float64(s.Judged) }),
		row("shunt_route_messages_total", "Notifications of routes, neighbours, links, addresses and rules handled.", counter, func(s route.Stats) float64 { return float64(s.Messages) }),
		row("shunt_route_dirty_total", "Flows whose cached routes came into doubt.", counter, func(s route.Stats) float64 { return float64(s.Dirty) }),
		row("shunt_route_watched_flows", "Flows whose routes are watched.", gauge, func(s route.Stats) float64 { return float64(s.Flows) }),
		row("shunt_route_paths", "Distinct ways that the watched flows share.", gauge, func(s route.Stats) float64 { return float64(s.Paths) }),
		row("shunt_route_awaited_flows", "Flows whose next packets are waited for, to see how they leave.", gauge, func(s route.Stats) float64 { return float64(s.Awaited) }),
		row("shunt_route_contradictions_total", "Packets seen leaving otherwise than the tables said.", counter, func(s route.Stats) float64 { return float64(s.Contradicted) }),
		row("shunt_route_waiting_flows", "Flows that wait for their routes to be looked up.", gauge, func(s route.Stats) float64 { return float64(s.Queued) }),
	}
}

func observerTable(get func() (observe.Stats, error)) []extra {
	row := func(name, help string, value func(observe.Stats) uint64) extra {
		return extra{name: name, help: help, kind: counter, values: func() []float64 {
			s, err := get()
			if err != nil { // closed: the daemon ends
				return []float64{0}
			}
			return floats(value(s))
		}}
	}
	return []extra{
		row("shunt_observer_packets_total", "Forwarded packets of tracked connections that the observer looked at.", func(s observe.Stats) uint64 { return s.Packets }),
		row("shunt_observer_told_total", "Packets that it told of.", func(s observe.Stats) uint64 { return s.Told }),
		row("shunt_observer_lost_total", "Packets that it could not tell of for want of room; the next one of the flow tries again.", func(s observe.Stats) uint64 { return s.Lost }),
	}
}

func floats(vs ...uint64) []float64 {
	out := make([]float64, len(vs))
	for i, v := range vs {
		out[i] = float64(v)
	}
	return out
}

// less is a-b, 0 when the two were read at such moments that b is ahead.
func less(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}
