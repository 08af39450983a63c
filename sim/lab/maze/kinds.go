package maze

import "fmt"

// kinds is the list of everything that can change. The first makes good.
func kinds() []kind {
	return []kind{
		{"repair", 3, repair},
		{"route_replace", 10, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route replace %s %s", v, d.prefix(v), d.hop(v))}
		}},
		{"route_to_client", 4, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route replace %s %s", v, d.client(v)+d.host(v), d.hop(v))}
		}},
		{"route_to_client_delete", 3, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route del %s", v, d.client(v)+d.host(v))}
		}},
		{"route_delete", 6, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route del %s", v, d.prefix(v))}
		}},
		{"route_mtu", 3, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route replace %s %s mtu %s%d", v, d.prefix(v), d.hop(v), d.one("", "lock "), 1300+100*d.n(4))}
		}},
		{"route_multipath", 6, func(d *dice) []string {
			v := d.version()
			line := fmt.Sprintf("ip -%d route replace %s", v, d.prefix(v))
			for range 2 + d.n(2) {
				line += fmt.Sprintf(" nexthop %s weight %d", d.hop(v), 1+d.n(3))
			}
			return []string{line}
		}},
		{"route_discard", 3, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route replace %s %s", v, d.one("blackhole", "unreachable", "prohibit"), d.prefix(v))}
		}},
		{"nexthop_replace", 5, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d nexthop replace id %d %s", v, nhid(v, d.n(3)), d.hop(v))}
		}},
		{"nexthop_group", 4, func(d *dice) []string {
			v, a := d.version(), d.n(3)
			b := (a + 1) % 3
			return []string{fmt.Sprintf("ip -%d nexthop replace id %d %s", v, nhid(v, a), d.hop(v)),
				fmt.Sprintf("ip -%d nexthop replace id %d %s", v, nhid(v, b), d.hop(v)),
				fmt.Sprintf("ip nexthop replace id %d group %d/%d", nhid(v, 9), nhid(v, a), nhid(v, b))}
		}},
		{"nexthop_route", 6, func(d *dice) []string {
			v := d.version()
			id := nhid(v, d.n(3))
			if d.n(3) == 0 {
				id = nhid(v, 9)
			}
			return []string{fmt.Sprintf("ip -%d route replace %s nhid %d", v, d.prefix(v), id)}
		}},
		{"nexthop_delete", 3, func(d *dice) []string {
			return []string{fmt.Sprintf("ip nexthop del id %d", nhid(d.version(), d.n(3)))}
		}},
		{"rule_add", 9, ruleAdd},
		{"rule_delete", 4, func(d *dice) []string {
			return []string{fmt.Sprintf("ip -%d rule del prio %d", d.version(), 100+d.n(4))}
		}},
		{"table_route", 4, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route replace default %s table %d", v, d.hop(v), 200+d.n(3))}
		}},
		{"mark_set", 3, func(d *dice) []string {
			return []string{fmt.Sprintf("nft add rule inet maze marks udp dport %d meta mark set %d", 5001+d.n(perFamily), 1+d.n(3))}
		}},
		{"mark_clear", 2, func(*dice) []string { return []string{"nft flush chain inet maze marks"} }},
		{"neighbour_moves", 8, func(d *dice) []string {
			return d.neighbour("replace", fmt.Sprintf("02:00:00:%02x:%02x:%02x nud permanent", d.n(200), d.n(200), d.n(200)))
		}},
		{"neighbour_client_moves", 4, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip neigh replace %s dev r0 lladdr 02:00:0c:00:%02x:%02x nud permanent", d.client(v), d.n(200), d.n(200))}
		}},
		{"neighbour_delete", 4, func(d *dice) []string { return d.neighbour("del", "") }},
		{"neighbour_state", 6, func(d *dice) []string {
			return d.neighbour("replace", hopMAC(d.n(sides), d.n(Hops), d.n(3))+" nud "+d.one("stale", "reachable", "noarp", "permanent", "failed"))
		}},
		{"link_down", 3, func(d *dice) []string { return []string{"ip link set " + d.link() + " down"} }},
		{"link_flap", 3, func(d *dice) []string {
			r := d.link()
			return []string{"ip link set " + r + " down", "ip link set " + r + " up"}
		}},
		{"link_mtu", 4, func(d *dice) []string {
			return []string{fmt.Sprintf("ip link set %s mtu %d", d.one(Port(0), d.link()), 1300+100*d.n(3))}
		}},
		{"link_address", 3, func(d *dice) []string {
			i := d.n(sides)
			return []string{fmt.Sprintf("ip link set %s address 02:00:00:00:%02x:%02x", dev(i), i, 0x20+d.n(9))}
		}},
		{"address_add", 3, func(d *dice) []string {
			i := d.n(sides)
			return []string{fmt.Sprintf("ip addr add 10.%d.0.%d/24 dev %s", i, 90+d.n(3), dev(i)), fmt.Sprintf("ip addr add fd00:%d::%d/64 dev %s nodad", i, 90+d.n(3), dev(i))}
		}},
		{"address_delete", 2, func(d *dice) []string {
			i := d.n(sides)
			return []string{fmt.Sprintf("ip addr del 10.%d.0.%d/24 dev %s", i, 90+d.n(3), dev(i)), fmt.Sprintf("ip addr del fd00:%d::%d/64 dev %s", i, 90+d.n(3), dev(i))}
		}},
		{"address_becomes_local", 3, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip addr add %s%s dev lo nodad", d.server(v), d.host(v))}
		}},
		{"address_is_local_no_more", 3, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip addr del %s%s dev lo", d.server(v), d.host(v))}
		}},
		{"ruleset_drop", 4, func(d *dice) []string {
			return []string{fmt.Sprintf("nft add rule inet maze forward udp %s %d drop", d.one("dport", "sport"), 5001+d.n(perFamily))}
		}},
		{"ruleset_flush", 3, func(*dice) []string { return []string{"nft flush chain inet maze forward"} }},
		{"conntrack_delete", 4, func(d *dice) []string {
			return []string{fmt.Sprintf("conntrack -D -f %s -p udp --orig-port-dst %d >/dev/null 2>&1", d.one("ipv4", "ipv6"), 5001+d.n(perFamily))}
		}},
		{"forwarding", 3, func(d *dice) []string {
			return []string{fmt.Sprintf("sysctl -qw net.%s=%d", d.one("ipv4.conf."+dev(d.n(sides))+".forwarding", "ipv6.conf.all.forwarding"), d.n(2))}
		}},
		{"rp_filter", 4, func(d *dice) []string {
			return []string{fmt.Sprintf("sysctl -qw net.ipv4.conf.%s.rp_filter=%d", d.one("all", dev(d.n(sides))), d.n(3))}
		}},
		{"ipsec_policy", 2, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip xfrm policy add dir fwd src %s%s dst %s%s action block", d.client(v), d.host(v), d.server(v), d.host(v))}
		}},
		{"ipsec_flush", 2, func(*dice) []string { return []string{"ip xfrm policy flush"} }},
	}
}

