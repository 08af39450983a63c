// SPDX-License-Identifier: GPL-2.0
/* The netdevs: uplink and representors on the router's side, far ends behind. */
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>

#include "simnic.h"

struct sn_port *sn_port_of(const struct net_device *dev)
{
	return ((struct sn_end *)netdev_priv(dev))->port;
}

/* Frames of the kernel go to the far end, past the table. */
static netdev_tx_t rep_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct sn_end *end = netdev_priv(dev);
	struct net_device *far = rcu_dereference(end->port->far);

	atomic64_inc(&end->tx_packets);
	atomic64_add(skb->len, &end->tx_bytes);
	atomic64_inc(&end->port->tx);
	if (far)
		sn_deliver(far, skb);
	else
		kfree_skb(skb);
	return NETDEV_TX_OK;
}

/* Frames from behind the port meet the table. */
static netdev_tx_t far_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct sn_end *end = netdev_priv(dev);

	atomic64_inc(&end->tx_packets);
	atomic64_add(skb->len, &end->tx_bytes);
	sn_pipeline(end->port, skb);
	return NETDEV_TX_OK;
}

/* A frame arrives at a netdev of ours. Called in softirq or with BH off. */
void sn_deliver(struct net_device *dev, struct sk_buff *skb)
{
	struct sn_end *end = netdev_priv(dev);
	unsigned int len = skb->len;

	if (!netif_running(dev) || !netif_carrier_ok(dev)) {
		atomic64_inc(&end->dropped);
		kfree_skb(skb);
		return;
	}
	skb_orphan(skb);
	skb_scrub_packet(skb, true);
	skb_clear_tstamp(skb);
	skb->ip_summed = CHECKSUM_NONE;
	skb->protocol = eth_type_trans(skb, dev);
	if (netif_rx(skb) == NET_RX_SUCCESS) {
		atomic64_inc(&end->rx_packets);
		atomic64_add(len, &end->rx_bytes);
	} else {
		atomic64_inc(&end->dropped);
	}
}

static bool running(struct net_device *dev) { return dev && netif_running(dev); }

static void carrier(struct net_device *dev, bool on)
{
	if (!dev)
		return;
	if (on)
		netif_carrier_on(dev);
	else
		netif_carrier_off(dev);
}

/* Both ends have carrier when both are up and nobody holds it down. */
void sn_carrier(struct sn_port *port)
{
	struct net_device *rep, *far;
	bool on;

	rcu_read_lock();
	rep = rcu_dereference(port->rep);
	far = rcu_dereference(port->far);
	on = running(far) && (running(rep) || !sn_wants_rep(port)) && !port->flapped;
	carrier(rep, on);
	carrier(far, on);
	rcu_read_unlock();
}

static int end_open(struct net_device *dev)
{
	sn_carrier(sn_port_of(dev));
	return 0;
}

static void get_stats(struct net_device *dev, struct rtnl_link_stats64 *s)
{
	struct sn_end *end = netdev_priv(dev);

	s->rx_packets = atomic64_read(&end->rx_packets);
	s->rx_bytes = atomic64_read(&end->rx_bytes);
	s->tx_packets = atomic64_read(&end->tx_packets);
	s->tx_bytes = atomic64_read(&end->tx_bytes);
	s->rx_dropped = atomic64_read(&end->dropped);
}

static int set_features(struct net_device *dev, netdev_features_t features)
{
	struct sn_port *port = sn_port_of(dev);

	if ((dev->features & NETIF_F_HW_TC) && !(features & NETIF_F_HW_TC) && port->card->profile->set_features)
		return port->card->profile->set_features(port);
	return 0;
}

#ifndef SN_LINKS_DEVLINK_PORT
static struct devlink_port *get_devlink_port(struct net_device *dev)
{
	struct sn_port *port = sn_port_of(dev);

	return port->dl_registered ? &port->dl : NULL;
}
#endif

