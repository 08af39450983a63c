// SPDX-License-Identifier: GPL-2.0
/* tc's actions as the table's. What a profile let pass is parsed here. */
#include <linux/if_vlan.h>

#include "simnic.h"

static int output(struct sn_port *port, const struct flow_action_entry *e, struct sn_act *a, struct netlink_ext_ack *extack)
{
	a->op = e->id == FLOW_ACTION_REDIRECT ? SN_REDIRECT : SN_MIRROR;
	return port->card->profile->target(port, e->dev, &a->to, extack);
}

/* One action of tc; 0 with a->op set, 1 when it needs none here, -errno. */
static int one(struct sn_port *port, const struct flow_action_entry *e, struct sn_act *a, struct netlink_ext_ack *extack)
{
	switch (e->id) {
	case FLOW_ACTION_DROP:
		a->op = SN_DROP;
		return 0;
	case FLOW_ACTION_TRAP:
	case FLOW_ACTION_ACCEPT:
		a->op = SN_TRAP;
		return 0;
	case FLOW_ACTION_REDIRECT:
	case FLOW_ACTION_MIRRED:
		return output(port, e, a, extack);
	case FLOW_ACTION_VLAN_POP:
		a->op = SN_POP;
		return 0;
	case FLOW_ACTION_VLAN_PUSH:
		a->op = SN_PUSH;
		a->tpid = e->vlan.proto;
		a->tci = e->vlan.vid | e->vlan.prio << VLAN_PRIO_SHIFT;
		return 0;
	case FLOW_ACTION_VLAN_MANGLE:
		a->op = SN_RETAG;
		a->tci = e->vlan.vid;
		return 0;
	case FLOW_ACTION_MANGLE:
	case FLOW_ACTION_ADD:
		a->op = e->id == FLOW_ACTION_ADD ? SN_ADD : SN_SET;
		a->htype = e->mangle.htype;
		a->off = e->mangle.offset;
		a->mask = e->mangle.mask;
		a->val = e->mangle.val;
		if (e->mangle.offset % 4 || e->mangle.offset > 64) {
			NL_SET_ERR_MSG_MOD(extack, "pedit offset is no word of a header");
			return -EOPNOTSUPP;
		}
		return 0;
	case FLOW_ACTION_CSUM: /* checksums follow by themselves */
		return 1;
	default:
		NL_SET_ERR_MSG_MOD(extack, "action is not known to the card");
		return -EOPNOTSUPP;
	}
}

/* Fills rule->acts, which has room for as many as tc has actions. */
int sn_action_parse(struct sn_port *port, struct flow_cls_offload *f, struct sn_rule *rule)
{
	const struct flow_action *action = &flow_cls_offload_flow_rule(f)->action;
	const struct flow_action_entry *e;
	int i, err;

	flow_action_for_each(i, e, action) {
		const struct flow_action_cookie *c = sn_user_cookie(e);

		if (c && c->cookie_len <= sizeof(rule->cookie)) {
			memcpy(rule->cookie, c->cookie, c->cookie_len);
			rule->cookie_len = c->cookie_len;
		}
		if (rule->n_acts >= SN_MAX_ACTS) {
			NL_SET_ERR_MSG_MOD(f->common.extack, "too many pedit actions, can't offload");
			return -EOPNOTSUPP;
		}
		err = one(port, e, &rule->acts[rule->n_acts], f->common.extack);
		if (err < 0)
			return err;
		rule->n_acts += !err;
	}
	return 0;
}
