package maze

import (
	"fmt"
	"math/rand/v2"
)

// dice are what chance decides.
type dice struct{ *rand.Rand }

func (d *dice) n(below int) int { return d.IntN(below) }

func (d *dice) one(of ...string) string { return of[d.n(len(of))] }

func (d *dice) version() int { return 4 + 2*d.n(2) }

func (d *dice) client(v int) string {
	if v == 4 {
		return fmt.Sprintf("10.0.0.1%d", 1+d.n(perFamily))
	}
	return fmt.Sprintf("fd00:0::1%d", 1+d.n(perFamily))
}

func (d *dice) server(v int) string {
	if v == 4 {
		return fmt.Sprintf("198.51.100.%d", 1+d.n(perFamily))
	}
	return fmt.Sprintf("2001:db8:1::%d", 1+d.n(perFamily))
}

func (d *dice) host(v int) string {
	if v == 4 {
		return "/32"
	}
	return "/128"
}

// prefix is one that holds some or all servers.
func (d *dice) prefix(v int) string {
	all := prefixes(v, 1+d.n(perFamily))
	return all[d.n(len(all))]
}

// prefixes are those that hold server n, the widest first.
func prefixes(v, n int) []string {
	if v == 4 {
		return []string{"default", "198.51.0.0/16", "198.51.100.0/24", fmt.Sprintf("198.51.100.%d/30", n&^3), fmt.Sprintf("198.51.100.%d/32", n)}
	}
	return []string{"default", "2001:db8::/32", "2001:db8:1::/64", fmt.Sprintf("2001:db8:1::%x/126", n&^3), fmt.Sprintf("2001:db8:1::%d/128", n)}
}

// hop is a way out by one of the ports that lead to the servers.
func (d *dice) hop(v int) string {
	i, h := 1+d.n(sides-1), 2+d.n(Hops)
	if v == 4 {
		return fmt.Sprintf("via 10.%d.0.%d dev %s", i, h, dev(i))
	}
	return fmt.Sprintf("via fd00:%d::%d dev %s", i, h, dev(i))
}

func (d *dice) neighbour(verb, rest string) []string {
	return hopLine(verb, 1+d.n(sides-1), d.n(Hops), rest)[d.n(2):][:1]
}

// link is a port but the clients', or the bridge.
func (d *dice) link() string {
	if i := 1 + d.n(Ports); i < Ports {
		return Port(i)
	}
	return dev(bridge)
}

// station is a next hop's MAC behind the bridge.
func (d *dice) station() string { return hopMAC(bridge, d.n(Hops), d.n(3)) }
