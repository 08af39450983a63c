// SPDX-License-Identifier: GPL-2.0
/* What ice takes, refuses and silently widens (intel/ice/ice_tc_lib.c). */
#include "simnic.h"

#define REFUSE(f, err, text) ({ NL_SET_ERR_MSG_MOD((f)->common.extack, text); err; })

static int match(struct sn_port *port, struct flow_cls_offload *f)
{
	const u64 known = BIT_ULL(FLOW_DISSECTOR_KEY_CONTROL) | BIT_ULL(FLOW_DISSECTOR_KEY_BASIC) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_ETH_ADDRS) | BIT_ULL(FLOW_DISSECTOR_KEY_VLAN) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_IPV4_ADDRS) | BIT_ULL(FLOW_DISSECTOR_KEY_IPV6_ADDRS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_PORTS) | BIT_ULL(FLOW_DISSECTOR_KEY_IP);
	struct net_device *dev = rcu_dereference_protected(port->rep, 1);
	struct flow_match_control c;

	if (!dev || !(dev->features & NETIF_F_HW_TC))
		return REFUSE(f, -EOPNOTSUPP, "can't apply TC flower filters, turn ON hw-tc-offload and try again");
	if (f->common.chain_index && port->kind == SN_UPLINK)
		return -EOPNOTSUPP;
	if (f->rule->match.dissector->used_keys & ~known)
		return REFUSE(f, -EOPNOTSUPP, "Unsupported key used");
	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_CONTROL)) {
		flow_rule_match_control(f->rule, &c);
		if (c.mask->flags)
			return REFUSE(f, -EOPNOTSUPP, "Unsupported key used");
	}
	return 0;
}

static int actions(struct sn_port *port, struct flow_cls_offload *f)
{
	const struct flow_action_entry *e;
	int i;

	if (port->card->mode != DEVLINK_ESWITCH_MODE_SWITCHDEV)
		return REFUSE(f, -EOPNOTSUPP, "Unsupported TC action");
	flow_action_for_each(i, e, &f->rule->action)
		if (e->id != FLOW_ACTION_DROP && e->id != FLOW_ACTION_REDIRECT && e->id != FLOW_ACTION_MIRRED)
			return REFUSE(f, -EINVAL, "Unsupported action in switchdev mode");
	return 0;
}

/* Any PF of any ice counts as uplink, and the frame then leaves by the own port. */
static int target(struct sn_port *port, struct net_device *dev, struct sn_port **to, struct netlink_ext_ack *extack)
{
	struct sn_port *out = dev && sn_is_rep(dev) ? sn_port_of(dev) : NULL;

	if (out && out->kind == SN_UPLINK && port->kind != SN_UPLINK && out->card->profile == port->card->profile) {
		*to = &port->card->ports[0];
		return 0;
	}
	if (out && out->kind != SN_UPLINK && out->card == port->card) {
		*to = out;
		return 0;
	}
	NL_SET_ERR_MSG_MOD(extack, "Unsupported netdevice in switchdev mode");
	return -EINVAL;
}

static void ignore_zero(void *mask, const void *key, size_t n)
{
	if (!memchr_inv(key, 0, n))
		memset(mask, 0, n);
}

/* Keys of value zero are wildcards, ip_proto alone is not compared, and of several
 * actions the last one is had. */
static void bend(struct sn_port *port, struct sn_rule *rule, struct sn_key *mask)
{
	ignore_zero(mask->dst, rule->key.dst, ETH_ALEN);
	ignore_zero(mask->src, rule->key.src, ETH_ALEN);
	ignore_zero(mask->ip_src, rule->key.ip_src, 16);
	ignore_zero(mask->ip_dst, rule->key.ip_dst, 16);
	ignore_zero(&mask->sport, &rule->key.sport, 2);
	ignore_zero(&mask->dport, &rule->key.dport, 2);
	if (!mask->sport && !mask->dport)
		mask->ip_proto = 0;
	if (rule->n_acts > 1) {
		rule->acts[0] = rule->acts[rule->n_acts - 1];
		rule->n_acts = 1;
	}
	if (rule->n_acts && rule->acts[0].op == SN_MIRROR)
		rule->acts[0].op = SN_REDIRECT;
}

static int mode_set(struct sn_card *card, struct netlink_ext_ack *extack)
{
	if (card->opt.vfs) {
		NL_SET_ERR_MSG_MOD(extack, "Changing eswitch mode is allowed only if there is no VFs created");
		return -EOPNOTSUPP;
	}
	return 0;
}

const struct sn_profile sn_profile_ice = {
	.name = "ice",
	.mode = DEVLINK_ESWITCH_MODE_LEGACY,
	.tc_off = true,
	.no_stats = true,
	.flat = true,
	.any_vlan = true,
	.max_masks = 8, /* recipes: a 5-tuple takes 3 to 6 of the 64 that all functions share */
	.full = "Unable to add filter due to error",
	.masks_full = "Unable to add filter due to error",
	.match = match,
	.actions = actions,
	.bend = bend,
	.target = target,
	.mode_set = mode_set,
};
