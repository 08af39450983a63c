// Package traffic sends TCP and UDP whose payload is checked at both ends, so
// that a forwarder which loses, doubles, mixes up or alters packets is found out.
//
// A TCP transfer carries a pseudo-random stream of N bytes, in one direction or
// both, and compares SHA-256 sums: what was sent, what arrived. It ends with an
// orderly close. A UDP stream carries datagrams with a number and a checksum of
// their own, and counts what was lost, doubled, reordered and corrupted, and the
// longest silence.
//
// Client and server are functions over sockets that the caller opened: the caller
// decides in which network namespace. A Server answers TCP and UDP on one port,
// many peers at a time. The client asks for everything; the server has no options.
//
// What it is not: a load generator for records. iperf3 is one.
package traffic
