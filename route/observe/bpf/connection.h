/* SPDX-License-Identifier: GPL-2.0 */
/* The connection that a packet belongs to. */
#pragma once

#include "packet.h"

static __always_inline struct nf_conn *conn_of(const struct sk_buff *skb, int *reply)
{
	unsigned long nfct = skb->_nfct;

	*reply = (nfct & NFCT_INFOMASK) >= IP_CT_IS_REPLY;
	return (void *)(nfct & ~NFCT_INFOMASK); /* NULL for untracked packets */
}

/* NB: flags and dir as in struct nf_conntrack_zone; without CONFIG_NF_CONNTRACK_ZONES
 * every connection is in zone 0. */
static __always_inline __u32 zone_of(const struct nf_conn *ct, int dir)
{
	if (!bpf_core_field_exists(ct->zone))
		return 0;
	if (!(BPF_CORE_READ(ct, zone.dir) & (1 << dir)))
		return 0;
	return BPF_CORE_READ(ct, zone.id);
}

static __always_inline void direction_of(struct direction *d, const struct nf_conn *ct, int reply)
{
	if (reply)
		BPF_CORE_READ_INTO(&d->tuple, ct, tuplehash[1].tuple);
	else
		BPF_CORE_READ_INTO(&d->tuple, ct, tuplehash[0].tuple);
	d->zone = zone_of(ct, reply);
}

static __always_inline int ours(const struct net_device *dev)
{
	return dev->nd_net.net->ns.inum == netns;
}
