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

struct skb_shared_info {
	unsigned short gso_size;
} CORE;

struct sk_buff {
	struct net_device *dev;
	__u8 ip_summed : 2;
	__u32 vlan_all;
	__u16 vlan_tci;
	__be16 vlan_proto;
	unsigned int end;
	unsigned char *head;
} CORE;

/* Before 6.2 a tag beside the frame was told by a bit of its own. */
struct sk_buff___before_6_2 {
	__u8 vlan_present : 1;
} CORE;

/* skb->ip_summed: the L4 checksum is still to be made (include/linux/skbuff.h). */
#define CHECKSUM_PARTIAL 3
