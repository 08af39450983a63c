// Package maze is a router whose network changes at random, and a way to see
// whether the NIC and the kernel still do the same.
//
//	outside p0 ── r0 ┐          ┌ r1 ────── p1 outside
//	                 ├─ router ─┼ r2 ────── p2
//	  clients        ┘          └ b3 ┬ r3 ─ p3   servers, behind next hops
//	                                 └ r4 ─ p4
//
// A Maze owns two namespaces. Step changes something: a route, a rule, a
// neighbour, a link, an address, a nexthop object, the ruleset, an entry of
// conntrack. Probe sends each flow's frame twice, as the NIC takes it and as the
// kernel alone takes it, and gives what came out of which cable.
//
// The second frame differs by an 802.1p priority tag (VLAN id 0), which the
// kernel takes off at once and which no rule matches: so the oracle is the very
// kernel that the flow is in, at the same moment, and no flow has to leave.
//
// Everything follows from the seed; a step is a line of text, so that a run that
// went wrong can be read and played again.
package maze
