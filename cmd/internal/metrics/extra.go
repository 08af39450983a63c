package metrics

import "github.com/prometheus/client_golang/prometheus"

// Conntrack is what the conntrack source counts for itself.
type Conntrack struct {
	Messages      uint64 // netlink messages read
	Own           uint64 // echoes of the daemon's own changes, ignored
	Touches       uint64 // time-outs written
	TouchFailures uint64
	Prepares      uint64 // entries made ready for hardware
}

// Route is what the route source counts for itself.
type Route struct {
	Queries uint64 // routes asked of the kernel
	Events  uint64 // notifications read
	Watched uint64 // flows whose routes are watched
}

// API is what the gRPC server counts.
type API struct {
	Watches int // watch streams open
}

// extra is one row whose number does not come from the engine.
type extra struct {
	name, help string
	kind       prometheus.ValueType
	label      string
	words      []string
	values     func() []float64
}

func extraTable(s Sources) []extra {
	var out []extra
	add := func(name, help string, kind prometheus.ValueType, value func() float64) {
		out = append(out, extra{name: name, help: help, kind: kind, values: func() []float64 { return []float64{value()} }})
	}
	if f := s.Conntrack; f != nil {
		add("shunt_conntrack_messages_total", "Netlink messages read from conntrack.", counter, func() float64 { return float64(f().Messages) })
		add("shunt_conntrack_own_changes_total", "Echoes of the daemon's own changes of entries, ignored.", counter, func() float64 { return float64(f().Own) })
		out = append(out, extra{
			name: "shunt_touches_total", help: "Time-outs written to conntrack for flows whose packets it does not see, by result.",
			kind: counter, label: "result", words: []string{"ok", "failed"},
			values: func() []float64 { c := f(); return []float64{float64(c.Touches), float64(c.TouchFailures)} },
		})
		add("shunt_prepares_total", "Conntrack entries made ready for hardware.", counter, func() float64 { return float64(f().Prepares) })
	}
	if f := s.Route; f != nil {
		add("shunt_route_queries_total", "Routes asked of the kernel.", counter, func() float64 { return float64(f().Queries) })
		add("shunt_route_events_total", "Notifications of routes, neighbours, links, addresses and rules read.", counter, func() float64 { return float64(f().Events) })
		add("shunt_route_watched_flows", "Flows whose routes are watched.", gauge, func() float64 { return float64(f().Watched) })
	}
	if f := s.API; f != nil {
		add("shunt_watch_streams", "Watch streams that clients hold open.", gauge, func() float64 { return float64(f().Watches) })
	}
	return out
}
