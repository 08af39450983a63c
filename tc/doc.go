// Package tc speaks of flower filters with the kernel: hwif rules as netlink
// bytes and back, and the socket that carries them.
//
// It knows one shape of rule, the one that shunt asks for (hwif.Rule), and writes
// it as a card wants it (Shape). Two tables hold the whole of the language: keys,
// with a row for each hwif.Field, and acts, with a row for each hwif.ActionKind. A
// bit that no row consumes refuses the rule, so that nothing vanishes in silence;
// what a filter holds that no row reads is named in Filter.Strange, and the filter
// is a stranger.
//
// File names follow the kernel's: cls_flower, act_pedit, act_csum, act_mirred,
// act_vlan, act_gact. Numbers are those of include/uapi/linux/pkt_cls.h and
// tc_act/*.h; the wire's facts (locking, acknowledgements, what a dump costs) stand
// beside the code that rests on them.
//
// A Conn is one network namespace's, that of the thread that opened it. Its writer
// (Apply, qdiscs) and its reader (Dump, Terse) may run at the same time; each takes
// one caller at a time and waits for the other callers.
package tc
