// Package xdp is a NIC made of ordinary interfaces: its table of rules is an eBPF
// map, its pipeline an XDP program on every port. Real frames of real connections
// are taken from the kernel, rewritten and sent on.
//
// It is not a firewall and not a switch. It does what a rule says to the frames
// that the rule means, and leaves every other frame to the kernel as it came:
// fragments, IPv4 options, IPv6 extension headers, TTL ≤ 1, SYN, FIN, RST, too long
// for Actions.MTU, lengths that contradict each other, a wrong IPv4 header checksum,
// two tags, an L4 checksum not yet made, a frame that GRO has merged, a tag that
// is not in the frame and can't be taken along.
//
// The way of the data:
//
//	rule ─ encode ─▶ rules map ─▶ bpf/pipeline.c ─▶ outs (devmap) ─▶ the other port
//	                              │ counts per rule ─▶ Counters
//	                              │ seen per ingress port ─▶ Ports, Refused
//	watch.h (tracepoints) ────────┴ egresses per egress port ─▶ Ports, Refused
//
// What XDP can't see of a frame, bpf/peek.h finds out from the sk_buff. A redirect
// that the kernel loses in silence is seen by bpf/watch.h, which turns that
// egress port off at once; its frames go to the kernel until Ports has probed it.
//
// Settings (hwif.OpenOptions.Settings):
//
//	mode  auto (default), native or generic: where the program runs. Auto takes
//	      native when every port can, else generic on all.
//	pin   a directory on a bpffs: table and links are pinned there, so that rules
//	      outlive the daemon, and the next Open adopts them.
//
// The Device owns its maps, programs, links and one netlink socket; with pin the
// directory owns them too. One mutex guards the Go side of the table.
//
// Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, kernel BTF (CONFIG_DEBUG_INFO_BTF)
// and Linux 5.18 or newer; native mode on veth needs 6.3.
package xdp
