// Package flower is the device that all drivers of switchdev cards share: hwif's
// operations as tc flower filters with skip_sw on the card's ports.
//
// What tells one card from another is a Profile: what it takes, how its rules are
// written, which pairs of ports it can join, and what its refusals mean. mlx5, ice
// and nfp are such profiles; the driver of this package itself is for cards that
// nobody knows, and believes nothing that a probe has not proved.
//
// Each port has a clsact qdisc; filters hang at its ingress, in chain 0, at prios
// that are ours alone: guards first, then flows, then probes. A filter is ours by
// its cookie, and what is not ours is never touched. The kernel takes a skip_sw
// filter only when the card has it, so that success means in_hw.
//
// Truth is in the kernel: a Device remembers no more of a rule than what removes
// and counts it, and reads that back when it starts. Rules outlive the daemon.
//
// A Device has one goroutine of its own, which follows switchdev's events, and
// ends with Close.
package flower
