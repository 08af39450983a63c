// Package hwif says what shunt asks of hardware: ports, rules, capabilities,
// results. It is the vocabulary that every other package speaks, and it imports
// nothing but the standard library.
//
// The way of the data:
//
//	down   kernel ──▶ conntrack ──▶ hwif/flow ──▶ hwif/policy ──▶ hwif/plan ──▶ drivers ──▶ NIC
//	                  route         flows and     worth a slot?   flow+route    one card's
//	                  events        their routes                  = two rules   abilities
//	                                └── hwif/offload holds these and hands out batches of rules
//
//	up     NIC ──▶ drivers ──▶ hwif/offload ──▶ hwif/flow ──▶ conntrack ──▶ kernel
//	               counters     which rules      last used     time-outs refreshed
//
// Words (one idea, one word):
//
//   - A flow is one connection with both directions, Orig and Reply.
//   - A rule is one direction of a flow in neutral form: a Match and Actions.
//   - A port is a network interface that a device can match on or send to,
//     known by its ifindex. L4 ports are SrcPort and DstPort.
//   - A device is one table of rules: one eswitch of a card, or an emulation.
//   - A cookie marks a rule as ours. A ghost is ours without a flow; a stranger
//     is not ours and is never touched.
//   - Presence in_hw is the only thing that counts as offloaded.
//
// Users hold *NIC; driver authors implement Device. Values in this package are
// plain and comparable; nothing here starts a goroutine or reads a clock, except
// NIC, which times its calls through a function that it is given.
package hwif
