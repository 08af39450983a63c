package maze

import "fmt"

// The routing domains that ports come and go in, and their tables.
const (
	vrfs     = 2
	vrfTable = 300
)

func vrfName(n int) string { return fmt.Sprintf("vrf%d", n) }

// vrf makes the domains, where the kernel has them. The ways to the clients leak into
// them, as do those to the servers.
func (m *Maze) vrf() error {
	if well, _, err := sh(m.Router, "ip link add vrf0 type vrf table 300"); err != nil || well == 0 {
		return err
	}
	m.kinds = append(m.kinds, vrfKinds()...)
	var lines []string
	for n := range vrfs {
		if n > 0 {
			lines = append(lines, fmt.Sprintf("ip link add %s type vrf table %d", vrfName(n), vrfTable+n))
		}
		lines = append(lines, "ip link set "+vrfName(n)+" up")
		lines = append(lines, leaks(n)...)
	}
	return all(m.Router, lines...)
}

// leaks are the routes that a domain begins with.
func leaks(n int) []string {
	return []string{
		fmt.Sprintf("ip -4 route replace 10.0.0.0/24 dev r0 table %d", vrfTable+n),
		fmt.Sprintf("ip -6 route replace fd00:0::/64 dev r0 table %d", vrfTable+n),
		fmt.Sprintf("ip -4 route replace default via 10.1.0.2 dev r1 table %d", vrfTable+n),
		fmt.Sprintf("ip -6 route replace default via fd00:1::2 dev r1 table %d", vrfTable+n),
	}
}

func vrfKinds() []kind {
	return []kind{
		{"vrf_enslave", 10, func(d *dice) []string {
			i := d.n(sides)
			return []string{fmt.Sprintf("ip link set %s master %s", dev(i), vrfName(d.n(vrfs))), fmt.Sprintf("ip addr replace fd00:%d::1/64 dev %s nodad", i, dev(i))}
		}},
		{"vrf_release", 5, func(d *dice) []string {
			i := d.n(sides)
			return []string{fmt.Sprintf("ip link set %s nomaster", dev(i)), fmt.Sprintf("ip addr replace fd00:%d::1/64 dev %s nodad", i, dev(i))}
		}},
		{"vrf_route", 6, func(d *dice) []string {
			v := d.version()
			return []string{fmt.Sprintf("ip -%d route replace %s %s table %d", v, d.prefix(v), d.hop(v), vrfTable+d.n(vrfs))}
		}},
		{"vrf_leak", 3, func(d *dice) []string { return leaks(d.n(vrfs)) }},
	}
}
