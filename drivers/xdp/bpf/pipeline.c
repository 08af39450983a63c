/* SPDX-License-Identifier: GPL-2.0 */
/* One table of rules on ordinary interfaces: parse, look up, rewrite, redirect.
 * What is in doubt goes to the kernel as it came. */
#include "kernel.h"
#include "table.h"
#include "checksum.h"
#include "parse.h"
#include "ending.h"
#include "peek.h"
#include "rewrite.h"
#include "watch.h"

char gpl[] SEC("license") = "GPL";

/* trusted says whether the frame is one packet, whole and finished; it counts
 * what it finds. A tag beside the frame becomes part of p. */
static __always_inline int trusted(struct xdp_md *ctx, struct parsed *p, const struct port *port)
{
	struct port_seen *s = bpf_map_lookup_elem(&seen, &port->slot);
	struct word w = {};
	int likely;

	if (!s)
		return 0;
	s->frames++;
	if (!peek(&w, ctx, port)) {
		s->blind++;
		return 0;
	}
	if (w.merged) {
		s->merged++;
		return 0;
	}
	likely = p->l4_check == p->unfinished;
	if (w.unfinished || likely) {
		s->unfinished++;
		if (!w.unfinished)
			s->likely++;
		return 0;
	}
	if (w.tag_proto) {
		s->tagged++;
		/* In generic mode the tag would stay with the sk_buff. */
		if (p->key.vlan || w.tag_proto != ETH_P_8021Q || !(w.tci & VLAN_ID) || (port->flags & PORT_GENERIC))
			return 0;
		p->tci = w.tci;
		p->key.vlan = w.tci & VLAN_ID;
	}
	return 1;
}

/* Atomic, so that no CPU's frame is lost. Beside the look-ups it costs nothing
 * that can be measured, and it takes 16 bytes per rule where per-CPU counters
 * would take 16 per rule and CPU. */
static __always_inline void count(const struct parsed *p, const struct rule_value *r)
{
	struct rule_count *c = bpf_map_lookup_elem(&counts, &r->slot);

	if (!c)
		return;
	__sync_fetch_and_add(&c->packets, 1);
	__sync_fetch_and_add(&c->bytes, p->l3_len);
}

static __always_inline int forward(struct xdp_md *ctx, const struct parsed *p, const struct rule_value *r)
{
	struct egress *e = bpf_map_lookup_elem(&egresses, &r->out_slot);
	struct ethhdr *eth = (void *)(long)ctx->data;
	__u16 vlan = p->key.vlan;
	__u8 eth_src[6];
	int room, act;

	if (!e || e->blocked || p->l3_len > r->mtu)
		return XDP_PASS;
	if (r->flags & DO_VLAN_PUSH)
		vlan = r->push;
	else if (r->flags & DO_VLAN_POP)
		vlan = 0;
	else if (p->tci != vlan) /* the tag stays, and the kernel would clear its priority */
		return XDP_PASS;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	__builtin_memcpy(eth_src, eth->h_source, 6);
	/* Nothing is sent before the program returns. Without such a port the
	 * answer is XDP_PASS, and the frame is still as it came. */
	act = bpf_redirect_map(&outs, r->out_slot, XDP_PASS);
	if (act != XDP_REDIRECT)
		return XDP_PASS;
	room = (int)sizeof(*eth) + (vlan ? MAX_TAG : 0) - p->l2_len;
	if (!reshape(ctx, p, room))
		return XDP_PASS;
	/* It cannot fail: parse() has seen all these bytes. */
	if (!rewrite(ctx, p, r, eth_src, vlan))
		return XDP_ABORTED;
	count(p, r);
	return act;
}

SEC("xdp")
int shunt_pipeline(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct port *port = bpf_map_lookup_elem(&ports, &ifindex);
	struct parsed p = {};
	struct rule_value *r;

	if (!port)
		return XDP_PASS;
	if (!parse(&p, (void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_PASS;
	if (!trusted(ctx, &p, port))
		return XDP_PASS;
	p.key.in_port = ifindex;
	r = bpf_map_lookup_elem(&rules, &p.key);
	if (!r || p.ttl <= 1 || !middle(&p, r))
		return XDP_PASS;
	if (r->flags & DO_REDIRECT)
		return forward(ctx, &p, r);
	count(&p, r);
	return r->flags & DO_DROP ? XDP_DROP : XDP_PASS;
}

/* Which port the probe below sends to. */
volatile __u32 probe_slot = 0;

/* probe sends the frame that it is run with out of a port. */
SEC("xdp")
int probe(struct xdp_md *ctx)
{
	return bpf_redirect_map(&outs, probe_slot, XDP_DROP);
}
