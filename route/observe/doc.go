// Package observe sees what the kernel did with a forwarded packet, from the
// packet itself: how it came in by a port, which port it leaves by, and its finished
// Ethernet header with the VLAN tag. The latter is the place where the idea of shunt was
// first drawn: behind POST_ROUTING, when nothing is undecided any more.
//
//	Ask, SetThreshold, SetPorts ──▶ maps ──▶ eBPF on each port, both ways
//	                                           │ counts per direction, tells once
//	Run ──▶ emit([]Sight) ◀── ring buffer ◀────┘
//
// A direction is told of when Ask wants its next packet, or once, when it has
// become heavy (SetThreshold). One that hardware forwards passes no program and
// is silent by itself. Packets that netfilter drops are told of by rate.
//
// Two forms do the same. tcx, since Linux 6.6, runs on the ports alone. tracepoint
// (netif_receive_skb and net_dev_start_xmit, with BTF) runs for every packet of the host
// and picks the ports out; it works back to 5.5. Open takes what works and says why.
//
// The package decides nothing, and it changes no packet. An Observer owns its
// programs, maps and links; the kernel removes them with the process.
package observe
