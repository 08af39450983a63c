// SPDX-License-Identifier: GPL-2.0
/* The card's table: bounded, one hash for frames and one for tc's names. */
#include <linux/jhash.h>
#include <linux/slab.h>

#include "simnic.h"

int sn_table_init(struct sn_card *card)
{
	unsigned int i;

	card->bits = max(order_base_2(card->opt.rules), 4);
	card->by_key = kvmalloc_array(1 << card->bits, sizeof(*card->by_key), GFP_KERNEL);
	card->by_tc = kvmalloc_array(1 << card->bits, sizeof(*card->by_tc), GFP_KERNEL);
	if (!card->by_key || !card->by_tc) {
		kvfree(card->by_key);
		kvfree(card->by_tc);
		return -ENOMEM;
	}
	for (i = 0; i < 1 << card->bits; i++) {
		INIT_HLIST_HEAD(&card->by_key[i]);
		INIT_HLIST_HEAD(&card->by_tc[i]);
	}
	mutex_init(&card->mutex);
	rwlock_init(&card->lock);
	return 0;
}

void sn_table_free(struct sn_card *card)
{
	WARN_ON(card->filters); /* tc has not been told that its filters are gone */
	kvfree(card->by_key);
	kvfree(card->by_tc);
}

static void masked(struct sn_key *out, const struct sn_key *key, const struct sn_key *mask)
{
	const u32 *k = (const u32 *)key, *m = (const u32 *)mask;
	u32 *o = (u32 *)out;
	unsigned int i;

	BUILD_BUG_ON(sizeof(*key) % 4);
	for (i = 0; i < sizeof(*key) / 4; i++)
		o[i] = k[i] & m[i];
}

static struct hlist_head *key_head(struct sn_card *card, const struct sn_group *g, const struct sn_key *key)
{
	return &card->by_key[jhash2((const u32 *)key, sizeof(*key) / 4, g->id) & ((1 << card->bits) - 1)];
}

static struct hlist_head *tc_head(struct sn_card *card, unsigned long tc)
{
	return &card->by_tc[hash_long(tc, card->bits)];
}

/* The first rule by prio that the frame fits; card->lock is held. */
struct sn_rule *sn_table_match(struct sn_port *port, const struct sn_key *key)
{
	struct sn_group *g;
	struct sn_rule *r;
	struct sn_key k;

	list_for_each_entry(g, &port->groups, list) {
		masked(&k, key, &g->mask);
		hlist_for_each_entry(r, key_head(port->card, g, &k), by_key)
			if (r->group == g && !memcmp(&r->key, &k, sizeof(k)))
				return r;
	}
	return NULL;
}

struct sn_rule *sn_table_by_tc(struct sn_card *card, unsigned long tc)
{
	struct sn_rule *r;

	hlist_for_each_entry(r, tc_head(card, tc), by_tc)
		if (r->tc == tc)
			return r;
	return NULL;
}

/* Finds the group of prio and mask or makes one; card->mutex is held. */
static struct sn_group *group(struct sn_port *port, u32 prio, const struct sn_key *mask, struct sn_group **fresh,
			      struct netlink_ext_ack *extack)
{
	const struct sn_profile *p = port->card->profile;
	struct sn_group *g;
	unsigned int masks = 0;

	list_for_each_entry(g, &port->groups, list) {
		if (g->prio == prio && !memcmp(&g->mask, mask, sizeof(*mask)))
			return g;
		masks++;
	}
	if (p->max_masks && masks >= p->max_masks) {
		sn_say(extack, p->masks_full);
		return ERR_PTR(-ENOSPC);
	}
	g = kzalloc(sizeof(*g), GFP_KERNEL);
	if (!g)
		return ERR_PTR(-ENOMEM);
	g->prio = prio;
	g->mask = *mask;
	g->id = port->card->next_group++;
	*fresh = g;
	return g;
}

/* Behind all groups of the same or a smaller number, so that the smallest comes
 * first and equals keep their order. */
static void add_group(struct sn_port *port, struct sn_group *fresh)
{
	struct sn_group *g;

	list_for_each_entry(g, &port->groups, list)
		if (g->prio > fresh->prio)
			break;
	list_add_tail(&fresh->list, &g->list);
}

/* Puts a rule in; card->mutex is held. -ENOSPC when the table is full, -EEXIST
 * when the same frames have a rule at the same prio. */
