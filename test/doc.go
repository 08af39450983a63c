// Package e2e tells shunt's stories with real programs and a real kernel: shuntd
// and shuntctl as built, conntrack, nftables, routes and neighbours of Linux, TCP
// and UDP whose payload is checked, in a lab of network namespaces.
//
// It needs root, and is built with the tag netns:
//
//	go test -tags netns ./test
//
// Each test has a lab of its own and is named for what it shows. When one fails,
// the end of the daemon's log is printed, and the whole of it is kept where the
// message says (SHUNT_LOGS, or the system's temporary directory).
package e2e
