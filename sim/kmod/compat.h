/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between the kernels that the module is built for: 6.1 and 6.12. */
#ifndef SIMNIC_COMPAT_H
#define SIMNIC_COMPAT_H

#include <linux/version.h>
#include <linux/netdevice.h>
#include <net/devlink.h>
#include <net/flow_offload.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define SN_LINKS_DEVLINK_PORT 1 /* the netdev points to its devlink port (6.2) */
#define SN_LLTX_IS_FLAG 1       /* dev->lltx instead of NETIF_F_LLTX (6.12) */
#endif

static inline void sn_lltx(struct net_device *dev)
{
#ifdef SN_LLTX_IS_FLAG
	dev->lltx = true;
#else
	dev->features |= NETIF_F_LLTX;
#endif
}

/* The cookie that user space gave to an action (TCA_ACT_COOKIE). */
static inline const struct flow_action_cookie *sn_user_cookie(const struct flow_action_entry *act)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	return act->user_cookie;
#else
	return act->cookie;
#endif
}

/* Before 6.2 an instance that can be reloaded had to say so beside its ops. */
static inline void sn_reloads(struct devlink *devlink)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	devlink_set_features(devlink, DEVLINK_F_RELOAD);
#endif
}

/* A text that is no literal, which NL_SET_ERR_MSG wants; NULL says nothing. */
static inline void sn_say(struct netlink_ext_ack *extack, const char *text)
{
	if (extack && text)
		extack->_msg = text;
}

#endif
