// SPDX-License-Identifier: GPL-2.0
/* What nfp's flower firmware takes and refuses (netronome/nfp/flower). */
#include <linux/tc_act/tc_csum.h>
#include <linux/in.h>

#include "simnic.h"

#define REFUSE(f, text) ({ NL_SET_ERR_MSG_MOD((f)->common.extack, "unsupported offload: " text); -EOPNOTSUPP; })

static int match(struct sn_port *port, struct flow_cls_offload *f)
{
	const u64 known = BIT_ULL(FLOW_DISSECTOR_KEY_META) | BIT_ULL(FLOW_DISSECTOR_KEY_CONTROL) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_BASIC) | BIT_ULL(FLOW_DISSECTOR_KEY_ETH_ADDRS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_VLAN) | BIT_ULL(FLOW_DISSECTOR_KEY_IPV4_ADDRS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_IPV6_ADDRS) | BIT_ULL(FLOW_DISSECTOR_KEY_PORTS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_TCP) | BIT_ULL(FLOW_DISSECTOR_KEY_IP);
	struct flow_match_basic b = {};

	if (!tc_can_offload_extack(rcu_dereference_protected(port->rep, 1), f->common.extack))
		return -EOPNOTSUPP;
	if (f->common.chain_index || f->common.protocol == htons(ETH_P_ALL))
		return -EOPNOTSUPP;
	if (f->rule->match.dissector->used_keys & ~known)
		return REFUSE(f, "match not supported");
	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_BASIC))
		flow_rule_match_basic(f->rule, &b);
	if ((flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_IPV4_ADDRS) || flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_IPV6_ADDRS) ||
	     flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_IP)) && (!b.mask || !b.mask->n_proto))
		return REFUSE(f, "match on L3 needs an ethertype");
	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_PORTS) && (!b.mask || !b.mask->ip_proto))
		return REFUSE(f, "match on L4 needs an ip_proto");
	return 0;
}

/* Which checksums the rewritten words need, in TCA_CSUM_UPDATE_FLAG terms. */
static u32 needs(const struct flow_action_entry *e, u8 proto)
{
	u32 l4 = proto == IPPROTO_TCP ? TCA_CSUM_UPDATE_FLAG_TCP :
		 proto == IPPROTO_UDP ? TCA_CSUM_UPDATE_FLAG_UDP : TCA_CSUM_UPDATE_FLAG_TCP | TCA_CSUM_UPDATE_FLAG_UDP;

	switch (e->mangle.htype) {
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		return TCA_CSUM_UPDATE_FLAG_IPV4HDR | (e->mangle.offset >= 12 ? l4 : 0);
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		return e->mangle.offset >= 8 ? l4 : 0;
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return l4;
	default:
		return 0;
	}
}

static int actions(struct sn_port *port, struct flow_cls_offload *f)
{
	const struct flow_action_entry *e;
	u32 need = 0, have = 0;
	u8 proto = 0;
	int i;

	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_BASIC)) {
		struct flow_match_basic b;

		flow_rule_match_basic(f->rule, &b);
		proto = b.key->ip_proto & b.mask->ip_proto;
	}
	flow_action_for_each(i, e, &f->rule->action) {
		switch (e->id) {
		case FLOW_ACTION_DROP:
		case FLOW_ACTION_REDIRECT:
		case FLOW_ACTION_MIRRED:
		case FLOW_ACTION_VLAN_POP:
		case FLOW_ACTION_VLAN_PUSH:
			break;
		case FLOW_ACTION_MANGLE:
			need |= needs(e, proto);
			break;
		case FLOW_ACTION_CSUM:
			have |= e->csum_flags;
			break;
		default:
			return REFUSE(f, "unsupported action in action list");
		}
	}
	if (need & ~have)
		return REFUSE(f, "set actions without updating checksums are not supported");
	if (have & ~need)
		return REFUSE(f, "unsupported csum update action in action list");
	return 0;
}

/* The ingress port of a META match and TCP flags but FIN, SYN and RST (PSH and
 * URG beside one of these) are not programmed. */
static void bend(struct sn_port *port, struct sn_rule *rule, struct sn_key *mask)
{
	mask->tcp_flags &= htons(0x07);
}

static int target(struct sn_port *port, struct net_device *dev, struct sn_port **to, struct netlink_ext_ack *extack)
{
	if (!dev || !sn_is_rep(dev)) {
		NL_SET_ERR_MSG_MOD(extack, "unsupported offload: egress interface is not an nfp port");
		return -EOPNOTSUPP;
	}
	if (sn_port_of(dev)->card != port->card) {
		NL_SET_ERR_MSG_MOD(extack, "unsupported offload: ingress and egress interfaces are on different devices");
		return -EOPNOTSUPP;
	}
	*to = sn_port_of(dev);
	return 0;
}

static int set_features(struct sn_port *port)
{
	if (!port->rules)
		return 0;
	netdev_err(rcu_dereference_protected(port->rep, 1), "Cannot disable HW TC offload while offloads active\n");
	return -EBUSY;
}

const struct sn_profile sn_profile_nfp = {
	.name = "nfp",
	.mode = DEVLINK_ESWITCH_MODE_SWITCHDEV,
	.unlocked = true,
	.flat = true,
	.any_vlan = true,
	.reps_always = true,
	.max_masks = 255,
	.full = "invalid entry: cannot allocate new stats context",
	.masks_full = "invalid entry: cannot allocate a new mask id",
	.match = match,
	.actions = actions,
	.bend = bend,
	.target = target,
	.set_features = set_features,
};
