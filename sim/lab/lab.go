package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"

	"github.com/shunt-offload/shunt/sim/simnic"
)

// Options say how the lab differs from the plain one. Zero values are defaults.
type Options struct {
	// NoNAT leaves IPv4 addresses as they are.
	NoNAT bool
	// VLAN tags the frames between client and router; 0 means untagged. The
	// kernel must have 8021q.
	VLAN uint16
	// UDPTimeout is nf_conntrack_udp_timeout_stream in the router, in seconds;
	// 0 leaves the kernel's 120.
	UDPTimeout int
	// NIC gives the router ports of an emulated card instead of plain cables: LANPort
	// is the representor of its first VF, which is the client's interface, and WANPort
	// its uplink, whose cable leads to the switch. The kernel must have the simnic
	// module.
	NIC *simnic.Options
	// DNAT sends what is meant for Server4 to the server's address at next hop A.
	DNAT bool
	// Bare makes the client's and the router's namespaces and nothing in them.
	Bare bool
	// Log gets one line per step at debug level; nil means silent.
	Log *slog.Logger
}

// Lab is the network that doc.go draws.
type Lab struct {
	Client, Router, Switch, Server *Namespace

	opts  Options
	procs processes
	made  []*Namespace
	card  *simnic.Card
}

// Card is the router's emulated card, nil without one.
func (l *Lab) Card() *simnic.Card { return l.card }

// made counts the labs of this program, so that two can stand side by side.
var serial atomic.Int32

// New builds a lab. On failure nothing is left behind.
func New(ctx context.Context, opts Options) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a lab of network namespaces needs root: run it with sudo")
	}
	if missing := Missing(); len(missing) > 0 {
		return nil, fmt.Errorf("missing programs %v: apt-get install %s", missing, Packages)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	l := &Lab{opts: opts}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("build the lab: %w", err), l.Close())
	}
	return l, nil
}

func (l *Lab) build(ctx context.Context) error {
	n := int(serial.Add(1))
	for _, ns := range []struct {
		role string
		into **Namespace
	}{{"client", &l.Client}, {"router", &l.Router}, {"switch", &l.Switch}, {"server", &l.Server}} {
		if l.opts.Bare && ns.into != &l.Client && ns.into != &l.Router {
			continue
		}
		made, err := newNamespace(name{pid: os.Getpid(), serial: n, role: ns.role}.String(), &l.procs)
		if err != nil {
			return err
		}
		*ns.into = made
		l.made = append(l.made, made)
	}
	if l.opts.Bare {
		return nil
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"set kernel parameters", l.sysctls},
		{"wire the namespaces", l.wire},
		{"set addresses and routes", l.address},
		{"set interface features", l.features},
		{"load the router's ruleset", l.ruleset},
	} {
		l.opts.Log.Debug("lab", "step", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// Close ends the lab's processes and removes its namespaces. It may be called
// more than once.
func (l *Lab) Close() error {
	l.procs.stopAll()
	var errs []error
	if l.card != nil { // before the namespaces that its interfaces are in
		errs = append(errs, l.card.Close())
		l.card = nil
	}
	for i := len(l.made) - 1; i >= 0; i-- {
		errs = append(errs, l.made[i].remove())
	}
	l.made = nil
	return errors.Join(errs...)
}

// Packages are the Debian packages of the programs that a lab runs.
const Packages = "iproute2 nftables ethtool conntrack"

// Missing lists the programs that a lab needs and this host lacks.
func Missing() []string {
	var out []string
	for _, p := range []string{"ip", "nft", "ethtool", "conntrack"} {
		if _, err := exec.LookPath(p); err != nil {
			out = append(out, p)
		}
	}
	return out
}
