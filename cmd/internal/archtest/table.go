package archtest

// Module is the path that our own imports begin with.
const Module = "github.com/shunt-offload/shunt"

// row says what the packages under a folder may import.
type row struct {
	pkg string   // folder; "x/..." is x and all below it. The most exact row wins
	may []string // folders of ours, in the same form; a package may always import what lies below itself
}

// ours: the engine never sees netlink, the wire codec never sees a flow, a
// driver never sees the engine, and only cmd sees everything.
var ours = []row{
	{"hwif", nil},
	{"hwif/flow", []string{"hwif"}},
	{"hwif/policy/...", []string{"hwif", "hwif/flow", "hwif/policy/..."}},
	{"hwif/plan/...", []string{"hwif", "hwif/flow", "hwif/plan/..."}},
	{"hwif/offload/...", []string{"hwif", "hwif/flow", "hwif/policy", "hwif/plan", "hwif/offload/..."}},
	{"hwif/hwiftest/...", []string{"hwif", "hwif/flow", "hwif/hwiftest/..."}},
	{"conntrack/...", []string{"hwif", "hwif/flow", "conntrack/..."}},
	{"route/...", []string{"hwif", "hwif/flow", "route/..."}},
	{"switchdev/...", []string{"hwif", "hwif/flow", "switchdev/..."}},
	{"tc/...", []string{"hwif", "tc/..."}},
	{"drivers", []string{"hwif", "switchdev", "drivers/..."}},
	{"drivers/xdp/...", []string{"hwif", "drivers/xdp/..."}},
	{"drivers/sim/...", []string{"hwif", "sim", "drivers/sim/..."}},
	{"drivers/...", []string{"hwif", "tc/...", "switchdev/...", "drivers/flower"}},
	{"drivers/flower/flowertest/...", []string{"hwif/...", "tc/...", "switchdev/...", "drivers/flower/...", "sim/simnic"}}, // the suite over an emulated card
	{"sim", []string{"hwif", "hwif/flow"}},
	{"sim/kernel/...", []string{"hwif", "hwif/flow", "hwif/offload", "sim", "sim/kernel/..."}},
	{"sim/rig/...", []string{"sim/lab", "sim/traffic", "sim/rig/...", "proto/..."}}, // a client of the daemon
	{"sim/...", []string{"hwif", "hwif/flow", "tc/...", "sim/..."}},
	{"proto/...", []string{"proto/..."}},
	{"cmd/...", []string{"..."}},
	{"test/...", []string{"sim/...", "proto/..."}}, // programs from outside
	{".", nil}, // no package at the root
}

// tests is what a _test.go file may import on top of its package's row: the
// engine's tests run on the simulated card, a driver's on the suite.
var tests = []string{"hwif/...", "sim/...", "drivers/sim", "drivers/flower/flowertest"}

// outside says where modules that are not ours may be imported. A module that
// no row names is refused everywhere, so that each new one is a decision.
var outside = []row{
	{"github.com/cilium/ebpf", []string{"drivers/xdp/...", "route/observe/...", "sim/blast"}},
	{"google.golang.org/grpc", []string{"proto/...", "cmd/...", "sim/rig"}},
	{"google.golang.org/genproto/googleapis/rpc", []string{"proto/...", "cmd/..."}}, // error details
	{"google.golang.org/protobuf", []string{"proto/...", "cmd/..."}},
	{"github.com/prometheus/client_golang", []string{"cmd/internal/metrics"}},
	{"github.com/spf13/cobra", []string{"cmd/..."}},
	{"github.com/goccy/go-yaml", []string{"cmd/internal/config"}},
	{"github.com/gaissmai/bart", []string{"route/..."}},
	{"golang.org/x/sync", []string{"cmd/...", "conntrack/...", "route/...", "sim/..."}},
	{"golang.org/x/sys", []string{"conntrack/...", "route/...", "switchdev/...", "tc/...", "drivers/...", "sim/...", "cmd/..."}},
	{"github.com/vishvananda/netlink", netlinkUsers},
	{"github.com/vishvananda/netns", netlinkUsers},
	{"github.com/mdlayher/netlink", netlinkUsers},
	{"github.com/mdlayher/genetlink", netlinkUsers},
	{"github.com/mdlayher/devlink", netlinkUsers},
	{"github.com/safchain/ethtool", netlinkUsers},
}

// netlinkUsers are the packages that talk to the kernel about links and flows.
var netlinkUsers = []string{"conntrack/...", "route/...", "switchdev/...", "tc/...", "drivers/xdp/...", "sim/lab/...", "cmd/internal/doctor", "cmd/shunt-bench"}

// forTests are the packages that exist for tests alone.
var forTests = []string{"hwif/hwiftest/...", "sim/lab/...", "sim/simnic/...", "drivers/flower/flowertest/..."}

// testModules may stand in _test.go files and in forTests: no program contains
// them.
var testModules = []string{
	"pgregory.net/rapid",
	"github.com/google/go-cmp",
	"go.uber.org/goleak",
	"github.com/rogpeppe/go-internal",
	"github.com/gopacket/gopacket",
	"github.com/ti-mo/conntrack",
	"github.com/ti-mo/netfilter",
}

// nameless are words that say nothing about what a package holds.
var nameless = []string{"util", "utils", "common", "manager", "helper", "helpers", "misc", "lib", "shared"}

// maxLines is the longest file written by hand: what one reads to the end.
const maxLines = 600
