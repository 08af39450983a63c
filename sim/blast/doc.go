// Package blast sends one frame over and over, as fast as a core can, and takes
// such frames off the wire again: for measuring what a forwarder between the two
// can do.
//
// The sender is an XDP program run by the kernel on live frames (bpf(2),
// BPF_PROG_RUN with BPF_F_TEST_XDP_LIVE_FRAMES): no sk_buff, no socket, no
// qdisc. An AF_PACKET sender is slower than what it would measure. The sink is an
// XDP program that drops one kind of frame and counts it.
//
// What it is not: a source of checked payload; package traffic is. Its frames
// carry no UDP checksum, and everyone who owns a namespace owns what is sent there.
package blast