func ruleAdd(d *dice) []string {
	v := d.version()
	sel := d.one("from "+d.client(v), "to "+d.server(v), "iif r0", "iif "+dev(1+d.n(sides-1)), fmt.Sprintf("fwmark %d", 1+d.n(3)),
		fmt.Sprintf("ipproto udp dport %d", 5001+d.n(perFamily)))
	return []string{fmt.Sprintf("ip -%d rule add prio %d %s %s", v, 100+d.n(4), sel,
		d.one("table 200", "table 201", "table 202", "prohibit", "blackhole"))}
}

// nhid numbers nexthop objects: of each family three, and a group.
func nhid(version, n int) int { return version*10 + n }

// firstRoutes make a network in which every flow has a way.
func (m *Maze) firstRoutes() []string {
	lines := []string{"ip -4 route replace default via 10.1.0.2 dev r1", "ip -6 route replace default via fd00:1::2 dev r1"}
	for t := range 3 { // rules that name a table find something in it
		lines = append(lines, fmt.Sprintf("ip -4 route replace default via 10.%d.0.3 dev %s table %d", 1+t, dev(1+t), 200+t),
			fmt.Sprintf("ip -6 route replace default via fd00:%d::3 dev %s table %d", 1+t, dev(1+t), 200+t))
	}
	for i := range perFamily {
		lines = append(lines, fmt.Sprintf("ip neigh replace 10.0.0.1%d dev r0 lladdr 02:00:0c:00:00:%02x nud permanent", 1+i, i),
			fmt.Sprintf("ip neigh replace fd00:0::1%d dev r0 lladdr 02:00:0c:00:00:%02x nud permanent", 1+i, i))
	}
	return lines
}

// repair brings everything back into working order; not into the first order.
func repair(d *dice) []string {
	lines := []string{"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0",
		"nft flush chain inet maze forward", "nft flush chain inet maze marks", "ip xfrm policy flush"}
	for _, v := range []int{4, 6} {
		if d.n(3) == 0 {
			lines = append(lines, fmt.Sprintf("for p in 100 101 102 103; do while ip -%d rule del prio $p; do :; done; done 2>/dev/null; true", v))
		}
	}
	for i := range Ports {
		lines = append(lines, fmt.Sprintf("ip link set %s up mtu 1500", Port(i)))
		if i >= bridge {
			lines = append(lines, fmt.Sprintf("ip link set %s master b3", Port(i)), fmt.Sprintf("bridge link set dev %s state 3 2>/dev/null; true", Port(i)))
		}
	}
	for i := range sides {
		if d.n(2) == 0 {
			lines = append(lines, "ip link set "+dev(i)+" nomaster") // out of a VRF
		}
		lines = append(lines, fmt.Sprintf("ip link set %s up mtu 1500", dev(i)), fmt.Sprintf("sysctl -qw net.ipv4.conf.%s.rp_filter=0", dev(i)),
			fmt.Sprintf("ip addr replace fd00:%d::1/64 dev %s nodad", i, dev(i)))
		for h := range Hops {
			mac := hopMAC(i, h, d.n(3))
			lines = append(lines, hopLine("replace", i, h, mac+" nud permanent")...)
			if i == bridge {
				lines = append(lines, stationLine("replace", mac, bridge+d.n(2))+" 2>/dev/null; true") // not of a bond
			}
		}
	}
	i := 1 + d.n(sides-1)
	lines = append(lines, fmt.Sprintf("ip -4 route replace default via 10.%d.0.2 dev %s", i, dev(i)),
		fmt.Sprintf("ip -6 route replace default via fd00:%d::2 dev %s", i, dev(i)))
	if d.n(2) == 0 { // what is more specific goes, so that the default is used
		for _, v := range []int{4, 6} {
			for _, p := range prefixes(v, 1+d.n(perFamily))[1:] {
				lines = append(lines, fmt.Sprintf("ip -%d route del %s 2>/dev/null; true", v, p))
			}
		}
	}
	for n := range perFamily {
		lines = append(lines, fmt.Sprintf("ip neigh replace 10.0.0.1%d dev r0 lladdr 02:00:0c:00:00:%02x nud permanent", 1+n, n),
			fmt.Sprintf("ip neigh replace fd00:0::1%d dev r0 lladdr 02:00:0c:00:00:%02x nud permanent", 1+n, n))
	}
	return lines
}
