package doctor

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// Level says how bad a finding is.
type Level uint8

const (
	OK   Level = iota // nothing to do
	Warn              // shuntd runs, but something will be missing or worse
	Fail              // shuntd cannot work like this
)

func (l Level) String() string {
	switch l {
	case Warn:
		return "warn"
	case Fail:
		return "fail"
	}
	return "ok"
}

// Finding is one thing that was looked at.
type Finding struct {
	Name  string // what was looked at, one word: "forwarding"
	Level Level
	Text  string // what was found, one sentence
	Mend  string // the command that mends it; empty when there is nothing to mend
}

// Options say what is to be looked at; zero values are defaults.
type Options struct {
	// Ports are interfaces that are to be given to shuntd. Without any, those of a
	// daemon that answers and has the driver.
	Ports []string
	// Driver is "xdp"; "sim", which needs nothing of the host; or a flower driver. Empty
	// is that of a daemon that answers, where Ports is empty too, otherwise xdp.
	Driver string
	Socket string // the daemon's socket; empty leaves the check out
	// Devices asks a daemon that answers for its devices (ListDevices); nil
	// leaves the daemon unasked.
	Devices func(context.Context) ([]*pb.Device, error)
}

// host is where the checks look. Tests give another.
type host struct {
	opts Options
	proc string // "/proc"
	sys  string // "/sys"
	boot string // "/boot"
	lib  string // "/lib"
	caps func() (uint64, error)
	// release is the running kernel's, as uname(2) has it.
	release string
	// mapCreate makes one small BPF map and closes it.
	mapCreate func() error
	// force asks for a netlink receive buffer of so many bytes and says what was given.
	force func(bytes int) (int, error)
	// take looks at cards and ports; look keeps what it found.
	take func(ctx context.Context, ports []string) *survey
	seen *survey
	// privFlags are an interface's private flags (ethtool --show-priv-flags).
	privFlags func(port string) (map[string]bool, error)
	// observe tries the programs that look at packets: where they run, and why not at
	// a better place.
	observe func() (mode, why string, err error)
	// tables are nftables' flow tables.
	tables func() ([]flowtable, error)

	// What a daemon that answers said of its devices, once it was asked.
	asked   bool
	devices []*pb.Device
	silent  error
}

// drivers is a set of driver families.
type drivers uint8

const (
	onXDP    drivers            = 1 << iota // the emulated NIC
	onFlower                                // cards behind tc flower
	onSim                                   // the card in memory
	onKernel = onXDP | onFlower             // whoever takes over from a real kernel
	onAny    = onKernel | onSim
)

func familyOf(driver string) drivers {
	switch driver {
	case "xdp":
		return onXDP
	case "sim":
		return onSim
	}
	return onFlower
}

// check is one subject.
type check struct {
	on   drivers
	look func(context.Context, *host) []Finding
}

// checks is everything that is looked at, in the order of the report.
var checks = []check{
	{onKernel, privileges},
	{onXDP, kernelBPF},
	{onXDP, kernelBTF},
	{onXDP, bpffs},
	{onFlower, kernelOptions},
	{onFlower, kernelModules},
	{onKernel, conntrackPresent},
	{onKernel, conntrackEvents},
	{onKernel, conntrackExtras},
	{onKernel, conntrackRoom},
	{onKernel, flowtables},
	{onKernel, legacyRules},
	{onKernel, observer},
	{onKernel, receiveBuffer},
	{onKernel, forwarding},
	{onKernel, reversePath},
	{onKernel, routeSysctls},
	{onXDP, ports},
	{onXDP, hardware},
	{onFlower, cards},
	{onFlower, eswitches},
	{onFlower, cardPorts},
	{onFlower, pairs},
	{onFlower, tcOffload},
	{onFlower, lldpAgent},
	{onFlower, clsact},
	{onFlower, owners},
	{onFlower, listeners},
	{onAny, daemon},
}

// Run looks at everything and gives the findings in a fixed order. It ends early
// when ctx does.
func Run(ctx context.Context, opts Options) []Finding {
	runtime.LockOSThread() // checks read this thread's namespace
	defer runtime.UnlockOSThread()
	return run(ctx, &host{
		opts: opts, proc: "/proc", sys: "/sys", boot: "/boot", lib: "/lib", release: release(),
		caps: effective, mapCreate: createMap, force: forceBuffer, take: takeSurvey, privFlags: privFlags, tables: listFlowtables,
		observe: tryObserver,
	})
}

func run(ctx context.Context, h *host) []Finding {
	h.asDaemon(ctx)
	if h.opts.Driver == "" {
		h.opts.Driver = "xdp"
	}
	var out []Finding
	for _, c := range checks {
		if ctx.Err() != nil {
			return out
		}
		if c.on&familyOf(h.opts.Driver) != 0 {
			out = append(out, c.look(ctx, h)...)
		}
	}
	return out
}

// Worst is the highest level among findings.
func Worst(fs []Finding) Level {
	worst := OK
	for _, f := range fs {
		worst = max(worst, f.Level)
	}
	return worst
}

// read gives a file of /proc or /sys without its last newline.
func read(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// sysctl reads a kernel parameter by its path under /proc/sys.
func (h *host) sysctl(path string) (string, error) { return read(h.proc + "/sys/" + path) }

// again is the doctor's own command with the flags of this run, for a mend.
func (h *host) again() string {
	s := "sudo shuntctl doctor"
	if h.opts.Driver != "" && h.opts.Driver != "xdp" {
		s += " --nic " + h.opts.Driver
	}
	if len(h.opts.Ports) > 0 {
		s += " --ports " + strings.Join(h.opts.Ports, ",")
	}
	return s
}

// start is the command that starts shuntd as this run describes it.
func (h *host) start() string {
	driver := h.opts.Driver
	if driver == "" {
		driver = "xdp"
	}
	if len(h.opts.Ports) == 0 {
		return "sudo shuntd --config FILE   # or: sudo shuntd --nic " + driver + " --ports eth0,eth1"
	}
	return "sudo shuntd --nic " + driver + " --ports " + strings.Join(h.opts.Ports, ",") + "   # or: sudo shuntd --config FILE"
}

// plural is a number with its noun.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(n, 10) + " " + many
}
