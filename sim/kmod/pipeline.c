// SPDX-License-Identifier: GPL-2.0
/* A frame's way through the card: look, match, rewrite, count, send. */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/icmp.h>
#include <net/dsfield.h>
#include <net/ipv6.h>

#include "simnic.h"

static bool is_tag(__be16 proto) { return proto == htons(ETH_P_8021Q) || proto == htons(ETH_P_8021AD); }

/* Bytes of the frame, or NULL when it ends before. Frames are linear. */
static const void *at(const struct sk_buff *skb, int off, int len)
{
	return off + len <= (int)skb->len ? skb->data + off : NULL;
}

static void parse_l4(const struct sk_buff *skb, struct sn_frame *f, int off)
{
	const struct tcphdr *th;
	const struct udphdr *uh;
	const struct icmphdr *ih;

	switch (f->key.ip_proto) {
	case IPPROTO_TCP:
		th = at(skb, off, sizeof(*th));
		if (!th)
			return;
		f->key.sport = th->source;
		f->key.dport = th->dest;
		f->key.tcp_flags = *(__be16 *)((u8 *)th + 12) & htons(0x0fff);
		break;
	case IPPROTO_UDP:
		uh = at(skb, off, sizeof(*uh));
		if (!uh)
			return;
		f->key.sport = uh->source;
		f->key.dport = uh->dest;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		ih = at(skb, off, sizeof(*ih));
		if (!ih)
			return;
		f->key.icmp[0] = ih->type;
		f->key.icmp[1] = ih->code;
		break;
	default:
		return;
	}
	f->l4 = off;
}

static void parse_ipv4(const struct sk_buff *skb, struct sn_frame *f, int off)
{
	const struct iphdr *ih = at(skb, off, sizeof(*ih));

	if (!ih || ih->version != 4 || ih->ihl < 5 || !at(skb, off, ih->ihl * 4))
		return;
	f->l3 = off;
	f->key.proto = htons(ETH_P_IP);
	f->key.ip_proto = ih->protocol;
	f->key.tos = ih->tos;
	f->key.ttl = ih->ttl;
	memcpy(f->key.ip_src, &ih->saddr, 4);
	memcpy(f->key.ip_dst, &ih->daddr, 4);
	if (ih->frag_off & htons(0x3fff)) {
		f->key.frag = FLOW_DIS_IS_FRAGMENT;
		if (!(ih->frag_off & htons(0x1fff)))
			f->key.frag |= FLOW_DIS_FIRST_FRAG;
	}
	if (!(ih->frag_off & htons(0x1fff))) /* later fragments have no ports */
		parse_l4(skb, f, off + ih->ihl * 4);
}

/* Behind an extension header nothing is looked at. */
static void parse_ipv6(const struct sk_buff *skb, struct sn_frame *f, int off)
{
	const struct ipv6hdr *ih = at(skb, off, sizeof(*ih));

	if (!ih || ih->version != 6)
		return;
	f->l3 = off;
	f->key.proto = htons(ETH_P_IPV6);
	f->key.ip_proto = ih->nexthdr;
	f->key.tos = ipv6_get_dsfield(ih);
	f->key.ttl = ih->hop_limit;
	memcpy(f->key.ip_src, &ih->saddr, 16);
	memcpy(f->key.ip_dst, &ih->daddr, 16);
	if (ih->nexthdr == IPPROTO_FRAGMENT) {
		const struct frag_hdr *fh = at(skb, off + sizeof(*ih), sizeof(*fh));

		f->key.frag = FLOW_DIS_IS_FRAGMENT;
		if (fh && !(fh->frag_off & htons(0xfff8)))
			f->key.frag |= FLOW_DIS_FIRST_FRAG;
		return;
	}
	parse_l4(skb, f, off + sizeof(*ih));
}

void sn_parse(const struct sk_buff *skb, struct sn_frame *f)
{
	const struct ethhdr *eh = at(skb, 0, sizeof(*eh));
	int off = ETH_HLEN;
	__be16 proto;
	int tags;

	memset(f, 0, sizeof(*f));
	f->l3 = f->l4 = -1;
	if (!eh)
		return;
	ether_addr_copy(f->key.dst, eh->h_dest);
	ether_addr_copy(f->key.src, eh->h_source);
	proto = eh->h_proto;
	for (tags = 0; tags < 2 && is_tag(proto); tags++) {
		const struct vlan_hdr *vh = at(skb, off, sizeof(*vh));

		if (!vh)
			break;
		if (!tags) {
			f->key.tpid = proto;
			f->key.tci = ntohs(vh->h_vlan_TCI);
		} else {
			f->key.ctpid = proto;
			f->key.ctci = ntohs(vh->h_vlan_TCI);
		}
		proto = vh->h_vlan_encapsulated_proto;
		off += VLAN_HLEN;
	}
	if (proto == htons(ETH_P_IP))
		parse_ipv4(skb, f, off);
	else if (proto == htons(ETH_P_IPV6))
		parse_ipv6(skb, f, off);
	else
		f->key.proto = proto;
	/* An IP frame whose header is broken has no proto: no rule is about it. */
}

