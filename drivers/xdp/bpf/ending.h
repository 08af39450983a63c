/* SPDX-License-Identifier: GPL-2.0 */
/* The beginning and the end of a TCP connection are the kernel's. A close is
 * several segments in both directions, faster than any rule can be removed, and
 * only the first of them bears a FIN or RST: conntrack has to see the others
 * too, or it is left in LAST_ACK. */
#pragma once

#include "parse.h"

#define TCP_FIN_SYN_RST 0x07
#define TCP_ACK 0x10

/* How long the kernel keeps a connection whose rules are not removed: the FIN
 * or RST meant nothing to conntrack then. */
const volatile __u64 hold_ns = 2000000000;

/* middle says whether a segment is of the middle of a connection. Without ACK
 * conntrack calls it invalid (tcp_valid_flags in nf_conntrack_proto_tcp.c). */
static __always_inline int middle(const struct parsed *p, const struct rule_value *r)
{
	__u64 *until;

	if (p->key.proto != IPPROTO_TCP)
		return 1;
	until = bpf_map_lookup_elem(&holds, &r->pair);
	if (!until)
		return 0;
	if (p->tcp_flags & TCP_FIN_SYN_RST) {
		*until = bpf_ktime_get_ns() + hold_ns;
		return 0;
	}
	if (!(p->tcp_flags & TCP_ACK) || (p->tcp_flags & r->tcp_mask) != r->tcp_flags)
		return 0;
	return !*until || bpf_ktime_get_ns() >= *until;
}
