/* SPDX-License-Identifier: GPL-2.0 */
/* What XDP cannot see: a frame that comes with an sk_buff may carry a VLAN tag
 * beside it, an L4 checksum still to be made, or several packets in one.
 *
 * On a veth in native mode the sk_buff stands behind the xdp_buff (struct
 * veth_xdp_buff, drivers/net/veth.c, since 6.3). In generic mode a program at the
 * tracepoint netif_receive_skb leaves word of it on the same CPU: the tracepoint
 * stands in __netif_receive_skb_core() just before the XDP program runs, and
 * bottom halves are off from one to the other. */
#pragma once

#include "table.h"

/* Bytes from the start of veth_xdp_buff to its skb; 0 where there is none. */
const volatile __u32 veth_skb_off = 0;

/* Inode number of the network namespace in which the ports are. */
const volatile __u32 netns = 0;

struct word {
	__u32 left; /* by the tracepoint, for the XDP program that runs next */
	__u32 ifindex;
	__u16 tci;
	__u16 tag_proto; /* host order, 0 for no tag beside the frame */
	__u8 unfinished;
	__u8 merged;
	__u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct word);
	__uint(max_entries, 1);
} words_left SEC(".maps");

struct xdp_buff;
extern void *bpf_cast_to_kern_ctx(void *obj) __ksym __weak;

static __always_inline void tag_of(struct word *w, struct sk_buff *skb)
{
	struct sk_buff___before_6_2 *old = (void *)skb;
	int present;

	if (bpf_core_field_exists(old->vlan_present))
		present = BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present);
	else
		present = BPF_CORE_READ(skb, vlan_all) != 0;
	if (!present)
		return;
	w->tci = BPF_CORE_READ(skb, vlan_tci);
	w->tag_proto = bpf_ntohs(BPF_CORE_READ(skb, vlan_proto));
	if (!w->tag_proto)
		w->tag_proto = 0xffff;
}

static __always_inline void look_at(struct word *w, struct sk_buff *skb)
{
	tag_of(w, skb);
	w->unfinished = BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) == CHECKSUM_PARTIAL;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(leave_word, struct sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->dev->ifindex;
	struct skb_shared_info *shared;
	struct word *w;

	if (skb->dev->nd_net.net->ns.inum != netns || !bpf_map_lookup_elem(&ports, &ifindex))
		return 0;
	w = bpf_map_lookup_elem(&words_left, &zero);
	if (!w)
		return 0;
	__builtin_memset(w, 0, sizeof(*w));
	look_at(w, skb);
	shared = (void *)(skb->head + skb->end);
	w->merged = BPF_CORE_READ(shared, gso_size) != 0;
	w->ifindex = ifindex;
	w->left = 1;
	return 0;
}

/* peek fills w and says whether everything is known that has to be. */
static __always_inline int peek(struct word *w, struct xdp_md *ctx, const struct port *port)
{
	if (port->flags & PORT_GENERIC) {
		__u32 zero = 0;
		struct word *left = bpf_map_lookup_elem(&words_left, &zero);

		if (!left || !left->left || left->ifindex != ctx->ingress_ifindex)
			return 0;
		*w = *left;
		left->left = 0;
		return 1;
	}
	if ((port->flags & PORT_VETH) && veth_skb_off) {
		struct sk_buff *skb = NULL;
		char *xdp;

		if (!bpf_cast_to_kern_ctx)
			return 0;
		xdp = bpf_cast_to_kern_ctx(ctx);
		if (bpf_probe_read_kernel(&skb, sizeof(skb), xdp + veth_skb_off))
			return 0;
		/* None: the frame was redirected here by XDP and never had one. */
		if (skb)
			look_at(w, skb);
	}
	return 1;
}