static const struct net_device_ops rep_ops = {
	.ndo_open = end_open,
	.ndo_stop = end_open,
	.ndo_start_xmit = rep_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_get_stats64 = get_stats,
	.ndo_set_features = set_features,
	.ndo_setup_tc = sn_setup_tc,
#ifndef SN_LINKS_DEVLINK_PORT
	.ndo_get_devlink_port = get_devlink_port,
#endif
};

static const struct net_device_ops far_ops = {
	.ndo_open = end_open,
	.ndo_stop = end_open,
	.ndo_start_xmit = far_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_get_stats64 = get_stats,
};

bool sn_is_rep(const struct net_device *dev) { return dev->netdev_ops == &rep_ops; }

static void drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "simnic", sizeof(info->driver));
	strscpy(info->bus_info, dev_name(&sn_port_of(dev)->card->dev), sizeof(info->bus_info));
}

static const struct ethtool_ops end_ethtool_ops = { .get_drvinfo = drvinfo, .get_link = ethtool_op_get_link };

static void setup(struct net_device *dev)
{
	ether_setup(dev);
	sn_lltx(dev);
	dev->priv_flags |= IFF_NO_QUEUE | IFF_LIVE_ADDR_CHANGE;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = 9600;
	dev->ethtool_ops = &end_ethtool_ops;
	dev->needs_free_netdev = false;
	dev->needed_headroom = VLAN_HLEN; /* for a pushed tag */
	eth_hw_addr_random(dev);
}

static const char *const rep_names[] = { "sim%up%u", "sim%upf0vf%u", "sim%upf0sf%u" };
static const char *const far_names[] = { "sim%up%uw", "sim%uv%u", "sim%us%u" };

/* Makes one of a port's netdevs, in the namespace of the card. RTNL is not held. */
struct net_device *sn_netdev_add(struct sn_port *port, bool far)
{
	struct sn_card *card = port->card;
	struct net_device *dev;
	struct sn_end *end;
	char name[IFNAMSIZ];
	int err;

	snprintf(name, sizeof(name), far ? far_names[port->kind] : rep_names[port->kind], card->opt.id, port->num);
	dev = alloc_netdev(sizeof(*end), name, NET_NAME_USER, setup);
	if (!dev)
		return ERR_PTR(-ENOMEM);
	end = netdev_priv(dev);
	end->port = port;
	end->far = far;
	dev_net_set(dev, devlink_net(card->devlink));
	dev->netdev_ops = far ? &far_ops : &rep_ops;
	if (!far) {
		SET_NETDEV_DEV(dev, &card->dev);
		if (!card->profile->no_offload) {
			dev->hw_features |= NETIF_F_HW_TC;
			if (!card->profile->tc_off)
				dev->features |= NETIF_F_HW_TC;
		}
#ifdef SN_LINKS_DEVLINK_PORT
		SET_NETDEV_DEVLINK_PORT(dev, &port->dl);
#endif
	}
	netif_carrier_off(dev);
	err = register_netdev(dev);
	if (err) {
		pr_err("simnic: %s cannot be registered: %d\n", name, err);
		free_netdev(dev);
		return ERR_PTR(err);
	}
#ifndef SN_LINKS_DEVLINK_PORT
	if (!far)
		devlink_port_type_eth_set(&port->dl, dev);
#endif
	rcu_assign_pointer(*(far ? &port->far : &port->rep), dev);
	return dev;
}

/* Takes it away; its filters leave with its qdisc, through the flower callback. */
void sn_netdev_del(struct net_device *dev)
{
	struct sn_end *end = netdev_priv(dev);
	struct sn_port *port = end->port;

#ifndef SN_LINKS_DEVLINK_PORT
	if (!end->far)
		devlink_port_type_clear(&port->dl);
#endif
	if (end->far)
		RCU_INIT_POINTER(port->far, NULL);
	else
		RCU_INIT_POINTER(port->rep, NULL);
	synchronize_net(); /* no frame is on its way to it any more */
	unregister_netdev(dev);
	free_netdev(dev);
	sn_carrier(port);
}