int sn_table_insert(struct sn_card *card, struct sn_rule *rule, const struct sn_key *mask,
		    struct netlink_ext_ack *extack)
{
	struct sn_group *g, *fresh = NULL;
	struct sn_rule *r;
	struct sn_key k;

	if (card->used >= card->opt.rules || card->faults.full) {
		sn_say(extack, card->profile->full);
		return -ENOSPC;
	}
	g = group(rule->port, card->profile->flat ? 0 : rule->prio, mask, &fresh, extack);
	if (IS_ERR(g))
		return PTR_ERR(g);
	masked(&k, &rule->key, mask);
	rule->key = k;
	if (!fresh) {
		hlist_for_each_entry(r, key_head(card, g, &k), by_key) {
			if (r->group == g && !memcmp(&r->key, &k, sizeof(k))) {
				NL_SET_ERR_MSG_MOD(extack, "Unable to add filter because it already exist");
				return -EEXIST;
			}
		}
	}
	rule->group = g;
	write_lock_bh(&card->lock);
	if (fresh)
		add_group(rule->port, fresh);
	hlist_add_head(&rule->by_key, key_head(card, g, &rule->key));
	hlist_add_head(&rule->by_tc, tc_head(card, rule->tc));
	rule->in_hw = true;
	write_unlock_bh(&card->lock);
	g->users++;
	card->used++;
	card->filters++;
	rule->port->rules++;
	return 0;
}

/* The hardware loses a rule, tc or not; card->lock is held for writing. */
static void out_of_hw(struct sn_card *card, struct sn_rule *rule)
{
	if (!rule->in_hw)
		return;
	hlist_del(&rule->by_key);
	rule->in_hw = false;
	card->used--;
	if (!--rule->group->users) {
		list_del(&rule->group->list);
		kfree(rule->group);
	}
	rule->group = NULL;
}

/* Takes out what tc calls so; card->mutex is held. When it returns, no frame is
 * being treated by the rule. The caller frees it. */
struct sn_rule *sn_table_remove(struct sn_card *card, unsigned long tc)
{
	struct sn_rule *rule = sn_table_by_tc(card, tc);

	if (!rule)
		return NULL;
	write_lock_bh(&card->lock);
	out_of_hw(card, rule);
	hlist_del(&rule->by_tc);
	write_unlock_bh(&card->lock);
	card->filters--;
	rule->port->rules--;
	return rule;
}

/* The hardware loses up to n rules while tc goes on thinking that they are
 * there. Gives how many it lost. */
unsigned int sn_table_forget(struct sn_card *card, unsigned int n)
{
	unsigned int i, lost = 0;
	struct sn_rule *r;

	mutex_lock(&card->mutex);
	write_lock_bh(&card->lock);
	for (i = 0; i < 1 << card->bits && lost < n; i++) {
		hlist_for_each_entry(r, &card->by_tc[i], by_tc) {
			if (lost >= n)
				break;
			lost += r->in_hw;
			out_of_hw(card, r);
		}
	}
	write_unlock_bh(&card->lock);
	mutex_unlock(&card->mutex);
	return lost;
}

static bool sends_to(const struct sn_rule *rule, const struct sn_card *card)
{
	unsigned int i;

	for (i = 0; i < rule->n_acts; i++)
		if (rule->acts[i].to && rule->acts[i].to->card == card)
			return true;
	return false;
}

/* Rules that send to another card leave the hardware when that card goes. */
void sn_table_part(struct sn_card *card, const struct sn_card *gone)
{
	struct sn_rule *r;
	unsigned int i;

	mutex_lock(&card->mutex);
	write_lock_bh(&card->lock);
	for (i = 0; i < 1 << card->bits; i++)
		hlist_for_each_entry(r, &card->by_tc[i], by_tc)
			if (r->in_hw && sends_to(r, gone)) /* else its port may be gone already */
				out_of_hw(card, r);
	write_unlock_bh(&card->lock);
	mutex_unlock(&card->mutex);
}

/* The card's own reading of all counters, from which questions are answered. */
void sn_table_count(struct sn_card *card)
{
	unsigned int i;
	struct sn_rule *r;

	mutex_lock(&card->mutex);
	for (i = 0; i < 1 << card->bits && !card->faults.freeze; i++) {
		hlist_for_each_entry(r, &card->by_tc[i], by_tc) {
			r->cached_packets = atomic64_read(&r->packets);
			r->cached_bytes = atomic64_read(&r->bytes);
		}
	}
	mutex_unlock(&card->mutex);
}
