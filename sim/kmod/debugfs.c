// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/debug/simnic/simnicN: what the card holds, and faults on request. */
#include <linux/debugfs.h>
#include <linux/rtnetlink.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "simnic.h"

static struct dentry *root;

static const char *port_name(struct sn_port *port)
{
	struct net_device *dev = rcu_dereference(port->rep) ?: rcu_dereference(port->far);

	return dev ? dev->name : "unplugged";
}

static int stats_show(struct seq_file *s, void *v)
{
	struct sn_card *card = s->private;
	unsigned int i;

	rcu_read_lock();
	for (i = 0; i < card->n_ports; i++) {
		struct sn_port *p = &card->ports[i];

		seq_printf(s, "%s rx=%lld hit=%lld drop=%lld trap=%lld miss=%lld tx=%lld\n", port_name(p), atomic64_read(&p->rx),
			   atomic64_read(&p->hit), atomic64_read(&p->drop), atomic64_read(&p->trap), atomic64_read(&p->miss),
			   atomic64_read(&p->tx));
	}
	rcu_read_unlock();
	seq_printf(s, "table used=%u size=%u\n", card->used, card->opt.rules);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static const char *const ops[] = { "set", "add", "pop", "push", "retag", "mirror", "redirect", "drop", "trap" };

static int rules_show(struct seq_file *s, void *v)
{
	struct sn_card *card = s->private;
	struct sn_rule *r;
	unsigned int i, k;

	mutex_lock(&card->mutex);
	rcu_read_lock();
	for (i = 0; i < 1 << card->bits; i++) {
		hlist_for_each_entry(r, &card->by_tc[i], by_tc) {
			if (!r->in_hw)
				continue;
			seq_printf(s, "port=%s prio=%u cookie=%*phN key=%*phN mask=%*phN acts=", port_name(r->port), r->prio,
				   r->cookie_len, r->cookie, (int)sizeof(r->key), &r->key, (int)sizeof(r->key), &r->group->mask);
			for (k = 0; k < r->n_acts; k++) {
				seq_printf(s, "%s%s", k ? "," : "", ops[r->acts[k].op]);
				if (r->acts[k].op == SN_REDIRECT || r->acts[k].op == SN_MIRROR)
					seq_printf(s, ":%s", port_name(r->acts[k].to));
			}
			seq_printf(s, " packets=%lld bytes=%lld\n", atomic64_read(&r->packets), atomic64_read(&r->bytes));
		}
	}
	rcu_read_unlock();
	mutex_unlock(&card->mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(rules);

static int counter_ms_get(void *data, u64 *val)
{
	*val = ((struct sn_card *)data)->faults.counter_ms;
	return 0;
}

static int counter_ms_set(void *data, u64 val)
{
	struct sn_card *card = data;

	if (val > 60000)
		return -EINVAL;
	card->faults.counter_ms = val;
	mod_delayed_work(system_wq, &card->count, val ? msecs_to_jiffies(val) : 0);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(counter_ms_fops, counter_ms_get, counter_ms_set, "%llu\n");

static void count(struct work_struct *work)
{
	struct sn_card *card = container_of(to_delayed_work(work), struct sn_card, count);

	sn_table_count(card);
	if (card->faults.counter_ms)
		schedule_delayed_work(&card->count, msecs_to_jiffies(card->faults.counter_ms));
}

static int forget_set(void *data, u64 val)
{
	sn_table_forget(data, val);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(forget_fops, NULL, forget_set, "%llu\n");

/* As after mlx5's health recovery: nothing in hardware, tc none the wiser. */
static int reset_set(void *data, u64 val)
{
	struct sn_card *card = data;

	sn_table_forget(card, UINT_MAX);
	devlink_health_report(card->reporter, "reset asked for", card);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(reset_fops, NULL, reset_set, "%llu\n");

static struct sn_port *function(struct sn_card *card, u64 n)
{
	unsigned int i;

	for (i = 0; i < card->n_ports; i++)
		if (card->ports[i].kind == SN_VF && card->ports[i].num == n)
			return &card->ports[i];
	return NULL;
}

static int unplug_set(void *data, u64 val)
{
	struct sn_card *card = data;
	struct sn_port *port = function(card, val);

	if (!port)
		return -ENODEV;
	devl_lock(card->devlink);
	sn_port_unplug(port);
	devl_unlock(card->devlink);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(unplug_fops, NULL, unplug_set, "%llu\n");

static int plug_set(void *data, u64 val)
{
	struct sn_card *card = data;
	struct sn_port *port = function(card, val);
	int err;

	if (!port)
		return -ENODEV;
	devl_lock(card->devlink);
	err = sn_port_plug(port);
	devl_unlock(card->devlink);
	return err;
}
DEFINE_DEBUGFS_ATTRIBUTE(plug_fops, NULL, plug_set, "%llu\n");

/* "NETDEV MILLISECONDS" */
static ssize_t flap_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	struct sn_card *card = file_inode(file)->i_private;
	char text[64], name[IFNAMSIZ];
	unsigned int ms, i;
	ssize_t err = -ENODEV;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, count))
		return -EFAULT;
	text[count] = 0;
	if (sscanf(text, "%15s %u", name, &ms) != 2 || ms > 60000)
		return -EINVAL;
	rtnl_lock();
	for (i = 0; i < card->n_ports; i++) {
		struct net_device *dev = rtnl_dereference(card->ports[i].rep);

		if (!dev || strcmp(dev->name, name))
			continue;
		card->ports[i].flapped = true;
		sn_carrier(&card->ports[i]);
		schedule_delayed_work(&card->ports[i].unflap, msecs_to_jiffies(ms));
		err = count;
	}
	rtnl_unlock();
	return err;
}

static const struct file_operations flap_fops = { .owner = THIS_MODULE, .open = simple_open, .write = flap_write };

void sn_debugfs_card(struct sn_card *card)
{
	struct dentry *d = debugfs_create_dir(dev_name(&card->dev), root);

	card->debugfs = d;
	INIT_DELAYED_WORK(&card->count, count);
	if (card->faults.counter_ms)
		schedule_delayed_work(&card->count, msecs_to_jiffies(card->faults.counter_ms));
	debugfs_create_file("stats", 0400, d, card, &stats_fops);
	debugfs_create_file("rules", 0400, d, card, &rules_fops);
	debugfs_create_file_unsafe("counter_ms", 0600, d, card, &counter_ms_fops);
	debugfs_create_u32("insert_us", 0600, d, &card->faults.insert_us);
	debugfs_create_u32("refuse_nth", 0600, d, &card->faults.refuse_nth);
	debugfs_create_bool("full", 0600, d, &card->faults.full);
	debugfs_create_bool("freeze", 0600, d, &card->faults.freeze);
	debugfs_create_file_unsafe("forget", 0200, d, card, &forget_fops);
	debugfs_create_file_unsafe("reset", 0200, d, card, &reset_fops);
	debugfs_create_file_unsafe("unplug", 0200, d, card, &unplug_fops);
	debugfs_create_file_unsafe("plug", 0200, d, card, &plug_fops);
	debugfs_create_file("flap", 0200, d, card, &flap_fops);
}

void sn_debugfs_init(void) { root = debugfs_create_dir("simnic", NULL); }
void sn_debugfs_exit(void) { debugfs_remove_recursive(root); }
