// Package lab builds a small network out of Linux network namespaces, with real
// kernels' parts in it: routing, conntrack, nftables, neighbours.
//
//	client ──────────── router ──────────── switch ─┬─ s0 (next hop A) ─ server
//	  c0            lan0      wan0            br0   └─ s1 (next hop B) ─┘
//
// The server's address is not on the wire: it lies behind two next hops with
// MAC addresses of their own. So the router's route to it can be replaced in the
// middle of a transfer, and the transfer can survive.
//
// The router masquerades IPv4 and routes IPv6 as it is. Its forward chain counts
// what the kernel forwards and drops what conntrack calls invalid.
//
// What it is not: it knows nothing of shunt. It needs root, iproute2, nftables
// and ethtool.
//
// A Lab owns its namespaces and every process that it started. Close ends and
// removes all of them; Sweep does so for labs whose program died.
package lab
