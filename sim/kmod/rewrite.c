// SPDX-License-Identifier: GPL-2.0
/* One rewriting action on a frame. Checksums follow by the difference, as in a
 * card: what was wrong stays wrong. */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>

#include "simnic.h"

static void l4_follows(struct sk_buff *skb, struct sn_frame *f, __be32 from, __be32 to)
{
	struct tcphdr *th;
	struct udphdr *uh;

	if (f->l4 < 0)
		return;
	switch (f->key.ip_proto) {
	case IPPROTO_TCP:
		th = (void *)(skb->data + f->l4);
		csum_replace4(&th->check, from, to);
		break;
	case IPPROTO_UDP:
		uh = (void *)(skb->data + f->l4);
		if (!uh->check) /* its sender computed none (RFC 768) */
			return;
		csum_replace4(&uh->check, from, to);
		if (!uh->check)
			uh->check = CSUM_MANGLED_0;
		break;
	}
}

static void csum_follows(struct sk_buff *skb, struct sn_frame *f, const struct sn_act *a, __be32 from, __be32 to)
{
	struct iphdr *ih;

	switch (a->htype) {
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		ih = (void *)(skb->data + f->l3);
		csum_replace4(&ih->check, from, to);
		if (a->off == offsetof(struct iphdr, saddr) || a->off == offsetof(struct iphdr, daddr))
			l4_follows(skb, f, from, to);
		break;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		if (a->off >= offsetof(struct ipv6hdr, saddr))
			l4_follows(skb, f, from, to);
		break;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		l4_follows(skb, f, from, to);
		break;
	}
}

static int word(struct sk_buff *skb, struct sn_frame *f, const struct sn_act *a)
{
	int base, off;
	u32 from, to, val = a->val;

	switch (a->htype) {
	case FLOW_ACT_MANGLE_HDR_TYPE_ETH:
		base = 0;
		break;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		base = f->l3;
		break;
	default:
		base = f->l4;
	}
	off = base + a->off;
	if (base < 0 || off + 4 > (int)skb->len)
		return -EINVAL;
	if (skb_ensure_writable(skb, skb->len))
		return -ENOMEM;
	memcpy(&from, skb->data + off, 4);
	if (a->op == SN_ADD)
		val = (from + val) & ~a->mask;
	to = (from & a->mask) ^ val;
	memcpy(skb->data + off, &to, 4);
	csum_follows(skb, f, a, (__force __be32)from, (__force __be32)to);
	return 0;
}

static int pop(struct sk_buff *skb, struct sn_frame *f)
{
	if (!f->key.tpid)
		return 0; /* nothing to take off */
	if (skb_cow_head(skb, 0))
		return -ENOMEM;
	memmove(skb->data + VLAN_HLEN, skb->data, 2 * ETH_ALEN);
	__skb_pull(skb, VLAN_HLEN);
	skb_reset_mac_header(skb);
	sn_parse(skb, f);
	return 0;
}

static int push(struct sk_buff *skb, struct sn_frame *f, const struct sn_act *a)
{
	struct vlan_ethhdr *vh;

	if (skb_cow_head(skb, VLAN_HLEN))
		return -ENOMEM;
	__skb_push(skb, VLAN_HLEN);
	memmove(skb->data, skb->data + VLAN_HLEN, 2 * ETH_ALEN);
	skb_reset_mac_header(skb);
	vh = (struct vlan_ethhdr *)skb->data;
	vh->h_vlan_proto = a->tpid;
	vh->h_vlan_TCI = htons(a->tci);
	sn_parse(skb, f);
	return 0;
}

static int retag(struct sk_buff *skb, struct sn_frame *f, const struct sn_act *a)
{
	struct vlan_ethhdr *vh;

	if (!f->key.tpid)
		return -EINVAL;
	if (skb_ensure_writable(skb, VLAN_ETH_HLEN))
		return -ENOMEM;
	vh = (struct vlan_ethhdr *)skb->data;
	vh->h_vlan_TCI = (vh->h_vlan_TCI & htons(VLAN_PRIO_MASK | VLAN_CFI_MASK)) | htons(a->tci & VLAN_VID_MASK);
	f->key.tci = ntohs(vh->h_vlan_TCI);
	return 0;
}

/* 0, or -errno when the frame cannot be had like that. */
int sn_rewrite(struct sk_buff *skb, struct sn_frame *f, const struct sn_act *a)
{
	switch (a->op) {
	case SN_SET:
	case SN_ADD:
		return word(skb, f, a);
	case SN_POP:
		return pop(skb, f);
	case SN_PUSH:
		return push(skb, f, a);
	case SN_RETAG:
		return retag(skb, f, a);
	}
	return -EINVAL;
}
