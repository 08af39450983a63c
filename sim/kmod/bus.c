// SPDX-License-Identifier: GPL-2.0
/* The bus of cards: new_device and del_device make and remove them. */
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/parser.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "simnic.h"

DEFINE_MUTEX(sn_cards_lock);
LIST_HEAD(sn_cards);

enum { OPT_ID, OPT_PROFILE, OPT_UPLINKS, OPT_VFS, OPT_SFS, OPT_RULES, OPT_SERIAL, OPT_MODE, OPT_ERR };

static const match_table_t tokens = {
	{ OPT_ID, "id=%u" },     { OPT_PROFILE, "profile=%s" }, { OPT_UPLINKS, "uplinks=%u" }, { OPT_VFS, "vfs=%u" },
	{ OPT_SFS, "sfs=%u" },   { OPT_RULES, "rules=%u" },     { OPT_SERIAL, "serial=%x" },   { OPT_MODE, "mode=%s" },
	{ OPT_ERR, NULL },
};

static int parse_serial(substring_t *arg, u64 *serial)
{
	char text[20];

	if (arg->to - arg->from >= sizeof(text))
		return -EINVAL;
	match_strlcpy(text, arg, sizeof(text));
	return kstrtou64(text, 16, serial);
}

static int parse_mode(substring_t *arg, u16 *mode)
{
	size_t n = arg->to - arg->from;

	if (n == 6 && !memcmp(arg->from, "legacy", n))
		*mode = DEVLINK_ESWITCH_MODE_LEGACY;
	else if (n == 9 && !memcmp(arg->from, "switchdev", n))
		*mode = DEVLINK_ESWITCH_MODE_SWITCHDEV;
	else
		return -EINVAL;
	return 0;
}

static int parse_one(char *word, struct sn_options *o, int *mode)
{
	substring_t args[MAX_OPT_ARGS];
	u16 m;
	int err;

	switch (match_token(word, tokens, args)) {
	case OPT_ID:
		return match_uint(&args[0], &o->id);
	case OPT_UPLINKS:
		return match_uint(&args[0], &o->uplinks);
	case OPT_VFS:
		return match_uint(&args[0], &o->vfs);
	case OPT_SFS:
		return match_uint(&args[0], &o->sfs);
	case OPT_RULES:
		return match_uint(&args[0], &o->rules);
	case OPT_SERIAL:
		return parse_serial(&args[0], &o->serial);
	case OPT_PROFILE:
		o->profile = sn_profile_by_name(args[0].from, args[0].to - args[0].from);
		return o->profile ? 0 : -EINVAL;
	case OPT_MODE:
		err = parse_mode(&args[0], &m);
		*mode = m;
		return err;
	}
	return -EINVAL;
}

/* One line of KEY=VALUE words; the kernel log says which word is wrong. */
static int parse_options(char *line, struct sn_options *o)
{
	int mode = -1;
	char *word;

	*o = (struct sn_options){ .uplinks = 1, .vfs = 2, .rules = SN_DEFAULT_RULES, .profile = &sn_profile_flower };
	while ((word = strsep(&line, " \t\n"))) {
		if (*word && parse_one(word, o, &mode)) {
			pr_err("simnic: new_device: \"%s\" is not understood; id=N profile=flower|mlx5|ice|nfp|bnxt uplinks=N vfs=N sfs=N rules=N serial=HEX mode=legacy|switchdev\n", word);
			return -EINVAL;
		}
	}
	if (o->uplinks < 1 || o->uplinks > SN_MAX_UPLINKS || o->vfs > SN_MAX_FUNCTIONS || o->sfs > SN_MAX_FUNCTIONS ||
	    o->rules < 1 || o->rules > 1 << 22) {
		pr_err("simnic: new_device: at most %d uplinks, %d VFs and SFs, and 4194304 rules; at least one uplink and rule\n",
		       SN_MAX_UPLINKS, SN_MAX_FUNCTIONS);
		return -EINVAL;
	}
	if (!o->serial)
		o->serial = 0x5a17000000000000ULL + o->id;
	o->mode = mode < 0 ? o->profile->mode : mode;
	if (o->profile->reps_always && o->mode != o->profile->mode) {
		pr_err("simnic: new_device: the mode of profile %s is fixed\n", o->profile->name);
		return -EINVAL;
	}
	return 0;
}

static ssize_t new_device_store(const struct bus_type *bus, const char *buf, size_t count)
{
	struct sn_options opt;
	char *line;
	int err;

	line = kstrndup(buf, count, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	err = parse_options(line, &opt);
	kfree(line);
	if (!err) {
		mutex_lock(&sn_cards_lock);
		err = sn_card_create(&opt, current->nsproxy->net_ns);
		mutex_unlock(&sn_cards_lock);
	}
	return err ?: count;
}

static ssize_t del_device_store(const struct bus_type *bus, const char *buf, size_t count)
{
	struct sn_card *card;
	unsigned int id;
	int err;

	err = kstrtouint(buf, 10, &id);
	if (err)
		return err;
	err = -ENODEV;
	mutex_lock(&sn_cards_lock);
	list_for_each_entry(card, &sn_cards, list) {
		if (card->opt.id == id) {
			sn_card_destroy(card);
			err = 0;
			break;
		}
	}
	mutex_unlock(&sn_cards_lock);
	return err ?: count;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
static BUS_ATTR_WO(new_device);
static BUS_ATTR_WO(del_device);
#else /* the bus was not const yet */
static ssize_t new_device_store_mutable(struct bus_type *bus, const char *buf, size_t count)
{
	return new_device_store(bus, buf, count);
}

static ssize_t del_device_store_mutable(struct bus_type *bus, const char *buf, size_t count)
{
	return del_device_store(bus, buf, count);
}

static struct bus_attribute bus_attr_new_device = __ATTR(new_device, 0200, NULL, new_device_store_mutable);
static struct bus_attribute bus_attr_del_device = __ATTR(del_device, 0200, NULL, del_device_store_mutable);
#endif

static struct attribute *sn_bus_attrs[] = { &bus_attr_new_device.attr, &bus_attr_del_device.attr, NULL };
ATTRIBUTE_GROUPS(sn_bus);

struct bus_type sn_bus = { .name = "simnic", .bus_groups = sn_bus_groups };

/* devlink takes the driver's name from the device (6.12), so there is one. */
static struct device_driver sn_driver = { .name = "simnic", .bus = &sn_bus, .owner = THIS_MODULE };

static int __init sn_init(void)
{
	int err;

	err = bus_register(&sn_bus);
	if (err)
		return err;
	err = driver_register(&sn_driver);
	if (err) {
		bus_unregister(&sn_bus);
		return err;
	}
	sn_debugfs_init();
	return 0;
}

static void __exit sn_exit(void)
{
	struct sn_card *card, *next;

	mutex_lock(&sn_cards_lock);
	list_for_each_entry_safe(card, next, &sn_cards, list)
		sn_card_destroy(card);
	mutex_unlock(&sn_cards_lock);
	sn_debugfs_exit();
	driver_unregister(&sn_driver);
	bus_unregister(&sn_bus);
	rcu_barrier(); /* rules are freed by kfree_rcu */
}

module_init(sn_init);
module_exit(sn_exit);
MODULE_DESCRIPTION("A switchdev NIC without hardware");
MODULE_LICENSE("GPL");
