/* SPDX-License-Identifier: GPL-2.0 */
/* What is kept per direction of a connection, and what is told of it. */
#pragma once

#include "kernel.h"

/* Inode number of the network namespace that is watched. */
const volatile __u32 netns = 0;

/* Set while running. A direction is told of once when so many of its packets
 * have left; 0 tells of those alone that are asked for. */
volatile __u64 threshold = 0;
/* A direction is told of when netfilter has dropped so many of its packets within
 * DROP_WINDOW; 0 turns this off. */
volatile __u64 drop_threshold = 0;

/* Whether packets that conntrack was told to leave alone (notrack) are looked at. */
volatile __u32 untracked = 0;

/* For how many seconds more somebody is interested in how packets come in: set when a
 * packet leaves that is asked about and was not seen coming in, counted down outside. */
volatile __u32 looking = 0;

#define LOOK 120 /* seconds */

#define DROP_WINDOW 1000000000ULL /* ns */

struct direction {
	struct tuple tuple;
	__u32 zone;
};

struct tally {
	__u64 packets;
	__u64 at;     /* ns, when the last one left; kept while drops are looked at */
	__u32 wanted; /* a packet is to be told of: this one, or one of so many that was seen coming in */
	__u32 told;
};

/* How packets of a direction came in last. */
struct entry {
	__u64 skb; /* which one it was */
	__u64 at;  /* ns; 0 while none has come */
	__u32 in;  /* the port */
	__u16 vlan_tci;
	__u16 vlan_proto;
	__u8 ttl, tos;
	__u8 pad[6];
};

struct dropped {
	__u64 packets; /* within the window */
	__u64 since;   /* ns */
};

enum kind {
	LEFT = 1,    /* on its way out of a port */
	DROPPED = 2, /* by netfilter */
	ALONE = 3,   /* like LEFT, of no connection: own is all that there is */
};

/* What is told of one packet. */
struct report {
	__u64 at; /* ns, CLOCK_MONOTONIC */
	__u64 packets;
	struct direction own, other;
	__u32 in;  /* skb_iif: the L3 interface where it came in */
	__u32 out; /* the device that it leaves by */
	__u32 mark;
	__u32 ct_mark;
	__u32 status;    /* IPS_* */
	__u16 vlan_tci;
	__u16 vlan_proto; /* host order, 0 for no tag */
	__u8 eth_dst[6], eth_src[6];
	__u8 ttl, tos; /* as it leaves */
	__u8 kind;
	__u8 altered;  /* it leaves with other addresses or ports than conntrack's */
	__u8 paired;   /* came is of this very packet, not of one before it */
	__u8 pad[3];
	struct entry came;
};

/* Counts since the start. */
struct seen {
	__u64 packets; /* looked at: forwarded and tracked */
	__u64 told;
	__u64 lost; /* not told for want of room; the next packet tries again */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct direction);
	__type(value, struct tally);
	__uint(max_entries, 1 << 16);
} tallies SEC(".maps");

/* By the tuple as it arrives, with dir 0. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct tuple);
	__type(value, struct entry);
	__uint(max_entries, 1 << 16);
} entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct direction);
	__type(value, struct dropped);
	__uint(max_entries, 1 << 14);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1024);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct seen);
	__uint(max_entries, 1);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} reports SEC(".maps");

static __always_inline struct seen *seen(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counts, &zero);
}
