/* SPDX-License-Identifier: GPL-2.0 */
/* What a rule does to a frame. All that can fail comes before the first change
 * that the kernel must not see. */
#pragma once

#include "parse.h"

/* reshape cuts the padding behind the packet, which the kernel does not forward
 * either (ip_rcv_core), and makes or takes room for the tag. On failure the
 * frame is as it was, but for the padding. */
static __always_inline int reshape(struct xdp_md *ctx, const struct parsed *p, int room)
{
	int surplus = (int)(ctx->data_end - ctx->data) - p->l2_len - p->l3_len;

	if (surplus > 0 && bpf_xdp_adjust_tail(ctx, -surplus))
		return 0;
	if (room && bpf_xdp_adjust_head(ctx, -room))
		return 0;
	return 1;
}

static __always_inline void rewrite_l4(void *l4, void *end, const struct parsed *p, const struct rule_value *r)
{
	__be16 *ports = l4;
	__u16 *check;

	if (!(r->flags & DO_L4) || (void *)(ports + 4) > end)
		return;
	if (r->flags & DO_L4_SRC)
		ports[0] = r->sport_be;
	if (r->flags & DO_L4_DST)
		ports[1] = r->dport_be;
	if (p->key.proto == IPPROTO_TCP) {
		check = l4 + offsetof(struct tcphdr, check);
		if ((void *)(check + 1) <= end)
			*check = replaced(*check, r->l4_delta);
		return;
	}
	check = l4 + offsetof(struct udphdr, check);
	if (*check) {
		__u16 sum = replaced(*check, r->l4_delta);

		*check = sum ? sum : 0xffff;
	}
}

static __always_inline int rewrite_l3(void *l3, void *end, const struct parsed *p, const struct rule_value *r)
{
	if (p->key.family == 4) {
		struct iphdr *ip = l3;

		if ((void *)(ip + 1) > end)
			return 0;
		if (r->flags & DO_IP_SRC)
			__builtin_memcpy(&ip->saddr, r->src, 4);
		if (r->flags & DO_IP_DST)
			__builtin_memcpy(&ip->daddr, r->dst, 4);
		if (r->flags & DO_DEC_TTL)
			ip->ttl--;
		if (r->flags & (DO_IP_SRC | DO_IP_DST | DO_DEC_TTL))
			ip->check = replaced(ip->check, r->ip_delta);
		rewrite_l4(ip + 1, end, p, r);
	} else {
		struct ipv6hdr *ip = l3;

		if ((void *)(ip + 1) > end)
			return 0;
		if (r->flags & DO_IP_SRC)
			__builtin_memcpy(&ip->saddr, r->src, 16);
		if (r->flags & DO_IP_DST)
			__builtin_memcpy(&ip->daddr, r->dst, 16);
		if (r->flags & DO_DEC_TTL)
			ip->hop_limit--;
		rewrite_l4(ip + 1, end, p, r);
	}
	return 1;
}

/* rewrite makes the frame what the kernel would have sent. vlan is the id to
 * leave with, 0 for none; eth_src is what the frame came with. */
static __always_inline int rewrite(struct xdp_md *ctx, const struct parsed *p, const struct rule_value *r,
				   const __u8 *eth_src, __u16 vlan)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct vlan_tag *tag = (void *)(eth + 1);
	void *l3 = tag;
	__be16 proto = p->key.family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);

	if ((void *)(tag + 1) > end)
		return 0;
	__builtin_memcpy(eth->h_dest, r->flags & DO_ETH_DST ? r->eth_dst : p->key.eth_dst, 6);
	__builtin_memcpy(eth->h_source, r->flags & DO_ETH_SRC ? r->eth_src : eth_src, 6);
	eth->h_proto = proto;
	if (vlan) {
		/* Priority 0, as a VLAN device's egress map gives by default. */
		eth->h_proto = bpf_htons(ETH_P_8021Q);
		tag->tci = bpf_htons(vlan);
		tag->proto = proto;
		l3 = tag + 1;
	}
	return rewrite_l3(l3, end, p, r);
}
