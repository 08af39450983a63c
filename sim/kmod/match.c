// SPDX-License-Identifier: GPL-2.0
/* tc's match as the table's key and mask. What a profile let pass is parsed here. */
#include <linux/if_vlan.h>

#include "simnic.h"

static void tag(const struct flow_match_vlan *m, __be16 *ktpid, u16 *ktci, __be16 *mtpid, u16 *mtci)
{
	*ktpid = m->key->vlan_tpid;
	*mtpid = m->mask->vlan_tpid ?: htons(0xffff);
	if (!m->mask->vlan_tpid)
		*ktpid = htons(ETH_P_8021Q);
	*ktci = m->key->vlan_id | m->key->vlan_priority << VLAN_PRIO_SHIFT;
	*mtci = m->mask->vlan_id | m->mask->vlan_priority << VLAN_PRIO_SHIFT;
}

/* Both kinds of addresses lie in one union of flower's, so that a mask of one looks
 * like a mask of the other; the control key says which it is. */
static void addresses(const struct flow_rule *r, struct sn_key *key, struct sn_key *mask)
{
	struct flow_match_control c;
	u16 type = 0;

	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_CONTROL)) {
		flow_rule_match_control(r, &c);
		type = c.key->addr_type;
	}
	if (type == FLOW_DISSECTOR_KEY_IPV4_ADDRS) {
		struct flow_match_ipv4_addrs m;

		flow_rule_match_ipv4_addrs(r, &m);
		memcpy(key->ip_src, &m.key->src, 4);
		memcpy(mask->ip_src, &m.mask->src, 4);
		memcpy(key->ip_dst, &m.key->dst, 4);
		memcpy(mask->ip_dst, &m.mask->dst, 4);
	}
	if (type == FLOW_DISSECTOR_KEY_IPV6_ADDRS) {
		struct flow_match_ipv6_addrs m;

		flow_rule_match_ipv6_addrs(r, &m);
		memcpy(key->ip_src, &m.key->src, 16);
		memcpy(mask->ip_src, &m.mask->src, 16);
		memcpy(key->ip_dst, &m.key->dst, 16);
		memcpy(mask->ip_dst, &m.mask->dst, 16);
	}
}

static void headers(const struct flow_rule *r, struct sn_key *key, struct sn_key *mask)
{
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_BASIC)) {
		struct flow_match_basic m;

		flow_rule_match_basic(r, &m);
		key->proto = m.key->n_proto;
		mask->proto = m.mask->n_proto;
		key->ip_proto = m.key->ip_proto;
		mask->ip_proto = m.mask->ip_proto;
	}
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_CONTROL)) {
		struct flow_match_control m;

		flow_rule_match_control(r, &m);
		key->frag = m.key->flags & (FLOW_DIS_IS_FRAGMENT | FLOW_DIS_FIRST_FRAG);
		mask->frag = m.mask->flags & (FLOW_DIS_IS_FRAGMENT | FLOW_DIS_FIRST_FRAG);
	}
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_IP)) {
		struct flow_match_ip m;

		flow_rule_match_ip(r, &m);
		key->tos = m.key->tos;
		mask->tos = m.mask->tos;
		key->ttl = m.key->ttl;
		mask->ttl = m.mask->ttl;
	}
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_PORTS)) {
		struct flow_match_ports m;

		flow_rule_match_ports(r, &m);
		key->sport = m.key->src;
		mask->sport = m.mask->src;
		key->dport = m.key->dst;
		mask->dport = m.mask->dst;
	}
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_TCP)) {
		struct flow_match_tcp m;

		flow_rule_match_tcp(r, &m);
		key->tcp_flags = m.key->flags;
		mask->tcp_flags = m.mask->flags;
	}
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_ICMP)) {
		struct flow_match_icmp m;

		flow_rule_match_icmp(r, &m);
		key->icmp[0] = m.key->type;
		mask->icmp[0] = m.mask->type;
		key->icmp[1] = m.key->code;
		mask->icmp[1] = m.mask->code;
	}
}

int sn_match_parse(struct sn_port *port, struct flow_cls_offload *f, struct sn_key *key, struct sn_key *mask)
{
	const struct flow_rule *r = flow_cls_offload_flow_rule(f);
	bool l2 = false;

	memset(key, 0, sizeof(*key));
	memset(mask, 0, sizeof(*mask));
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_ETH_ADDRS)) {
		struct flow_match_eth_addrs m;

		flow_rule_match_eth_addrs(r, &m);
		ether_addr_copy(key->dst, m.key->dst);
		ether_addr_copy(mask->dst, m.mask->dst);
		ether_addr_copy(key->src, m.key->src);
		ether_addr_copy(mask->src, m.mask->src);
		l2 = true;
	}
	headers(r, key, mask);
	addresses(r, key, mask);
	if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_VLAN)) {
		struct flow_match_vlan m;

		flow_rule_match_vlan(r, &m);
		tag(&m, &key->tpid, &key->tci, &mask->tpid, &mask->tci);
		if (flow_rule_match_key(r, FLOW_DISSECTOR_KEY_CVLAN)) {
			flow_rule_match_cvlan(r, &m);
			tag(&m, &key->ctpid, &key->ctci, &mask->ctpid, &mask->ctci);
		} else if (mask->proto && !port->card->profile->any_vlan) {
			mask->ctpid = htons(0xffff); /* one tag, then the ethertype */
		}
	} else if ((mask->proto || l2) && !port->card->profile->any_vlan) {
		mask->tpid = htons(0xffff); /* an L2 match without VLAN is about untagged frames */
	}
	return 0;
}
