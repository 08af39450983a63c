/* SPDX-License-Identifier: GPL-2.0 */
/* A packet on its way in, before anything is decided about it. What leaves is held
 * against it: the port and tag that it came by, its TTL and its TOS. */
#pragma once

#include "packet.h"

/* came notes a packet of a direction that is asked about; where untracked packets are
 * looked at, of any, since nobody else tells them apart. */
static __always_inline void came(const struct sk_buff *skb, const unsigned char *l3, __u32 in, __u16 proto, __u16 tci)
{
	struct entry *e, fresh = {};
	struct headers h = {};

	if (!headers_of(&h, l3))
		return;
	e = bpf_map_lookup_elem(&entries, &h.tuple);
	if (!e) {
		if (!untracked)
			return;
		bpf_map_update_elem(&entries, &h.tuple, &fresh, BPF_NOEXIST);
		e = bpf_map_lookup_elem(&entries, &h.tuple);
		if (!e)
			return;
	}
	e->skb = (unsigned long)skb;
	e->at = bpf_ktime_get_ns();
	e->in = in;
	e->vlan_proto = proto;
	e->vlan_tci = tci;
	e->ttl = h.ttl;
	e->tos = h.tos;
}

/* entry_of is how packets of a direction came in last. */
static __always_inline struct entry *entry_of(const struct tuple *own)
{
	struct tuple key = *own;

	key.dir = 0;
	return bpf_map_lookup_elem(&entries, &key);
}
