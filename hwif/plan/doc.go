// Package plan turns a flow and its two routes into two rules. It is pure: the
// same flow, routes and capabilities give the same rules, and what cannot be
// said in rules comes back as a reason with a sentence.
//
// The steps are dull and in the order of the actions: match the tuple as it
// arrives, on its port, to the router's own MAC, without the frames that must
// stay with the kernel; then MACs, TTL, NAT, checksums, VLAN, redirect.
package plan
