/* SPDX-License-Identifier: GPL-2.0 */
/* Looks at packets on their way in by a port, and out of one, when nothing about them
 * is undecided any more, and at those that netfilter drops. It changes nothing. */
#include "connection.h"
#include "entering.h"

char gpl[] SEC("license") = "GPL";

/* Keeps the type's description in the object. */
const struct report *report_type __attribute__((unused));

static __always_inline void tag_of(struct report *r, const struct sk_buff *skb, const __u8 *frame)
{
	__u16 words[2];

	if (beside(skb, &r->vlan_proto, &r->vlan_tci) || bpf_probe_read_kernel(words, sizeof(words), frame + 12))
		return;
	if (is_tag(bpf_ntohs(words[0]))) {
		r->vlan_proto = bpf_ntohs(words[0]);
		r->vlan_tci = bpf_ntohs(words[1]);
	}
}

static __always_inline int same(const void *a, const void *b, int words)
{
	const __u32 *x = a, *y = b;
	__u32 differ = 0;
	int i;

	for (i = 0; i < words; i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

/* headers_left compares the headers of a packet that leaves with what conntrack makes of
 * them: the other direction's tuple, turned round. */
static __always_inline void headers_left(struct report *r, const struct sk_buff *skb)
{
	const struct tuple *o = &r->other.tuple;
	struct headers h = {};

	if (!headers_of(&h, network(skb)))
		return;
	r->ttl = h.ttl;
	r->tos = h.tos;
	if (r->kind == LEFT)
		r->altered = h.tuple.sport != o->dport || h.tuple.dport != o->sport ||
			     !same(h.tuple.src, o->dst, 4) || !same(h.tuple.dst, o->src, 4);
}

/* tell sends word of a packet. Without room it says so by 0. */
static __always_inline int tell(const struct sk_buff *skb, const struct nf_conn *ct, int reply,
				const struct direction *own, __u8 kind, __u32 out, __u64 packets, const struct entry *came)
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
	r->in = skb->skb_iif;
	r->out = out;
	r->mark = skb->mark;
	if (ct) {
		direction_of(&r->other, ct, !reply);
		if (bpf_core_field_exists(ct->mark))
			r->ct_mark = BPF_CORE_READ(ct, mark);
		r->status = BPF_CORE_READ(ct, status);
	}
	r->kind = kind;
	headers_left(r, skb);
	if (came) {
		r->came = *came;
		r->paired = came->skb == (unsigned long)skb;
	}
	if (kind != DROPPED) {
		frame = skb->data;
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
	return skb->skb_iif && !skb->sk;
}

static __always_inline __u64 packets_in(const struct sk_buff *skb)
{
	const struct skb_shared_info *info = (void *)(skb->head + skb->end);
	__u16 segs = BPF_CORE_READ(info, gso_segs);

	return segs ? segs : 1;
}

/* alone fills d with the tuple of a packet that conntrack was told to leave alone. It
 * has no NAT, so it leaves with what it came with, unless the ruleset wrote into it:
 * only one that was seen coming in just so is one. Packets that conntrack calls invalid
 * are none of these: theirs is no ctinfo at all. */
static __always_inline int alone(struct direction *d, const struct sk_buff *skb)
{
	struct headers h = {};
	struct entry *e;

	if ((skb->_nfct & NFCT_INFOMASK) != IP_CT_UNTRACKED || !headers_of(&h, network(skb)))
		return 0;
	d->tuple = h.tuple;
	e = entry_of(&d->tuple);
	return e && e->skb == (unsigned long)skb;
}

static __always_inline void leaving(const struct sk_buff *skb, __u32 out)
{
	struct direction d = {};
	struct tally *t, fresh = {};
	struct entry *came;
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
	t = bpf_map_lookup_elem(&tallies, &d);
	if (!t) {
		bpf_map_update_elem(&tallies, &d, &fresh, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&tallies, &d);
		if (!t)
			return;
	}
	__sync_fetch_and_add(&t->packets, packets_in(skb));
	if (drop_threshold)
		t->at = bpf_ktime_get_ns();
	if (!t->wanted && (t->told || !threshold || t->packets < threshold))
		return;
	came = entry_of(&d.tuple);
	if (t->wanted > 1 && (!came || came->skb != (unsigned long)skb)) {
		looking = LOOK; /* one whose way in was seen says more */
		t->wanted--;
		return;
	}
	if (tell(skb, ct, reply, &d, ct ? LEFT : ALONE, out, t->packets, came)) {
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

SEC("tcx/ingress")
int port_enters(struct __sk_buff *ctx)
{
	const struct sk_buff *skb;
	__u16 proto = 0, tci = 0;

	if (!looking && !untracked)
		return TCX_NEXT;
	skb = bpf_cast_to_kern_ctx(ctx);
	beside(skb, &proto, &tci);
	came(skb, network(skb), ctx->ifindex, proto, tci);
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

/* And receptions (__netif_receive_skb_core), the data at what follows the Ethernet
 * header: a tag may still be there. */
SEC("tp_btf/netif_receive_skb")
int BPF_PROG(any_enters, const struct sk_buff *skb)
{
	const struct net_device *dev = skb->dev;
	const unsigned char *l3 = skb->data;
	__u32 in = dev->ifindex;
	__u16 proto = 0, tci = 0, words[2];

	if ((!looking && !untracked) || !bpf_map_lookup_elem(&ports, &in) || !ours(dev))
		return 0;
	if (is_tag(bpf_ntohs(skb->protocol))) {
		if (bpf_probe_read_kernel(words, sizeof(words), l3))
			return 0;
		proto = bpf_ntohs(skb->protocol);
		tci = bpf_ntohs(words[0]);
		l3 += 4;
	} else {
		beside(skb, &proto, &tci);
	}
	came(skb, l3, in, proto, tci);
	return 0;
}

/* The packet's way ended in netfilter. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(drop, const struct sk_buff *skb, void *location, enum skb_drop_reason reason)
{
	struct dropped *d, fresh = {};
	struct direction own = {};
	struct tally *t;
	const struct net_device *dev;
	struct nf_conn *ct;
	__u64 now, before;
	int reply;

	if (!drop_threshold || reason != bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NETFILTER_DROP))
		return 0;
	dev = skb->dev;
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
	/* A direction of which some pass, as by a rule with a limit, is not one that
	 * netfilter drops. */
	t = bpf_map_lookup_elem(&tallies, &own);
	if (now - d->since > DROP_WINDOW || (t && now - t->at < DROP_WINDOW)) {
		d->since = now;
		d->packets = 0;
	}
	before = __sync_fetch_and_add(&d->packets, packets_in(skb));
	if (before < drop_threshold && d->packets >= drop_threshold)
		tell(skb, ct, reply, &own, DROPPED, 0, d->packets, NULL);
	return 0;
}
