/* SPDX-License-Identifier: GPL-2.0 */
/* What a packet's own headers say. */
#pragma once

#include "sight.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define IP_FRAGMENT 0x3fff /* more fragments, or an offset */

struct headers {
	struct tuple tuple; /* dir is 0 */
	__u8 ttl, tos;
};

static __always_inline int is_tag(__u16 proto)
{
	return proto == ETH_P_8021Q || proto == ETH_P_8021AD;
}

static __always_inline int ported(__u8 protocol)
{
	return protocol == 6 || protocol == 17;
}

/* headers_of reads an IP packet at l3. 0 for what has no ports to be told by:
 * fragments, extension headers, other protocols. */
static __always_inline int headers_of(struct headers *h, const unsigned char *l3)
{
	__u16 ports[2];
	__u8 head[40];
	__u32 len;

	if (bpf_probe_read_kernel(head, 20, l3))
		return 0;
	if (head[0] >> 4 == 4) {
		if (((head[6] << 8 | head[7]) & IP_FRAGMENT) || !ported(head[9]))
			return 0;
		len = (head[0] & 15) * 4;
		h->tuple.l3num = 2;
		h->tuple.protonum = head[9];
		__builtin_memcpy(h->tuple.src, head + 12, 4);
		__builtin_memcpy(h->tuple.dst, head + 16, 4);
		h->tos = head[1];
		h->ttl = head[8];
	} else {
		if (head[0] >> 4 != 6 || !ported(head[6]) || bpf_probe_read_kernel(head + 20, 20, l3 + 20))
			return 0;
		len = 40;
		h->tuple.l3num = 10;
		h->tuple.protonum = head[6];
		__builtin_memcpy(h->tuple.src, head + 8, 16);
		__builtin_memcpy(h->tuple.dst, head + 24, 16);
		h->tos = head[0] << 4 | head[1] >> 4;
		h->ttl = head[7];
	}
	if (bpf_probe_read_kernel(ports, sizeof(ports), l3 + len))
		return 0;
	h->tuple.sport = ports[0];
	h->tuple.dport = ports[1];
	return 1;
}

/* network is where the IP header begins, once the kernel has found it. */
static __always_inline const unsigned char *network(const struct sk_buff *skb)
{
	return skb->head + skb->network_header;
}

/* beside reads the tag that is kept beside the frame. */
static __always_inline int beside(const struct sk_buff *skb, __u16 *proto, __u16 *tci)
{
	const struct sk_buff___before_6_2 *old = (const void *)skb;
	int there;

	if (bpf_core_field_exists(old->vlan_present))
		there = BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present);
	else
		there = skb->vlan_all != 0;
	if (there) {
		*tci = skb->vlan_tci;
		*proto = bpf_ntohs(skb->vlan_proto);
	}
	return there;
}
