package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// Collector is a prometheus.Collector over Sources.
type Collector struct {
	sources Sources
	engine  []metric
	extra   []extra
	descs   map[string]*prometheus.Desc
}

// NewCollector makes a collector. It keeps no numbers.
func NewCollector(s Sources) *Collector {
	c := &Collector{sources: s, engine: engineTable(), extra: extraTable(s), descs: map[string]*prometheus.Desc{}}
	for _, m := range c.engine {
		c.describe(m.name, m.help, m.label)
	}
	for _, m := range c.extra {
		c.describe(m.name, m.help, m.label)
	}
	c.describe(latencyName, latencyHelp, "")
	c.describe(removalName, removalHelp, "cause")
	return c
}

func (c *Collector) describe(name, help, label string) {
	var labels []string
	if label != "" {
		labels = []string{label}
	}
	c.descs[name] = prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. All samples of the engine are of one
// snapshot.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.sources.Engine()
	for _, m := range c.engine {
		c.emit(ch, m.name, m.kind, m.words, m.values(s))
	}
	ch <- latency(c.descs[latencyName], &s.Latency)
	for _, cause := range flow.Causes() {
		ch <- latency(c.descs[removalName], &s.Removed[cause], cause.String())
	}
	for _, m := range c.extra {
		c.emit(ch, m.name, m.kind, m.words, m.values())
	}
}

func (c *Collector) emit(ch chan<- prometheus.Metric, name string, kind prometheus.ValueType, words []string, values []float64) {
	if words == nil {
		ch <- prometheus.MustNewConstMetric(c.descs[name], kind, values[0])
		return
	}
	for i, w := range words {
		ch <- prometheus.MustNewConstMetric(c.descs[name], kind, values[i], w)
	}
}
