package metrics

import "github.com/shunt-offload/shunt/hwif/offload"

// paths are the two ways a packet can take.
var paths = []string{"kernel", "nic"}

// pathMetrics say who forwarded what, and what was dropped.
func pathMetrics() []metric {
	return []metric{
		{
			name: "shunt_packets_total", help: "Packets of known flows, by who forwarded them.",
			kind: counter, label: "path", words: paths,
			values: func(s *offload.Stats) []float64 {
				return []float64{float64(s.KernelPath.Packets), float64(s.NICPath.Packets)}
			},
		},
		{
			name: "shunt_bytes_total", help: "L3 bytes of known flows (no Ethernet header, VLAN tag or padding), by who forwarded them.",
			kind: counter, label: "path", words: paths,
			values: func(s *offload.Stats) []float64 {
				return []float64{float64(s.KernelPath.Bytes), float64(s.NICPath.Bytes)}
			},
		},
		one("shunt_nic_dropped_packets_total", "Packets that the NIC dropped, by drop rules.", counter,
			func(s *offload.Stats) float64 { return float64(s.NICDrops.Packets) }),
		one("shunt_nic_dropped_bytes_total", "L3 bytes of packets that the NIC dropped, by drop rules.", counter,
			func(s *offload.Stats) float64 { return float64(s.NICDrops.Bytes) }),
	}
}
