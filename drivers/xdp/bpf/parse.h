/* SPDX-License-Identifier: GPL-2.0 */
/* From bytes to a key. Whatever is not an ordinary TCP or UDP packet with
 * consistent headers makes parse() say no, and the kernel gets the frame. */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "checksum.h"
#include "table.h"

struct vlan_tag {
	__be16 tci;
	__be16 proto;
};

#define VLAN_ID 0x0fff

/* Largest number of bytes between Ethernet header and L3. */
#define MAX_TAG ((int)sizeof(struct vlan_tag))

struct parsed {
	struct rule_key key;
	__u16 l2_len;    /* with the tag, if the frame has one */
	__u16 l3_len;    /* as the IP header tells it */
	__u16 tci;       /* of the tag, host order */
	__u16 l4_check;  /* as it stands in the frame */
	__u16 unfinished; /* what l4_check would be if it were not yet made */
	__u8 ttl;
	__u8 tcp_flags;
};

/* ports_of reads the L4 header at l4, which has len bytes. */
static __always_inline int ports_of(struct parsed *p, void *l4, void *end, __u32 len)
{
	if (p->key.proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;
		__u32 header;

		if ((void *)(tcp + 1) > end || len < sizeof(*tcp))
			return 0;
		header = tcp->doff * 4;
		if (header < sizeof(*tcp) || header > len)
			return 0;
		p->tcp_flags = ((__u8 *)tcp)[13];
		p->key.sport_be = tcp->source;
		p->key.dport_be = tcp->dest;
		p->l4_check = tcp->check;
		return 1;
	}
	if (p->key.proto == IPPROTO_UDP) {
		struct udphdr *udp = l4;

		if ((void *)(udp + 1) > end || len < sizeof(*udp) || bpf_ntohs(udp->len) != len)
			return 0;
		/* RFC 8200, 8.1: IPv6 wants a checksum. */
		if (!udp->check && p->key.family == 6)
			return 0;
		p->key.sport_be = udp->source;
		p->key.dport_be = udp->dest;
		p->l4_check = udp->check;
		return 1;
	}
	return 0;
}

static __always_inline int parse_ipv4(struct parsed *p, void *l3, void *end)
{
	struct iphdr *ip = l3;
	__u32 len;

	if ((void *)(ip + 1) > end || ((__u8 *)l3)[0] != 0x45)
		return 0;
	len = bpf_ntohs(ip->tot_len);
	/* DF may be set; the reserved bit, MF and the offset may not. */
	if (len < sizeof(*ip) || len > end - l3 || (ip->frag_off & bpf_htons(0xbfff)))
		return 0;
	if (fold(words(ip, 10)) != 0xffff)
		return 0;
	p->l3_len = len;
	p->ttl = ip->ttl;
	p->key.family = 4;
	p->key.proto = ip->protocol;
	__builtin_memcpy(p->key.src, &ip->saddr, 4);
	__builtin_memcpy(p->key.dst, &ip->daddr, 4);
	len -= sizeof(*ip);
	p->unfinished = fold(words(&ip->saddr, 4) + bpf_htons(len) + bpf_htons(ip->protocol));
	return ports_of(p, ip + 1, end, len);
}

static __always_inline int parse_ipv6(struct parsed *p, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;
	__u32 len;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return 0;
	len = bpf_ntohs(ip->payload_len);
	if (len + sizeof(*ip) > end - l3)
		return 0;
	p->l3_len = len + sizeof(*ip);
	p->ttl = ip->hop_limit;
	p->key.family = 6;
	p->key.proto = ip->nexthdr;
	__builtin_memcpy(p->key.src, &ip->saddr, 16);
	__builtin_memcpy(p->key.dst, &ip->daddr, 16);
	p->unfinished = fold(words(&ip->saddr, 16) + bpf_htons(len) + bpf_htons(ip->nexthdr));
	return ports_of(p, ip + 1, end, len);
}

/* parse fills p, which the caller has zeroed, and says whether the frame can
 * be looked up. */
static __always_inline int parse(struct parsed *p, void *data, void *end)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag = (void *)(eth + 1);
	void *l3 = tag;
	__be16 proto;

	if ((void *)(eth + 1) > end)
		return 0;
	__builtin_memcpy(p->key.eth_dst, eth->h_dest, 6);
	proto = eth->h_proto;
	p->l2_len = sizeof(*eth);
	if (proto == bpf_htons(ETH_P_8021Q)) {
		if ((void *)(tag + 1) > end)
			return 0;
		p->tci = bpf_ntohs(tag->tci);
		p->key.vlan = p->tci & VLAN_ID;
		if (!p->key.vlan) /* a priority tag: the kernel's affair */
			return 0;
		proto = tag->proto;
		p->l2_len += sizeof(*tag);
		l3 = tag + 1;
	}
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, l3, end);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, l3, end);
	return 0;
}
