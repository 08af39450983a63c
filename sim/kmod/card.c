// SPDX-License-Identifier: GPL-2.0
/* A card's life: its device, its ports, and what a change of mode does to them. */
#include <linux/debugfs.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "simnic.h"

/* Representors of functions are there in switchdev mode only. */
bool sn_wants_rep(const struct sn_port *port)
{
	return port->kind == SN_UPLINK || port->card->mode == DEVLINK_ESWITCH_MODE_SWITCHDEV ||
	       port->card->profile->reps_always;
}

static int rep_up(struct sn_port *port)
{
	struct net_device *dev;
	int err;

	memset(&port->dl, 0, sizeof(port->dl));
	sn_dl_attrs(port);
	err = devl_port_register(port->card->devlink, &port->dl, port - port->card->ports);
	if (err)
		return err;
	port->dl_registered = true;
	dev = sn_netdev_add(port, false);
	if (IS_ERR(dev)) {
		devl_port_unregister(&port->dl);
		port->dl_registered = false;
		return PTR_ERR(dev);
	}
	return 0;
}

static void rep_down(struct sn_port *port)
{
	struct net_device *dev = rcu_dereference_protected(port->rep, 1);

	if (dev)
		sn_netdev_del(dev);
	if (port->dl_registered) {
		devl_port_unregister(&port->dl);
		port->dl_registered = false;
	}
}

static void far_down(struct sn_port *port)
{
	struct net_device *dev = rcu_dereference_protected(port->far, 1);

	if (dev)
		sn_netdev_del(dev);
}

/* The VF comes: its interface, and in switchdev mode its representor. */
int sn_port_plug(struct sn_port *port)
{
	struct net_device *dev;
	int err;

	if (!rcu_access_pointer(port->far)) {
		dev = sn_netdev_add(port, true);
		if (IS_ERR(dev))
			return PTR_ERR(dev);
	}
	if (sn_wants_rep(port) && !rcu_access_pointer(port->rep)) {
		err = rep_up(port);
		if (err) {
			far_down(port);
			return err;
		}
	}
	sn_carrier(port);
	return 0;
}

void sn_port_unplug(struct sn_port *port)
{
	rep_down(port);
	far_down(port);
}

/* What the mode asks for. Far ends stay where they are. */
int sn_ports_up(struct sn_card *card)
{
	unsigned int i;
	int err;

	for (i = 0; i < card->n_ports; i++) {
		err = sn_port_plug(&card->ports[i]);
		if (err) {
			sn_ports_down(card);
			return err;
		}
	}
	return 0;
}

void sn_ports_down(struct sn_card *card)
{
	unsigned int i;

	for (i = 0; i < card->n_ports; i++)
		sn_port_unplug(&card->ports[i]);
}

static void unflap(struct work_struct *work)
{
	struct sn_port *port = container_of(to_delayed_work(work), struct sn_port, unflap);

	rtnl_lock();
	port->flapped = false;
	sn_carrier(port);
	rtnl_unlock();
}

static void port_init(struct sn_card *card, struct sn_port *port, enum sn_kind kind, unsigned int num)
{
	port->card = card;
	port->kind = kind;
	port->num = num;
	INIT_LIST_HEAD(&port->groups);
	INIT_DELAYED_WORK(&port->unflap, unflap);
}

static void release(struct device *dev)
{
	struct sn_card *card = to_card(dev);

	sn_table_free(card);
	kfree(card->ports);
	kfree(card);
}

static struct sn_card *card_alloc(const struct sn_options *opt)
{
	struct sn_card *card = kzalloc(sizeof(*card), GFP_KERNEL);
	unsigned int i;

	if (!card)
		return NULL;
	card->opt = *opt;
	card->profile = opt->profile;
	card->mode = opt->mode;
	card->faults.counter_ms = opt->profile->counter_ms;
	card->n_ports = opt->uplinks + opt->vfs + opt->sfs;
	card->ports = kcalloc(card->n_ports, sizeof(*card->ports), GFP_KERNEL);
	if (!card->ports || sn_table_init(card)) {
		kfree(card->ports);
		kfree(card);
		return NULL;
	}
	for (i = 0; i < opt->uplinks; i++)
		port_init(card, &card->ports[i], SN_UPLINK, i);
	for (i = 0; i < opt->vfs; i++)
		port_init(card, &card->ports[opt->uplinks + i], SN_VF, i);
	for (i = 0; i < opt->sfs; i++)
		port_init(card, &card->ports[opt->uplinks + opt->vfs + i], SN_SF, i);
	device_initialize(&card->dev);
	card->dev.bus = &sn_bus;
	card->dev.release = release;
	return card;
}

/* Called with sn_cards_lock. */
int sn_card_create(const struct sn_options *opt, struct net *net)
{
	struct sn_card *card;
	int err;

	list_for_each_entry(card, &sn_cards, list)
		if (card->opt.id == opt->id)
			return -EEXIST;
	card = card_alloc(opt);
	if (!card)
		return -ENOMEM;
	err = dev_set_name(&card->dev, "simnic%u", opt->id) ?: device_add(&card->dev);
	if (err)
		goto put;
	card->devlink = devlink_alloc_ns(&sn_devlink_ops, sizeof(struct sn_card *), net, &card->dev);
	if (!card->devlink) {
		err = -ENOMEM;
		goto del;
	}
	*(struct sn_card **)devlink_priv(card->devlink) = card;
	sn_reloads(card->devlink);
	devl_lock(card->devlink);
	err = sn_ports_up(card);
	devl_unlock(card->devlink);
	if (err)
		goto free;
	card->reporter = devlink_health_reporter_create(card->devlink, &sn_reporter_ops, 0, card);
	if (IS_ERR(card->reporter)) {
		err = PTR_ERR(card->reporter);
		goto down;
	}
	devlink_register(card->devlink);
	sn_debugfs_card(card);
	list_add_tail(&card->list, &sn_cards);
	return 0;
down:
	devl_lock(card->devlink);
	sn_ports_down(card);
	devl_unlock(card->devlink);
free:
	devlink_free(card->devlink);
del:
	device_del(&card->dev);
put:
	put_device(&card->dev);
	return err;
}

/* Called with sn_cards_lock. */
void sn_card_destroy(struct sn_card *card)
{
	struct sn_card *other;
	unsigned int i;

	list_del(&card->list);
	debugfs_remove_recursive(card->debugfs);
	devlink_unregister(card->devlink);
	devlink_health_reporter_destroy(card->reporter);
	for (i = 0; i < card->n_ports; i++)
		cancel_delayed_work_sync(&card->ports[i].unflap);
	devl_lock(card->devlink);
	sn_ports_down(card);
	devl_unlock(card->devlink);
	list_for_each_entry(other, &sn_cards, list) /* nobody can name our ports any more */
		sn_table_part(other, card);
	cancel_delayed_work_sync(&card->count);
	devlink_free(card->devlink);
	device_del(&card->dev);
	put_device(&card->dev);
}
