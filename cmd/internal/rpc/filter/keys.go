package filter

import (
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// key is one row: what may stand left of "=".
type key struct {
	name    string
	help    string
	example string
	fixed   bool                                                // looks at tuples alone
	words   func() []string                                     // its closed list, for completion; may be nil
	parse   func(Env, string) (func(*offload.View) bool, *flaw) // of one value
}

// flag is a condition without a value.
type flag struct {
	name, help string
	test       func(*offload.View) bool
}

// flaw says what is wrong with a value.
type flaw struct{ text, mend string }

var keys = []key{
	{name: "state", help: "where the flow stands", example: "state=active", words: stateWords, parse: parseState},
	{name: "reason", help: "why it is not in hardware (one of several)", example: "reason=table_full", words: reasonWords, parse: parseReason},
	{name: "cause", help: "why it last left hardware", example: "cause=route_changed", words: causeWords, parse: parseCause},
	{name: "proto", help: "protocol, by name or number", example: "proto=tcp", fixed: true, words: protoWords, parse: parseProto},
	{name: "family", help: "address family", example: "family=ipv6", fixed: true, words: familyWords, parse: parseFamily},
	{name: "src", help: "address or prefix of the client, before or after NAT", example: "src=10.0.0.0/8", fixed: true, parse: addrKey(true, false)},
	{name: "dst", help: "address or prefix of the server, before or after NAT", example: "dst=192.0.2.1", fixed: true, parse: addrKey(false, true)},
	{name: "addr", help: "address or prefix of either", example: "addr=2001:db8::/32", fixed: true, parse: addrKey(true, true)},
	{name: "sport", help: "port, or range, of the client", example: "sport=1024-65535", fixed: true, parse: portKey(true, false)},
	{name: "dport", help: "port, or range, of the server", example: "dport=443", fixed: true, parse: portKey(false, true)},
	{name: "port", help: "port, or range, of either", example: "port=53", fixed: true, parse: portKey(true, true)},
	{name: "zone", help: "conntrack zone, of either direction", example: "zone=7", fixed: true, parse: parseZone},
	{name: "nat", help: "what the kernel rewrites", example: "nat=snat", fixed: true, words: natWords, parse: parseNAT},
	{name: "mark", help: "conntrack mark, with an optional mask", example: "mark=0x10/0xf0", parse: parseMark},
	{name: "tcp", help: "conntrack's TCP state", example: "tcp=established", words: tcpWords, parse: parseTCP},
	{name: "rule", help: "where the rule of either direction stands", example: "rule=refused", words: ruleWords, parse: parseRule},
	{name: "in", help: "interface where either direction enters, by name or number", example: "in=eth0", parse: routeKey(true, false)},
	{name: "out", help: "interface where either direction leaves", example: "out=eth1", parse: routeKey(false, true)},
	{name: "via", help: "interface where either direction enters or leaves", example: "via=eth0", parse: routeKey(true, true)},
	{name: "device", help: "number of the device that has its rules", example: "device=0", parse: parseDevice},
	{name: "owner", help: "owner of the intent in force", example: "owner=alice", parse: parseOwner},
	{name: "uid", help: "the flow's own number", example: "uid=17", fixed: true, parse: parseUID},
}

var flags = []flag{
	{"offloaded", "both rules are in hardware", func(v *offload.View) bool { return v.State.InHardware() }},
	{"pinned", "a pin is in force", func(v *offload.View) bool { return v.Pinned }},
	{"denied", "a denial is in force", func(v *offload.View) bool { return v.Intent.Kind == offload.IntentDeny }},
	{"held", "an eviction keeps it out", func(v *offload.View) bool { return v.Intent.Kind == offload.IntentHold }},
	{"routed", "its routes are known", func(v *offload.View) bool { return v.HasRoutes }},
	{"gone", "the connection has ended", func(v *offload.View) bool { return v.Gone || v.State == flow.StateGone }},
}

func find(ks []key, name string) *key {
	for i := range ks {
		if ks[i].name == name {
			return &ks[i]
		}
	}
	return nil
}

// Keys lists the names of the keys.
func Keys() []string {
	out := make([]string, len(keys))
	for i := range keys {
		out[i] = keys[i].name
	}
	return out
}

// Flags lists the names of the flags.
func Flags() []string {
	out := make([]string, len(flags))
	for i := range flags {
		out[i] = flags[i].name
	}
	return out
}

// Words lists what may stand right of a key that has a closed list; nil for others.
func Words(name string) []string {
	if k := find(keys, name); k != nil && k.words != nil {
		return k.words()
	}
	return nil
}

// Help describes a key or flag, with an example.
func Help(name string) (help, example string) {
	if k := find(keys, name); k != nil {
		return k.help, k.example
	}
	for i := range flags {
		if flags[i].name == name {
			return flags[i].help, name
		}
	}
	return "", ""
}
