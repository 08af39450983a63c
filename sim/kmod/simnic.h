/* SPDX-License-Identifier: GPL-2.0 */
/*
 * simnic: a switchdev NIC without hardware.
 *
 * A card (struct sn_card) is one PCI function's worth: one devlink instance, one
 * eswitch, one bounded table of rules. Each port (struct sn_port) has two
 * netdevs: the one that the router's kernel sees (uplink or representor, "rep")
 * and the far end, which is what hangs behind the port: the other end of the
 * cable, or the VF's own interface. A frame that a far end sends goes through the
 * table; what misses goes up through the rep, and what the kernel sends by a rep
 * goes to its far end.
 */
#ifndef SIMNIC_H
#define SIMNIC_H

#include <linux/device.h>
#include <linux/etherdevice.h>
#include <linux/if_ether.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/workqueue.h>
#include <net/devlink.h>
#include <net/flow_offload.h>
#include <net/pkt_cls.h>

#include "compat.h"

#define SN_MAX_UPLINKS 4
#define SN_MAX_FUNCTIONS 64
#define SN_MAX_ACTS 28 /* IPv6 with both sides translated and tags on both sides is 20 */
#define SN_DEFAULT_RULES 65536

enum sn_kind { SN_UPLINK, SN_VF, SN_SF };

struct sn_card;
struct sn_port;

/* The private part of every netdev of ours. */
struct sn_end {
	struct sn_port *port;
	bool far;
	atomic64_t rx_packets, rx_bytes, tx_packets, tx_bytes, dropped;
};

/* A port keeps its place (its vport number) when its VF is unplugged: rules that
 * point to it go on doing so, as they do on mlx5. */
struct sn_port {
	struct sn_card *card;
	enum sn_kind kind;
	unsigned int num; /* of its kind */
	struct devlink_port dl;
	bool dl_registered;
	struct net_device __rcu *rep; /* NULL in legacy mode (functions), or unplugged */
	struct net_device __rcu *far; /* NULL when unplugged */
	bool flapped;                 /* carrier held down by debugfs */
	struct delayed_work unflap;
	struct list_head groups; /* struct sn_group by prio; under card->lock */
	unsigned int rules;      /* installed here; under card->mutex */
	/* what became of frames from the far end, and what the kernel sent to it */
	atomic64_t rx, hit, drop, trap, miss, tx;
};

/* What a frame looks like, and with a mask, what a rule compares. No padding:
 * it is compared and hashed as bytes. All in network order unless noted. */
struct sn_key {
	u8 dst[ETH_ALEN], src[ETH_ALEN];
	__be16 tpid, ctpid; /* of the outer and the inner tag, 0 without */
	u16 tci, ctci;      /* host order; PCP and VID */
	__be16 proto;       /* ethertype behind all tags */
	u8 ip_proto, tos, ttl;
	u8 frag;     /* FLOW_DIS_IS_FRAGMENT, FLOW_DIS_FIRST_FRAG */
	u8 icmp[2];  /* type and code */
	__be16 sport, dport;
	__be16 tcp_flags; /* low 12 bits of the word at offset 12 */
	u8 ip_src[16], ip_dst[16];
	u8 zero[4];
} __packed __aligned(4);

/* Rules of one port with one mask and one prio. */
struct sn_group {
	struct list_head list;
	u32 prio;
	unsigned int id; /* part of the hash */
	unsigned int users;
	struct sn_key mask;
};

enum sn_op {
	SN_SET,  /* word = (word & mask) ^ val */
	SN_ADD,  /* word = (word & mask) ^ ((word + val) & ~mask) */
	SN_POP,  /* outer tag */
	SN_PUSH, /* tag tpid, tci */
	SN_RETAG, /* VID of the outer tag; its PCP stays */
	SN_MIRROR,
	SN_REDIRECT,
	SN_DROP,
	SN_TRAP, /* to the kernel */
};

struct sn_act {
	u8 op;
	u8 htype; /* enum flow_action_mangle_base */
	__be16 tpid;
	u16 off, tci;
	u32 mask, val; /* as they lie in memory */
	struct sn_port *to;
};

struct sn_rule {
	struct hlist_node by_key, by_tc; /* under card->lock */
	struct rcu_head rcu;
	struct sn_port *port;
	struct sn_group *group;
	unsigned long tc; /* tc's name for the filter */
	u8 cookie[16];    /* user space's, of the last action */
	u8 cookie_len;
	bool in_hw; /* false once the hardware has lost it */
	u32 prio;   /* tc's */
	struct sn_key key;
	atomic64_t packets, bytes;
	u64 lastused;                        /* jiffies */
	u64 cached_packets, cached_bytes;    /* what the last reading found */
	u64 told_packets, told_bytes;        /* what tc was told */
	unsigned int n_acts;
	struct sn_act acts[];
};

