// SPDX-License-Identifier: GPL-2.0
/* The devlink instance: eswitch mode, port flavours, switch id, info, health. */
#include <linux/rtnetlink.h>

#include "simnic.h"

struct sn_card *sn_of_devlink(struct devlink *devlink)
{
	return *(struct sn_card **)devlink_priv(devlink);
}

/* Flavour, numbers and the switch id, which is the card's serial. */
void sn_dl_attrs(struct sn_port *port)
{
	struct devlink_port_attrs attrs = {};

	__be64 serial = cpu_to_be64(port->card->opt.serial);

	memcpy(attrs.switch_id.id, &serial, sizeof(serial));
	attrs.switch_id.id_len = sizeof(u64);
	switch (port->kind) {
	case SN_UPLINK:
		attrs.flavour = DEVLINK_PORT_FLAVOUR_PHYSICAL;
		attrs.phys.port_number = port->num;
		devlink_port_attrs_set(&port->dl, &attrs);
		break;
	case SN_VF:
		devlink_port_attrs_set(&port->dl, &attrs);
		devlink_port_attrs_pci_vf_set(&port->dl, 0, 0, port->num, false);
		break;
	case SN_SF:
		devlink_port_attrs_set(&port->dl, &attrs);
		devlink_port_attrs_pci_sf_set(&port->dl, 0, 0, port->num, false);
		break;
	}
}

static int mode_get(struct devlink *devlink, u16 *mode)
{
	*mode = sn_of_devlink(devlink)->mode;
	return 0;
}

static void functions(struct sn_card *card, bool down)
{
	unsigned int i;

	for (i = 0; i < card->n_ports; i++) {
		struct sn_port *port = &card->ports[i];

		if (port->kind == SN_UPLINK || !rcu_access_pointer(port->far))
			continue;
		if (down) {
			struct net_device *rep = rcu_dereference_protected(port->rep, 1);

			if (rep)
				sn_netdev_del(rep);
			if (port->dl_registered)
				devl_port_unregister(&port->dl);
			port->dl_registered = false;
		} else if (sn_port_plug(port)) {
			pr_err("simnic: %s: no representor for function %u\n", dev_name(&card->dev), port->num);
		}
	}
}

static int mode_set(struct devlink *devlink, u16 mode, struct netlink_ext_ack *extack)
{
	struct sn_card *card = sn_of_devlink(devlink);
	int err;

	if (mode == card->mode)
		return 0;
	if (mode != DEVLINK_ESWITCH_MODE_LEGACY && mode != DEVLINK_ESWITCH_MODE_SWITCHDEV) {
		NL_SET_ERR_MSG(extack, "Unknown eswitch mode");
		return -EINVAL;
	}
	if (card->profile->reps_always)
		return -EOPNOTSUPP;
	if (card->profile->mode_set) {
		err = card->profile->mode_set(card, extack);
		if (err)
			return err;
	}
	if (mode == DEVLINK_ESWITCH_MODE_LEGACY)
		functions(card, true);
	card->mode = mode;
	if (mode == DEVLINK_ESWITCH_MODE_SWITCHDEV)
		functions(card, false);
	return 0;
}

static int info_get(struct devlink *devlink, struct devlink_info_req *req, struct netlink_ext_ack *extack)
{
	char board[32];

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	int err = devlink_info_driver_name_put(req, "simnic");

	if (err)
		return err;
#endif
	snprintf(board, sizeof(board), "simnic-%s", sn_of_devlink(devlink)->profile->name);
	return devlink_info_version_fixed_put(req, DEVLINK_INFO_VERSION_GENERIC_BOARD_ID, board);
}

/* A namespace that ends sends its instances to init_net; so does "devlink dev
 * reload netns". Ports are made anew there, without rules. */
static int reload_down(struct devlink *devlink, bool netns_change, enum devlink_reload_action action,
		       enum devlink_reload_limit limit, struct netlink_ext_ack *extack)
{
	sn_ports_down(sn_of_devlink(devlink));
	return 0;
}

static int reload_up(struct devlink *devlink, enum devlink_reload_action action, enum devlink_reload_limit limit,
		     u32 *performed, struct netlink_ext_ack *extack)
{
	*performed = BIT(DEVLINK_RELOAD_ACTION_DRIVER_REINIT);
	return sn_ports_up(sn_of_devlink(devlink));
}

const struct devlink_ops sn_devlink_ops = {
	.reload_actions = BIT(DEVLINK_RELOAD_ACTION_DRIVER_REINIT),
	.reload_down = reload_down,
	.reload_up = reload_up,
	.eswitch_mode_get = mode_get,
	.eswitch_mode_set = mode_set,
	.info_get = info_get,
};

static int recover(struct devlink_health_reporter *reporter, void *priv_ctx, struct netlink_ext_ack *extack)
{
	return 0; /* the card works again at once; what it held is gone */
}

const struct devlink_health_reporter_ops sn_reporter_ops = { .name = "fw", .recover = recover };
