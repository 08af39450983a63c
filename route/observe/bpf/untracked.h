/* SPDX-License-Identifier: GPL-2.0 */
/* A packet that conntrack was told to leave alone: it has no NAT, so it leaves with
 * the addresses that it came with, and they are read from it. */
#pragma once

#include "connection.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IP_FRAGMENT 0x3fff /* more fragments, or an offset */

static __always_inline int ported(__u8 protocol)
{
	return protocol == 6 || protocol == 17;
}

/* alone fills d from the headers. 0 for what has no ports to be told by: fragments,
 * extension headers, other protocols. Packets that conntrack calls invalid are none
 * of these: theirs is no ctinfo at all. */
static __always_inline int alone(struct direction *d, const struct sk_buff *skb)
{
	const unsigned char *l3 = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	__u16 protocol = bpf_ntohs(BPF_CORE_READ(skb, protocol));
	__u16 ports[2];
	__u8 head[40];
	__u32 len;

	if ((BPF_CORE_READ(skb, _nfct) & NFCT_INFOMASK) != IP_CT_UNTRACKED)
		return 0;
	if (protocol == ETH_P_IP) {
		if (bpf_probe_read_kernel(head, 20, l3))
			return 0;
		if (((head[6] << 8 | head[7]) & IP_FRAGMENT) || !ported(head[9]))
			return 0;
		len = (head[0] & 15) * 4;
		d->tuple.l3num = 2;
		d->tuple.protonum = head[9];
		__builtin_memcpy(d->tuple.src, head + 12, 4);
		__builtin_memcpy(d->tuple.dst, head + 16, 4);
	} else if (protocol == ETH_P_IPV6) {
		if (bpf_probe_read_kernel(head, 40, l3) || !ported(head[6]))
			return 0;
		len = 40;
		d->tuple.l3num = 10;
		d->tuple.protonum = head[6];
		__builtin_memcpy(d->tuple.src, head + 8, 16);
		__builtin_memcpy(d->tuple.dst, head + 24, 16);
	} else {
		return 0;
	}
	if (bpf_probe_read_kernel(ports, sizeof(ports), l3 + len))
		return 0;
	d->tuple.sport = ports[0];
	d->tuple.dport = ports[1];
	return 1;
}