/* A make of card: what it takes, refuses and how it says so. */
struct sn_profile {
	const char *name;
	u16 mode;               /* at the start */
	bool tc_off;            /* hw-tc-offload is off at the start (ice) */
	bool unlocked;          /* its callback needs no RTNL */
	bool no_stats;          /* FLOW_CLS_STATS is answered -EINVAL (ice) */
	bool flat;              /* prio has no effect in hardware */
	bool any_vlan;          /* a rule without VLAN keys matches tagged frames too */
	bool reps_always;       /* representors exist in every mode, the mode is fixed (nfp) */
	bool no_offload;        /* no flower at all (bnxt is only there to be recognised) */
	unsigned int counter_ms;
	unsigned int max_masks; /* 0: no bound */
	const char *full, *masks_full;
	int (*set_features)(struct sn_port *port);
	int (*mode_set)(struct sn_card *card, struct netlink_ext_ack *extack);
	/* Both look at the rule as tc gives it; 0 or -errno with extack. */
	int (*match)(struct sn_port *port, struct flow_cls_offload *f);
	int (*actions)(struct sn_port *port, struct flow_cls_offload *f);
	/* May change what was parsed: keys that the card ignores, a last action
	 * that wins, another way out. */
	void (*bend)(struct sn_port *port, struct sn_rule *rule, struct sn_key *mask);
	/* Redirect from port to a netdev; gives the port by which it leaves. */
	int (*target)(struct sn_port *port, struct net_device *dev, struct sn_port **to,
		      struct netlink_ext_ack *extack);
};

struct sn_faults {
	u32 counter_ms;
	u32 insert_us;
	u32 refuse_nth;
	bool full, freeze;
};

struct sn_options {
	unsigned int id, uplinks, vfs, sfs, rules;
	u64 serial;
	u16 mode;
	const struct sn_profile *profile;
};

struct sn_card {
	struct device dev;
	struct list_head list; /* under sn_cards_lock */
	struct sn_options opt;
	const struct sn_profile *profile;
	struct devlink *devlink;
	struct devlink_health_reporter *reporter;
	u16 mode;
	unsigned int n_ports;
	struct sn_port *ports;

	struct mutex mutex; /* who changes the table, one at a time */
	/* Readers are frames. A rule that was taken out under the write lock can
	 * forward no further frame, so a removal needs no grace period. */
	rwlock_t lock;
	struct hlist_head *by_key, *by_tc;
	unsigned int bits; /* of both hashes */
	unsigned int used; /* rules in hardware */
	unsigned int filters; /* rules that tc thinks are here */
	unsigned int next_group, inserts;
	struct sn_faults faults;
	struct delayed_work count;
	struct dentry *debugfs;
};

#define to_card(d) container_of(d, struct sn_card, dev)

/* bus.c */
extern struct mutex sn_cards_lock;
extern struct list_head sn_cards;
extern struct bus_type sn_bus;

/* card.c */
int sn_card_create(const struct sn_options *opt, struct net *net);
void sn_card_destroy(struct sn_card *card);
int sn_ports_up(struct sn_card *card); /* devlink lock held */
void sn_ports_down(struct sn_card *card);
int sn_port_plug(struct sn_port *port);
void sn_port_unplug(struct sn_port *port);
bool sn_wants_rep(const struct sn_port *port);

/* devlink.c */
extern const struct devlink_ops sn_devlink_ops;
extern const struct devlink_health_reporter_ops sn_reporter_ops;
void sn_dl_attrs(struct sn_port *port);
struct sn_card *sn_of_devlink(struct devlink *devlink);

/* netdev.c */
struct net_device *sn_netdev_add(struct sn_port *port, bool far);
void sn_netdev_del(struct net_device *dev);
bool sn_is_rep(const struct net_device *dev);
struct sn_port *sn_port_of(const struct net_device *dev);
void sn_carrier(struct sn_port *port);
void sn_deliver(struct net_device *dev, struct sk_buff *skb);

/* pipeline.c */
void sn_pipeline(struct sn_port *port, struct sk_buff *skb);
struct sn_frame {
	struct sn_key key;
	int l3, l4; /* offsets, -1 without */
};
void sn_parse(const struct sk_buff *skb, struct sn_frame *f);

/* rewrite.c */
int sn_rewrite(struct sk_buff *skb, struct sn_frame *f, const struct sn_act *a);

/* table.c */
int sn_table_init(struct sn_card *card);
void sn_table_free(struct sn_card *card);
int sn_table_insert(struct sn_card *card, struct sn_rule *rule, const struct sn_key *mask,
		    struct netlink_ext_ack *extack);
struct sn_rule *sn_table_remove(struct sn_card *card, unsigned long tc);
struct sn_rule *sn_table_by_tc(struct sn_card *card, unsigned long tc);
struct sn_rule *sn_table_match(struct sn_port *port, const struct sn_key *key);
unsigned int sn_table_forget(struct sn_card *card, unsigned int n);
void sn_table_part(struct sn_card *card, const struct sn_card *gone);
void sn_table_count(struct sn_card *card);

/* flower.c */
int sn_setup_tc(struct net_device *dev, enum tc_setup_type type, void *data);

/* match.c, action.c */
int sn_match_parse(struct sn_port *port, struct flow_cls_offload *f, struct sn_key *key, struct sn_key *mask);
int sn_action_parse(struct sn_port *port, struct flow_cls_offload *f, struct sn_rule *rule);

/* profile*.c */
extern const struct sn_profile sn_profile_flower, sn_profile_mlx5, sn_profile_ice, sn_profile_nfp, sn_profile_bnxt;
const struct sn_profile *sn_profile_by_name(const char *name, size_t len);
int sn_own_target(struct sn_port *port, struct net_device *dev, struct sn_port **to, struct netlink_ext_ack *extack);

/* debugfs.c */
void sn_debugfs_init(void);
void sn_debugfs_exit(void);
void sn_debugfs_card(struct sn_card *card);

#endif
