/* SPDX-License-Identifier: GPL-2.0 */
/* Looks at forwarded packets on their way out of a port, when nothing about them
 * is undecided any more, and at those that netfilter drops. It changes nothing. */
#include "connection.h"
#include "untracked.h"

char gpl[] SEC("license") = "GPL";

/* Keeps the type's description in the object. */
const struct report *report_type __attribute__((unused));

static __always_inline void tag_of(struct report *r, const struct sk_buff *skb, const __u8 *frame)
{
	const struct sk_buff___before_6_2 *old = (const void *)skb;
	__u16 words[2];
	int beside;

	if (bpf_core_field_exists(old->vlan_present))
		beside = BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present);
	else
		beside = BPF_CORE_READ(skb, vlan_all) != 0;
	if (beside) {
		r->vlan_tci = BPF_CORE_READ(skb, vlan_tci);
		r->vlan_proto = bpf_ntohs(BPF_CORE_READ(skb, vlan_proto));
		return;
	}
	if (bpf_probe_read_kernel(words, sizeof(words), frame + 12))
		return;
	if (words[0] == bpf_htons(0x8100) || words[0] == bpf_htons(0x88a8)) {
		r->vlan_proto = bpf_ntohs(words[0]);
		r->vlan_tci = bpf_ntohs(words[1]);
	}
}

static __always_inline void ttl_of(struct report *r, const struct sk_buff *skb)
{
	const unsigned char *l3 = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	__u8 head[10];

	if (bpf_probe_read_kernel(head, sizeof(head), l3))
		return;
	if (head[0] >> 4 == 4) {
		r->tos = head[1];
		r->ttl = head[8];
	} else {
		r->tos = head[0] << 4 | head[1] >> 4;
		r->ttl = head[7];
	}
}

/* tell sends word of a packet. Without room it says so by 0. */
static __always_inline int tell(const struct sk_buff *skb, const struct nf_conn *ct, int reply,
				const struct direction *own, __u8 kind, __u32 out, __u64 packets)
{
	struct report *r = bpf_ringbuf_reserve(&reports, sizeof(*r), 0);
	struct seen *s = seen();
	const unsigned char *frame;

	if (!r) {
		if (s)
			s->lost++;
		return 0;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->at = bpf_ktime_get_ns();
	r->packets = packets;
	r->own = *own;
	r->in = BPF_CORE_READ(skb, skb_iif);
	r->out = out;
	r->mark = BPF_CORE_READ(skb, mark);
	if (ct) {
		direction_of(&r->other, ct, !reply);
		if (bpf_core_field_exists(ct->mark))
			r->ct_mark = BPF_CORE_READ(ct, mark);
		r->status = BPF_CORE_READ(ct, status);
	}
	r->kind = kind;
	ttl_of(r, skb);
	if (kind != DROPPED) {
		frame = BPF_CORE_READ(skb, data);
		bpf_probe_read_kernel(r->eth_dst, 12, frame);
		tag_of(r, skb, frame);
	}
	bpf_ringbuf_submit(r, 0);
	if (s)
		s->told++;
	return 1;
}

/* forwarded reports whether the packet came in by an interface and has no socket. */
static __always_inline int forwarded(const struct sk_buff *skb)
{
	return BPF_CORE_READ(skb, skb_iif) && !BPF_CORE_READ(skb, sk);
}

static __always_inline __u64 packets_in(const struct sk_buff *skb)
{
	const struct skb_shared_info *info = (void *)(BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end));
	__u16 segs = BPF_CORE_READ(info, gso_segs);

	return segs ? segs : 1;
}

/* passes takes back what was counted against a direction: one of which some packets
 * pass, as by a rule with a limit, is not one that netfilter drops. */
static __always_inline void passes(const struct direction *d)
{
	struct dropped *n = bpf_map_lookup_elem(&drops, d);

	if (n) {
		n->since = bpf_ktime_get_ns();
		n->packets = 0;
	}
}

static __always_inline void leaving(const struct sk_buff *skb, __u32 out)
{
	struct direction d = {};
	struct tally *t, fresh = {};
	struct nf_conn *ct;
	struct seen *s = seen();
	int reply;

	if (!forwarded(skb))
		return;
	ct = conn_of(skb, &reply);
	if (ct)
		direction_of(&d, ct, reply);
	else if (!untracked || !alone(&d, skb))
		return;
	if (s)
		s->packets++;
	if (drop_threshold)
		passes(&d);
	t = bpf_map_lookup_elem(&tallies, &d);
	if (!t) {
		bpf_map_update_elem(&tallies, &d, &fresh, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&tallies, &d);
		if (!t)
			return;
	}
	__sync_fetch_and_add(&t->packets, packets_in(skb));
	if (!t->wanted && (t->told || !threshold || t->packets < threshold))
		return;
	if (tell(skb, ct, reply, &d, ct ? LEFT : ALONE, out, t->packets)) {
		t->wanted = 0;
		t->told = 1;
	}
}

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym __weak;

/* From 6.6 on, on the ports alone. */
SEC("tcx/egress")
int port_leaves(struct __sk_buff *ctx)
{
	leaving(bpf_cast_to_kern_ctx(ctx), ctx->ifindex);
	return TCX_NEXT;
}

/* Elsewhere: every device's transmissions pass here, behind the queueing
 * discipline (xmit_one, net/core/dev.c). */
SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(any_leaves, const struct sk_buff *skb, const struct net_device *dev)
{
	__u32 out = dev->ifindex;

	if (bpf_map_lookup_elem(&ports, &out) && ours(dev))
		leaving(skb, out);
	return 0;
}

/* The packet's way ended in netfilter. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(drop, const struct sk_buff *skb, void *location, enum skb_drop_reason reason)
{
	struct dropped *d, fresh = {};
	struct direction own = {};
	const struct net_device *dev;
	struct nf_conn *ct;
	__u64 now, before;
	int reply;

	if (!drop_threshold || reason != bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NETFILTER_DROP))
		return 0;
	dev = BPF_CORE_READ(skb, dev);
	if (!dev || !ours(dev) || !forwarded(skb))
		return 0;
	ct = conn_of(skb, &reply);
	if (!ct)
		return 0;
	direction_of(&own, ct, reply);
	now = bpf_ktime_get_ns();
	d = bpf_map_lookup_elem(&drops, &own);
	if (!d) {
		fresh.since = now;
		bpf_map_update_elem(&drops, &own, &fresh, BPF_NOEXIST);
		d = bpf_map_lookup_elem(&drops, &own);
		if (!d)
			return 0;
	}
	if (now - d->since > DROP_WINDOW) {
		d->since = now;
		d->packets = 0;
	}
	before = __sync_fetch_and_add(&d->packets, packets_in(skb));
	if (before < drop_threshold && d->packets >= drop_threshold)
		tell(skb, ct, reply, &own, DROPPED, 0, d->packets);
	return 0;
}
