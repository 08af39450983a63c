package maze

import "fmt"

// bundle joins the last two ports.
func bundle(bond bool) []string {
	if bond {
		lines := []string{"ip link add b3 address 02:00:00:00:03:01 type bond mode active-backup miimon 50"}
		for i := bridge; i < Ports; i++ {
			lines = append(lines, joins(i)...)
		}
		return append(lines, "ip link set b3 up")
	}
	// Where bridges call iptables (br_netfilter), a frame whose destination NAT changes is
	// bridged on, but a tagged one is routed: the two forms would not be the same packet.
	return []string{"sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null; true",
		"ip link add b3 address 02:00:00:00:03:01 type bridge forward_delay 0", "ip link set r3 master b3", "ip link set r4 master b3", "ip link set b3 up"}
}

// joins makes a port a member of the bond, which takes none that is up.
func joins(port int) []string {
	r := Port(port)
	return []string{"ip link set " + r + " down", "ip link set " + r + " master b3", "ip link set " + r + " up"}
}

// bundleKinds are what can change about it.
func bundleKinds(bond bool) []kind {
	if bond {
		return []kind{
			{"bond_active", 8, func(d *dice) []string {
				return []string{"ip link set b3 type bond active_slave " + Port(bridge+d.n(2))}
			}},
			{"bond_left", 3, func(d *dice) []string {
				p := bridge + d.n(2)
				return append([]string{"ip link set " + Port(p) + " nomaster"}, joins(p)...)
			}},
		}
	}
	return []kind{
		{"station_moves", 5, func(d *dice) []string {
			return []string{stationLine("replace", d.station(), bridge+d.n(2))}
		}},
		{"station_forgotten", 2, func(d *dice) []string {
			mac := d.station()
			return []string{stationLine("del", mac, bridge) + " || " + stationLine("del", mac, bridge+1)}
		}},
		{"spanning_tree", 2, func(d *dice) []string {
			return []string{fmt.Sprintf("bridge link set dev %s state %d", Port(bridge+d.n(2)), 3*d.n(2))}
		}},
		{"bridge_left", 2, func(d *dice) []string {
			p := Port(bridge + d.n(2))
			return []string{"ip link set " + p + " nomaster", "ip link set " + p + " master b3"}
		}},
	}
}

// stationLine is about where the bridge has a MAC.
func stationLine(verb, mac string, port int) string {
	return fmt.Sprintf("bridge fdb %s %s dev %s master static", verb, mac, Port(port))
}
