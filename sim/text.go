package sim

import (
	"fmt"
	"strings"
)

// String prints the card: its ports, and its rules in order of installation with
// what they have counted. The form is stable; golden files rest on it.
func (n *NIC) String() string {
	ports, rules, s := n.Ports(), n.Rules(), n.Stats()
	var b strings.Builder
	fmt.Fprintf(&b, "nic %s rules %d of %d\n", n.name, s.Rules, n.caps.MaxRules)
	for _, p := range ports {
		state := "up"
		if !p.Up {
			state = "down"
		}
		fmt.Fprintf(&b, "port %d %s mac %s mtu %d %s\n", p.Ifindex, p.Name, p.MAC, p.MTU, state)
	}
	for _, in := range rules {
		who := "stranger"
		if c := in.Rule.Cookie; c.Ours() {
			who = fmt.Sprintf("gen %d dir %d", c.Gen(), c.Dir())
		}
		fmt.Fprintf(&b, "rule %s %s packets %d bytes %d: %s\n", who, in.Presence, in.Counter.Packets, in.Counter.Bytes, &in.Rule)
	}
	return b.String()
}
