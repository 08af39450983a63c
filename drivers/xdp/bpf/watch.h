/* SPDX-License-Identifier: GPL-2.0 */
/* A redirect that comes to nothing is told to no one but these tracepoints. The
 * first loss blocks the egress port: from then on its frames go to the kernel. */
#pragma once

#include "peek.h"

static __always_inline struct egress *egress_of(const struct net_device *dev)
{
	__u32 ifindex = dev->ifindex;
	struct port *port;

	if (dev->nd_net.net->ns.inum != netns)
		return NULL;
	port = bpf_map_lookup_elem(&ports, &ifindex);
	return port ? bpf_map_lookup_elem(&egresses, &port->slot) : NULL;
}

SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(watch_xmit, const struct net_device *from, const struct net_device *to, int sent, int drops, int err)
{
	struct egress *e = egress_of(to);

	if (!e)
		return 0;
	if (sent > 0)
		__sync_fetch_and_add(&e->sent, sent);
	if (drops > 0) {
		__sync_fetch_and_add(&e->lost, drops);
		e->error = err;
		if (err < 0) /* not a full queue, which is an ordinary loss */
			e->blocked = 1;
	}
	return 0;
}

#define EMSGSIZE 90 /* the port's MTU fell below that of the rule */
#define EOPNOTSUPP 95
#define ENETDOWN 100

/* index is the key in the devmap of the program on dev, hence a port slot. */
SEC("tp_btf/xdp_redirect_err")
int BPF_PROG(watch_redirect, const struct net_device *dev, const void *prog, const void *target, int err,
	     int map_type, __u32 map_id, __u32 index)
{
	struct egress *e;

	if (map_type != BPF_MAP_TYPE_DEVMAP || !egress_of(dev))
		return 0;
	e = bpf_map_lookup_elem(&egresses, &index);
	if (!e)
		return 0;
	__sync_fetch_and_add(&e->lost, 1);
	e->error = err;
	if (err == -ENETDOWN || err == -EOPNOTSUPP || err == -EMSGSIZE)
		e->blocked = 1;
	return 0;
}