static void to_kernel(struct sn_port *port, struct sk_buff *skb)
{
	struct net_device *rep = rcu_dereference(port->rep);

	if (rep)
		sn_deliver(rep, skb);
	else
		kfree_skb(skb);
}

/* A copy of the frame leaves by a port's far end. */
static void mirror(struct sn_port *to, struct sk_buff *skb)
{
	struct net_device *far = rcu_dereference(to->far);
	struct sk_buff *copy = far ? skb_copy(skb, GFP_ATOMIC) : NULL;

	if (copy)
		sn_deliver(far, copy);
}

/* Runs a rule's actions; the frame is consumed. */
static void act(struct sn_port *port, struct sn_rule *rule, struct sn_frame *f, struct sk_buff *skb)
{
	unsigned int i;

	for (i = 0; i < rule->n_acts; i++) {
		const struct sn_act *a = &rule->acts[i];
		struct net_device *far;

		switch (a->op) {
		case SN_DROP:
			atomic64_inc(&port->drop);
			kfree_skb(skb);
			return;
		case SN_TRAP:
			atomic64_inc(&port->trap);
			to_kernel(port, skb);
			return;
		case SN_MIRROR:
			mirror(a->to, skb);
			continue;
		case SN_REDIRECT:
			far = rcu_dereference(a->to->far);
			atomic64_inc(far ? &port->hit : &port->drop);
			if (far)
				sn_deliver(far, skb);
			else
				kfree_skb(skb);
			return;
		}
		if (sn_rewrite(skb, f, a)) {
			atomic64_inc(&port->drop);
			kfree_skb(skb);
			return;
		}
	}
	atomic64_inc(&port->trap);
	to_kernel(port, skb);
}

/* In legacy mode a function talks through the card's plain L2 switch. */
static void legacy(struct sn_port *port, struct sk_buff *skb)
{
	struct sn_card *card = port->card;
	const u8 *dst = skb->data;
	struct net_device *dev;
	unsigned int i;

	for (i = 0; i < card->n_ports; i++) {
		struct sn_port *p = &card->ports[i];

		dev = p == port ? NULL : p->kind == SN_UPLINK ? rcu_dereference(p->rep) : rcu_dereference(p->far);
		if (dev && ether_addr_equal(dev->dev_addr, dst)) {
			sn_deliver(dev, skb);
			return;
		}
	}
	if (port->kind == SN_UPLINK) {
		to_kernel(port, skb);
		return;
	}
	dev = rcu_dereference(card->ports[0].far);
	if (dev)
		sn_deliver(dev, skb);
	else
		kfree_skb(skb);
}

static void miss(struct sn_port *port, struct sk_buff *skb)
{
	atomic64_inc(&port->miss);
	if (port->card->mode == DEVLINK_ESWITCH_MODE_LEGACY && !port->card->profile->reps_always)
		legacy(port, skb);
	else
		to_kernel(port, skb);
}

/* A far end has sent a frame. The netdev core calls this under rcu_read_lock. */
void sn_pipeline(struct sn_port *port, struct sk_buff *skb)
{
	struct sn_card *card = port->card;
	struct sn_rule *rule;
	struct sn_frame f;

	atomic64_inc(&port->rx);
	if (skb_linearize(skb)) {
		kfree_skb(skb);
		return;
	}
	if (!card->used) {
		miss(port, skb);
		return;
	}
	sn_parse(skb, &f);
	read_lock_bh(&card->lock);
	rule = sn_table_match(port, &f.key);
	if (rule) {
		atomic64_inc(&rule->packets);
		atomic64_add(skb->len, &rule->bytes);
		rule->lastused = get_jiffies_64();
		act(port, rule, &f, skb);
	}
	read_unlock_bh(&card->lock);
	if (!rule)
		miss(port, skb);
}
