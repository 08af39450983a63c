// SPDX-License-Identifier: GPL-2.0
/* tc's calls: binding a block to a port, and a filter's coming, going and counting. */
#include <linux/delay.h>
#include <linux/slab.h>

#include "simnic.h"

static LIST_HEAD(block_cbs);

/* Mended by the profile after parsing: keys that the card ignores, and so on. */
static int replace(struct sn_port *port, struct flow_cls_offload *f)
{
	struct sn_card *card = port->card;
	struct sn_key mask;
	struct sn_rule *rule;
	int err;

	err = card->profile->match(port, f) ?: card->profile->actions(port, f);
	if (err)
		return err;
	rule = kzalloc(struct_size(rule, acts, f->rule->action.num_entries + 4), GFP_KERNEL);
	if (!rule)
		return -ENOMEM;
	rule->port = port;
	rule->tc = f->cookie;
	rule->prio = f->common.prio;
	err = sn_match_parse(port, f, &rule->key, &mask) ?: sn_action_parse(port, f, rule);
	if (err)
		goto free;
	if (card->profile->bend)
		card->profile->bend(port, rule, &mask);
	if (card->faults.insert_us)
		fsleep(card->faults.insert_us);
	mutex_lock(&card->mutex);
	card->inserts++;
	if (card->faults.refuse_nth && card->inserts % card->faults.refuse_nth == 0) {
		NL_SET_ERR_MSG_MOD(f->common.extack, "refused by debugfs refuse_nth");
		err = -EBUSY;
	} else if (sn_table_by_tc(card, f->cookie)) {
		err = -EEXIST; /* flower has a new cookie for each filter, a replaced one too */
	} else {
		err = sn_table_insert(card, rule, &mask, f->common.extack);
	}
	mutex_unlock(&card->mutex);
	if (!err)
		return 0;
free:
	kfree(rule);
	return err;
}

static int destroy(struct sn_port *port, struct flow_cls_offload *f)
{
	struct sn_rule *rule;

	mutex_lock(&port->card->mutex);
	rule = sn_table_remove(port->card, f->cookie);
	mutex_unlock(&port->card->mutex);
	if (!rule)
		return -ENOENT;
	kfree_rcu(rule, rcu);
	return 0;
}

/* tc adds what it is told, so it is told what is new. */
static int stats(struct sn_port *port, struct flow_cls_offload *f)
{
	struct sn_card *card = port->card;
	struct sn_rule *rule;
	u64 packets, bytes;

	if (card->profile->no_stats)
		return -EINVAL;
	mutex_lock(&card->mutex);
	rule = sn_table_by_tc(card, f->cookie);
	if (!rule) {
		mutex_unlock(&card->mutex);
		return -ENOENT;
	}
	if (!card->faults.counter_ms && !card->faults.freeze) {
		rule->cached_packets = atomic64_read(&rule->packets);
		rule->cached_bytes = atomic64_read(&rule->bytes);
	}
	packets = rule->cached_packets - rule->told_packets;
	bytes = rule->cached_bytes - rule->told_bytes;
	rule->told_packets = rule->cached_packets;
	rule->told_bytes = rule->cached_bytes;
	flow_stats_update(&f->stats, bytes, packets, 0, rule->lastused,
			  card->faults.counter_ms ? FLOW_ACTION_HW_STATS_DELAYED : FLOW_ACTION_HW_STATS_IMMEDIATE);
	mutex_unlock(&card->mutex);
	return 0;
}

static int setup_cb(enum tc_setup_type type, void *data, void *priv)
{
	struct flow_cls_offload *f = data;
	struct sn_port *port = priv;

	if (type != TC_SETUP_CLSFLOWER)
		return -EOPNOTSUPP;
	switch (f->command) {
	case FLOW_CLS_REPLACE:
		return replace(port, f);
	case FLOW_CLS_DESTROY:
		return destroy(port, f);
	case FLOW_CLS_STATS:
		return stats(port, f);
	default:
		return -EOPNOTSUPP;
	}
}

int sn_setup_tc(struct net_device *dev, enum tc_setup_type type, void *data)
{
	struct sn_port *port = sn_port_of(dev);
	struct flow_block_offload *f = data;

	if (type != TC_SETUP_BLOCK || port->card->profile->no_offload)
		return -EOPNOTSUPP;
	f->unlocked_driver_cb = port->card->profile->unlocked;
	return flow_block_cb_setup_simple(f, &block_cbs, setup_cb, port, port, true);
}
