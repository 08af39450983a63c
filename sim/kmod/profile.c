// SPDX-License-Identifier: GPL-2.0
/* The makes of card that do not need a file of their own. "flower" takes what any
 * card takes, exactly as tc says it; "bnxt" is there to be recognised. */
#include "simnic.h"

static int flower_match(struct sn_port *port, struct flow_cls_offload *f)
{
	const u64 known = BIT_ULL(FLOW_DISSECTOR_KEY_META) | BIT_ULL(FLOW_DISSECTOR_KEY_CONTROL) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_BASIC) | BIT_ULL(FLOW_DISSECTOR_KEY_ETH_ADDRS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_VLAN) | BIT_ULL(FLOW_DISSECTOR_KEY_CVLAN) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_IPV4_ADDRS) | BIT_ULL(FLOW_DISSECTOR_KEY_IPV6_ADDRS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_PORTS) | BIT_ULL(FLOW_DISSECTOR_KEY_TCP) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_IP) | BIT_ULL(FLOW_DISSECTOR_KEY_ICMP);

	if (f->rule->match.dissector->used_keys & ~known) {
		NL_SET_ERR_MSG_MOD(f->common.extack, "Unsupported key");
		return -EOPNOTSUPP;
	}
	if (f->common.chain_index) {
		NL_SET_ERR_MSG_MOD(f->common.extack, "Only chain 0 is supported");
		return -EOPNOTSUPP;
	}
	if (!tc_can_offload_extack(rcu_dereference_protected(port->rep, 1), f->common.extack))
		return -EOPNOTSUPP;
	return 0;
}

static int flower_actions(struct sn_port *port, struct flow_cls_offload *f) { return 0; }

/* Any port of the same card, the one it came from included. */
int sn_own_target(struct sn_port *port, struct net_device *dev, struct sn_port **to, struct netlink_ext_ack *extack)
{
	if (!dev || !sn_is_rep(dev) || sn_port_of(dev)->card != port->card) {
		NL_SET_ERR_MSG_MOD(extack, "devices are not on same switch HW, can't offload forwarding");
		return -EOPNOTSUPP;
	}
	*to = sn_port_of(dev);
	return 0;
}

const struct sn_profile sn_profile_flower = {
	.name = "flower",
	.mode = DEVLINK_ESWITCH_MODE_SWITCHDEV,
	.unlocked = true,
	.full = "table is full",
	.match = flower_match,
	.actions = flower_actions,
	.target = sn_own_target,
};

const struct sn_profile sn_profile_bnxt = {
	.name = "bnxt",
	.mode = DEVLINK_ESWITCH_MODE_SWITCHDEV,
	.no_offload = true,
};

const struct sn_profile *sn_profile_by_name(const char *name, size_t len)
{
	static const struct sn_profile *const all[] = { &sn_profile_flower, &sn_profile_mlx5, &sn_profile_ice,
							&sn_profile_nfp, &sn_profile_bnxt };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (strlen(all[i]->name) == len && !memcmp(all[i]->name, name, len))
			return all[i];
	return NULL;
}
