// Package switchdev is the card as the kernel shows it: which devices devlink
// knows, the mode of their eswitch, their ports (uplinks and representors), what
// lies above those ports (VLAN, bond, bridge, macvlan), and every change of it.
//
// It is not a driver: it never touches a tc filter, and it decides nothing. It
// changes the kernel's state in two places only, both on explicit request:
// Conn.SetEswitchMode and Conn.SetTCOffload.
//
// Conn asks; Inventory is one consistent answer, a value that never changes;
// Watcher keeps an Inventory true and says what has changed as typed events.
// Bytes are package wire's.
//
//	devlink (generic netlink) ─┐
//	rtnetlink links           ─┼─▶ wire ─▶ Inventory ─▶ drivers: ports, groups, stacks
//	ethtool features          ─┘              └─ difference of two ─▶ Event
//
// A host without devlink has an empty Inventory, which is valid: its links can
// still be resolved.
//
// Sockets belong to the network namespace of the thread that opens them.
package switchdev
