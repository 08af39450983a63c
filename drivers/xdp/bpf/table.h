/* SPDX-License-Identifier: GPL-2.0 */
/* The table as user space fills it. Numbers are in host order unless a name
 * says be. Every byte of a key takes part in the hash: padding is zero. */
#pragma once

#include "kernel.h"

#define MAX_PORTS 256 /* slots of the devmap; far above what one host has */

/* What a frame must be. IPv4 addresses take the first four bytes. */
struct rule_key {
	__u32 in_port; /* ifindex */
	__u8 eth_dst[6];
	__u16 vlan; /* id, 0 for untagged */
	__u8 src[16];
	__u8 dst[16];
	__be16 sport_be;
	__be16 dport_be;
	__u8 family; /* 4 or 6 */
	__u8 proto;
	__u16 zero;
};

/* Things to do, as bits of rule_value.flags. */
#define DO_ETH_SRC (1u << 0)
#define DO_ETH_DST (1u << 1)
#define DO_DEC_TTL (1u << 2)
#define DO_IP_SRC (1u << 3)
#define DO_IP_DST (1u << 4)
#define DO_L4_SRC (1u << 5)
#define DO_L4_DST (1u << 6)
#define DO_VLAN_POP (1u << 7)
#define DO_VLAN_PUSH (1u << 8)
#define DO_REDIRECT (1u << 9)
#define DO_DROP (1u << 10)
#define DO_TRAP (1u << 11)

#define DO_L4 (DO_IP_SRC | DO_IP_DST | DO_L4_SRC | DO_L4_DST)

/* What to do with it. It is written once, before its key can be found, and
 * never changed: user space waits a grace period before it uses one again. */
struct rule_value {
	__u8 cookie[16];
	__u32 fields;  /* hwif.Match.Fields, kept for listing */
	__u32 actions; /* hwif.Actions.Set, kept for listing */
	__u32 flags;   /* DO_ */
	__u32 slot;    /* of the rule's counters */
	__u32 out_port; /* ifindex, kept for listing */
	__u32 out_slot; /* of the egress port */
	__u32 pair;    /* of the connection's hold; both its rules have the same */
	__u8 src[16];
	__u8 dst[16];
	__be16 sport_be;
	__be16 dport_be;
	__u16 mtu;      /* largest L3 length that may leave */
	__u16 push;     /* VLAN id */
	__u16 ip_delta; /* RFC 1624: what to add to ~checksum of the IPv4 header, as it lies in memory */
	__u16 l4_delta; /* the same for TCP and UDP */
	__u8 eth_src[6];
	__u8 eth_dst[6];
	__u8 tcp_flags;
	__u8 tcp_mask;
	__u16 zero;
};

struct rule_count {
	__u64 packets;
	__u64 bytes; /* L3 */
};

/* What user space tells about a port. */
#define PORT_VETH (1u << 0)    /* native: the sk_buff stands behind the xdp_buff */
#define PORT_GENERIC (1u << 1) /* generic: a tracepoint tells about the sk_buff */

struct port {
	__u32 slot;
	__u32 flags;
};

/* What the program tells about frames that entered by a port, per CPU. */
struct port_seen {
	__u64 frames;     /* TCP and UDP frames whose headers were in order */
	__u64 unfinished; /* of those: L4 checksum not yet made */
	__u64 likely;     /* of unfinished: told by the checksum field alone, which can be chance */
	__u64 tagged;     /* tag beside the frame, where XDP could not have seen it */
	__u64 merged;     /* several packets merged into one by GRO */
	__u64 blind;      /* nothing was told about the frame's sk_buff */
};

/* What became of frames that were to leave by a port. */
struct egress {
	__u32 ifindex;
	__u32 blocked; /* set on a loss: frames go to the kernel until user space has looked */
	__u64 sent;
	__u64 lost;
	__s64 error; /* errno of the latest loss, negative; 0 for a full queue */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct rule_key);
	__type(value, struct rule_value);
	__uint(max_entries, 1); /* set by user space */
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct rule_count);
	__uint(max_entries, 1); /* set by user space */
} counts SEC(".maps");

/* Until when a connection's frames are the kernel's, by bpf_ktime_get_ns(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1); /* set by user space */
} holds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); /* ifindex */
	__type(value, struct port);
	__uint(max_entries, MAX_PORTS);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32); /* port slot */
	__type(value, struct port_seen);
	__uint(max_entries, MAX_PORTS);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32); /* port slot */
	__type(value, struct egress);
	__uint(max_entries, MAX_PORTS);
} egresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__type(key, __u32); /* port slot */
	__type(value, __u32); /* ifindex */
	__uint(max_entries, MAX_PORTS);
} outs SEC(".maps");
