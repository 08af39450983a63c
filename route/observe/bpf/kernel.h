/* SPDX-License-Identifier: GPL-2.0 */
/* The few members of kernel structures that the programs read. The loader
 * moves each access to where the running kernel has it (CO-RE). */
#pragma once

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#define CORE __attribute__((preserve_access_index))

struct ns_common {
	unsigned int inum;
} CORE;

struct net {
	struct ns_common ns;
} CORE;

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} CORE;

struct sock;

struct skb_shared_info {
	unsigned short gso_segs;
} CORE;

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _nfct;
	int skb_iif;
	__u32 mark;
	__u32 vlan_all;
	__u16 vlan_tci;
	__be16 vlan_proto;
	__be16 protocol;
	__u16 network_header;
	unsigned int end;
	unsigned char *head, *data;
} CORE;

/* Before 6.2 a tag beside the frame was told by a bit of its own. */
struct sk_buff___before_6_2 {
	__u8 vlan_present : 1;
} CORE;

/* struct nf_conntrack_tuple (include/net/netfilter/nf_conntrack_tuple.h): what
 * packets of one direction look like when they arrive. */
struct tuple {
	__u8 src[16];
	__be16 sport;
	__u16 l3num; /* AF_INET, AF_INET6 */
	__u8 dst[16];
	__be16 dport;
	__u8 protonum;
	__u8 dir; /* enum ip_conntrack_dir */
};

struct nf_conntrack_tuple_hash {
	struct tuple tuple;
} CORE;

struct nf_conntrack_zone {
	__u16 id;
	__u8 flags;
	__u8 dir;
} CORE;

struct nf_conn {
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	__u32 mark;
} CORE;

/* The low bits of skb->_nfct (include/linux/skbuff.h, enum ip_conntrack_info). */
#define NFCT_INFOMASK 7UL
#define IP_CT_IS_REPLY 3
#define IP_CT_UNTRACKED 7

/* enum tcx_action_base: on to the next program (include/uapi/linux/bpf.h, since 6.6). */
#define TCX_NEXT -1

enum skb_drop_reason {
	SKB_DROP_REASON_NETFILTER_DROP = 1,
};
