// SPDX-License-Identifier: GPL-2.0
/* What mlx5 takes and refuses, in its words (mlx5/core/en_tc.c and below it), on
 * a card whose firmware knows prios 1 to 16 and has no chains. */
#include <linux/if_vlan.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "simnic.h"

#define REFUSE(f, text) ({ NL_SET_ERR_MSG_MOD((f)->common.extack, text); -EOPNOTSUPP; })
#define LAST_PRIO 16
/* Words of the header that a rule may rewrite: max_modify_header_actions. IPv6
 * with one side translated takes 15 of tc's words. */
#define MAX_PEDIT 24

static bool legacy(const struct sn_port *port) { return port->card->mode == DEVLINK_ESWITCH_MODE_LEGACY; }

static int meta(struct sn_port *port, struct flow_cls_offload *f)
{
	struct net_device *dev = rcu_dereference_protected(port->rep, 1);
	struct flow_match_meta m;

	if (!flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_META))
		return 0;
	flow_rule_match_meta(f->rule, &m);
	if (m.mask->ingress_ifindex && m.mask->ingress_ifindex != 0xffffffff)
		return REFUSE(f, "Unsupported ingress ifindex mask");
	if (m.mask->ingress_ifindex && (!dev || m.key->ingress_ifindex != dev->ifindex))
		return REFUSE(f, "Can't match on the ingress filter port");
	return 0;
}

static int match(struct sn_port *port, struct flow_cls_offload *f)
{
	const u64 known = BIT_ULL(FLOW_DISSECTOR_KEY_META) | BIT_ULL(FLOW_DISSECTOR_KEY_CONTROL) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_BASIC) | BIT_ULL(FLOW_DISSECTOR_KEY_ETH_ADDRS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_VLAN) | BIT_ULL(FLOW_DISSECTOR_KEY_CVLAN) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_IPV4_ADDRS) | BIT_ULL(FLOW_DISSECTOR_KEY_IPV6_ADDRS) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_PORTS) | BIT_ULL(FLOW_DISSECTOR_KEY_TCP) |
			  BIT_ULL(FLOW_DISSECTOR_KEY_IP) | BIT_ULL(FLOW_DISSECTOR_KEY_ICMP);
	struct flow_match_control c;
	struct flow_match_basic b = {};
	u8 l4 = 0;

	if (!tc_can_offload_extack(rcu_dereference_protected(port->rep, 1), f->common.extack))
		return -EOPNOTSUPP;
	if (f->common.chain_index)
		return REFUSE(f, "Requested chain is out of supported range");
	if (!f->common.prio || f->common.prio > LAST_PRIO)
		return REFUSE(f, "Requested priority is out of supported range");
	if (f->rule->match.dissector->used_keys & ~known)
		return REFUSE(f, "Unsupported key");
	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_CONTROL)) {
		flow_rule_match_control(f->rule, &c);
		if (c.mask->flags & FLOW_DIS_FIRST_FRAG)
			return REFUSE(f, "Match on frag_flag first is not supported");
	}
	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_BASIC)) {
		flow_rule_match_basic(f->rule, &b);
		l4 = b.key->ip_proto & b.mask->ip_proto;
	}
	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_PORTS) && l4 != IPPROTO_TCP && l4 != IPPROTO_UDP)
		return REFUSE(f, "Only UDP and TCP transports are supported for L4 matching");
	return meta(port, f);
}

/* Is this word part of a header field that the card can rewrite? */
static bool rewritable(const struct flow_action_entry *e)
{
	u32 off = e->mangle.offset;

	switch (e->mangle.htype) {
	case FLOW_ACT_MANGLE_HDR_TYPE_ETH:
		return off <= 12;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP4:
		return off == 0 || off == 8 || off == 12 || off == 16;
	case FLOW_ACT_MANGLE_HDR_TYPE_IP6:
		return off == 0 || off == 4 || (off >= 8 && off < 40);
	case FLOW_ACT_MANGLE_HDR_TYPE_TCP:
		return off == 0 || off == 12;
	case FLOW_ACT_MANGLE_HDR_TYPE_UDP:
		return off == 0;
	default:
		return false;
	}
}

static bool is_ttl(const struct flow_action_entry *e)
{
	return (e->mangle.htype == FLOW_ACT_MANGLE_HDR_TYPE_IP4 && e->mangle.offset == 8) ||
	       (e->mangle.htype == FLOW_ACT_MANGLE_HDR_TYPE_IP6 && e->mangle.offset == 4);
}

/* A rewrite of addresses or ports wants a protocol whose checksum is known. */
static bool wants_l4(const struct flow_action_entry *e)
{
	return e->mangle.htype != FLOW_ACT_MANGLE_HDR_TYPE_ETH && !is_ttl(e);
}

static int vlan(struct sn_port *port, struct flow_cls_offload *f, bool pop, const struct flow_action_entry *push)
{
	struct flow_match_vlan m;

	if (legacy(port))
		return REFUSE(f, "Not implemented offload action");
	if (!pop || !push)
		return 0;
	if (!flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_VLAN))
		return REFUSE(f, "VLAN rewrite action must have VLAN protocol match");
	flow_rule_match_vlan(f->rule, &m);
	if (m.key->vlan_tpid != htons(ETH_P_8021Q) || push->vlan.proto != htons(ETH_P_8021Q))
		return REFUSE(f, "VLAN rewrite action must have VLAN protocol match");
	if ((m.key->vlan_priority & m.mask->vlan_priority) != push->vlan.prio)
		return REFUSE(f, "Changing VLAN prio is not supported");
	return 0;
}

static int actions(struct sn_port *port, struct flow_cls_offload *f)
{
	const struct flow_action_entry *e, *push = NULL;
	bool forward = false, drop = false, pedit = false, l4 = false, pop = false;
	unsigned int words = 0;
	u8 proto = 0;
	int i;

	flow_action_for_each(i, e, &f->rule->action) {
		if (e->hw_stats != FLOW_ACTION_HW_STATS_DONT_CARE && !(e->hw_stats & FLOW_ACTION_HW_STATS_DELAYED))
			return REFUSE(f, "Driver does not support selected HW stats type");
		switch (e->id) {
		case FLOW_ACTION_REDIRECT:
		case FLOW_ACTION_MIRRED:
			if (legacy(port) && e->id == FLOW_ACTION_MIRRED)
				return REFUSE(f, "Not implemented offload action");
			forward = true;
			break;
		case FLOW_ACTION_ACCEPT:
		case FLOW_ACTION_TRAP:
			if (legacy(port) && e->id == FLOW_ACTION_TRAP)
				return REFUSE(f, "Not implemented offload action");
			forward = true;
			break;
		case FLOW_ACTION_DROP:
			drop = true;
			break;
		case FLOW_ACTION_VLAN_POP:
			pop = true;
			break;
		case FLOW_ACTION_VLAN_PUSH:
			push = e;
			break;
		case FLOW_ACTION_MANGLE:
		case FLOW_ACTION_ADD:
			if (!rewritable(e))
				return REFUSE(f, "attempt to offload an unsupported field");
			if (++words > MAX_PEDIT)
				return REFUSE(f, "too many pedit actions, can't offload");
			pedit = true;
			l4 |= wants_l4(e);
			break;
		case FLOW_ACTION_CSUM:
			if (!pedit)
				return REFUSE(f, "TC csum action is only offloaded with pedit");
			break;
		default:
			return REFUSE(f, "Not implemented offload action");
		}
	}
	if (!forward && !drop)
		return REFUSE(f, "Rule must have at least one forward/drop action");
	if (forward && drop)
		return REFUSE(f, "Rule cannot support forward+drop action");
	if (drop && pedit)
		return REFUSE(f, "Drop with modify header action is not supported");
	if (flow_rule_match_key(f->rule, FLOW_DISSECTOR_KEY_BASIC)) {
		struct flow_match_basic b;

		flow_rule_match_basic(f->rule, &b);
		proto = b.key->ip_proto & b.mask->ip_proto;
	}
	if (l4 && proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_ICMP)
		return REFUSE(f, "can't offload re-write of non TCP/UDP");
	return (pop || push) ? vlan(port, f, pop, push) : 0;
}

/* pop and push in one rule are a rewrite of the id: the tag keeps its PCP. */
static void bend(struct sn_port *port, struct sn_rule *rule, struct sn_key *mask)
{
	unsigned int i, n = 0;
	int pop = -1, push = -1;

	for (i = 0; i < rule->n_acts; i++) {
		if (rule->acts[i].op == SN_POP)
			pop = i;
		if (rule->acts[i].op == SN_PUSH)
			push = i;
	}
	if (pop < 0 || push < pop)
		return;
	rule->acts[push].op = SN_RETAG;
	for (i = 0; i < rule->n_acts; i++)
		if (i != pop)
			rule->acts[n++] = rule->acts[i];
	rule->n_acts = n;
}

static int target(struct sn_port *port, struct net_device *dev, struct sn_port **to, struct netlink_ext_ack *extack)
{
	struct sn_port *out;

	if (!dev || !sn_is_rep(dev) || sn_port_of(dev)->card->opt.serial != port->card->opt.serial ||
	    sn_port_of(dev)->card->profile != port->card->profile) {
		NL_SET_ERR_MSG_MOD(extack, "devices are not on same switch HW, can't offload forwarding");
		return -EOPNOTSUPP;
	}
	out = sn_port_of(dev);
	if (legacy(port)) { /* hairpin between the functions of one card */
		if (out->kind != SN_UPLINK || out == port || out->card->mode != DEVLINK_ESWITCH_MODE_LEGACY) {
			NL_SET_ERR_MSG_MOD(extack, "devices are not on same switch HW, can't offload forwarding");
			return -EOPNOTSUPP;
		}
	} else if (port->kind == SN_UPLINK && out->kind == SN_UPLINK && out != port) {
		NL_SET_ERR_MSG_MOD(extack, "devices are not the same uplink, can't offload forwarding");
		return -EOPNOTSUPP;
	} else if (port->kind != SN_UPLINK && out == port) {
		NL_SET_ERR_MSG_MOD(extack, "can't forward from a VF to itself");
		return -EOPNOTSUPP;
	} else if (port->card != out->card && (port->kind == SN_UPLINK || out->kind == SN_UPLINK)) {
		NL_SET_ERR_MSG_MOD(extack, "devices are not on same switch HW, can't offload forwarding");
		return -EOPNOTSUPP;
	}
	*to = out;
	return 0;
}

static int set_features(struct sn_port *port)
{
	if (!port->rules)
		return 0;
	netdev_err(rcu_dereference_protected(port->rep, 1), "Active offloaded tc filters, can't turn hw_tc_offload off\n");
	return -EINVAL;
}

static int mode_set(struct sn_card *card, struct netlink_ext_ack *extack)
{
	if (!card->filters)
		return 0;
	NL_SET_ERR_MSG_MOD(extack, "Can't change mode, E-Switch is busy");
	return -EBUSY;
}

const struct sn_profile sn_profile_mlx5 = {
	.name = "mlx5",
	.mode = DEVLINK_ESWITCH_MODE_LEGACY,
	.unlocked = true,
	.counter_ms = 1000,
	/* full: firmware's no comes without text */
	.match = match,
	.actions = actions,
	.bend = bend,
	.target = target,
	.set_features = set_features,
	.mode_set = mode_set,
};
