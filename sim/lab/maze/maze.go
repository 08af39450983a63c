package maze

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// Ports of the router. The first leads to the clients; the last two are a bridge's, or
// a bond's.
const Ports = 5

// Port is the name of the router's port i; Cable is its other end, outside.
func Port(i int) string { return fmt.Sprintf("r%d", i) }

// Cable is the other end of port i.
func Cable(i int) string { return fmt.Sprintf("p%d", i) }

// sides are the router's interfaces with addresses: the ports, and the bridge in the
// place of those that it holds.
const (
	sides  = 4
	bridge = sides - 1
)

// dev is the interface of side i, and sideOf the one that a port belongs to.
func dev(i int) string {
	if i == bridge {
		return "b3"
	}
	return Port(i)
}

func sideOf(port int) int { return min(port, bridge) }

// Hops are the next hops behind each side but the first.
const Hops = 3

// Options of a maze; zero values are defaults.
type Options struct {
	Seed uint64
	// NIC gives the router ports of an emulated card, r0 of which is its uplink and the
	// others representors of VFs, in place of veth.
	NIC *simnic.Options
	// Bond joins the last two ports by an active-backup bond, not a bridge.
	Bond bool
	// Linger is how long a frame may be on its way through the router: some are held
	// until a next hop has answered. 25 ms.
	Linger time.Duration
}

// Maze is the router and what lies around it.
type Maze struct {
	*lab.Lab
	Flows []*Flow

	opts Options

	rng     *rand.Rand
	kinds   []kind
	taps    [Ports]*tap
	serial  uint32
	Applied map[string]int // steps by kind that the kernel took as a whole
}

// New builds a maze.
func New(ctx context.Context, opts Options) (*Maze, error) {
	if opts.Linger == 0 {
		opts.Linger = 25 * time.Millisecond
	}
	l, err := lab.New(ctx, lab.Options{Bare: true})
	if err != nil {
		return nil, err
	}
	m := &Maze{Lab: l, opts: opts, rng: rand.New(rand.NewPCG(opts.Seed, opts.Seed)), kinds: append(kinds(), bundleKinds(opts.Bond)...), Applied: map[string]int{}}
	if err := m.build(); err != nil {
		m.Close()
		return nil, fmt.Errorf("build the maze: %w", err)
	}
	return m, nil
}

// Close removes everything.
func (m *Maze) Close() error {
	for _, t := range m.taps {
		if t != nil {
			t.close()
		}
	}
	return m.Lab.Close()
}

// sh runs lines in a namespace, each whether or not the one before went well, and
// says how many did.
func sh(n *lab.Namespace, lines ...string) (well int, said string, err error) {
	script := "ok=0\n"
	for _, l := range lines {
		script += "{ " + l + "\n} && ok=$((ok+1))\n"
	}
	cmd := exec.Command("sh", "-c", script+"echo \"well=$ok\"")
	var out []byte
	err = n.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	said, count, found := strings.Cut(string(out), "well=")
	if found {
		well, err = strconv.Atoi(strings.TrimSpace(count))
	}
	return well, strings.TrimSpace(said), err
}

// all runs lines that have to go well.
func all(n *lab.Namespace, lines ...string) error {
	well, said, err := sh(n, lines...)
	if err == nil && well != len(lines) {
		err = fmt.Errorf("%d of %d lines went well: %s", well, len(lines), said)
	}
	return err
}

func (m *Maze) build() error {
	setup := []string{
		"sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
		"sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.icmp_ratelimit=0 net.ipv6.fib_multipath_hash_policy=1",
		"sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_udp_timeout_stream=3600 net.netfilter.nf_conntrack_udp_timeout=3600",
		"ip link set lo up",
	}
	if err := all(m.Router, setup...); err != nil {
		return err
	}
	if err := all(m.Client, "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.default.arp_ignore=1", "ip link set lo up"); err != nil {
		return err
	}
	if m.opts.NIC != nil {
		if err := m.plug(); err != nil {
			return err
		}
	}
	for i := range Ports {
		if err := m.port(i); err != nil {
			return err
		}
	}
	if err := all(m.Router, bundle(m.opts.Bond)...); err != nil {
		return err
	}
	for i := range sides {
		if err := m.side(i); err != nil {
			return err
		}
	}
	if err := all(m.Router, append(m.firstRoutes(), ruleset()...)...); err != nil {
		return err
	}
	if err := m.vrf(); err != nil {
		return err
	}
	m.Flows = flows()
	return m.Client.Do(func() (err error) {
		for i := range m.taps {
			if m.taps[i], err = newTap(Cable(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// port lays a cable.
func (m *Maze) port(i int) error {
	if m.opts.NIC == nil {
		if err := m.cable(i); err != nil {
			return err
		}
	}
	if err := all(m.Router, "ip link set "+Port(i)+" up"); err != nil {
		return err
	}
	return all(m.Client, "ip link set "+Cable(i)+" up")
}

// side gives an interface its addresses and next hops. Next hop h of side i is
// 10.I.0.(2+h) and fd00:I::(2+h); it has a MAC of its own in the router's table, which
// no one else answers for.
func (m *Maze) side(i int) error {
	r := dev(i)
	lines := []string{fmt.Sprintf("ip addr add 10.%d.0.1/24 dev %s", i, r), fmt.Sprintf("ip addr add fd00:%d::1/64 dev %s nodad", i, r)}
	for h := range Hops {
		lines = append(lines, hopLine("replace", i, h, hopMAC(i, h, 0)+" nud permanent")...)
		if i == bridge && !m.opts.Bond {
			lines = append(lines, stationLine("replace", hopMAC(i, h, 0), bridge+h%2))
		}
		// What asks for a next hop whose entry is gone is answered by the cable's end.
		if err := all(m.Client, fmt.Sprintf("ip addr add 10.%d.0.%d/24 dev %s", i, 2+h, Cable(i)), fmt.Sprintf("ip addr add fd00:%d::%d/64 dev %s nodad", i, 2+h, Cable(i))); err != nil {
			return err
		}
	}
	return all(m.Router, lines...)
}

// cable joins port i to the outside.
func (m *Maze) cable(i int) error {
	r, p := Port(i), Cable(i)
	err := all(m.Router, fmt.Sprintf("ip link add %s address 02:00:00:00:%02x:01 type veth peer name %s address 02:00:00:00:%02x:02", r, i, p, i),
		fmt.Sprintf("ip link set %s netns %s", p, m.Client.Name), "ethtool -K "+r+" tso off gso off txvlan off")
	if err != nil {
		return err
	}
	return all(m.Client, "ethtool -K "+p+" tx off", "ethtool -K "+p+" gro on tso off gso off txvlan off")
}

// plug puts a card into the router.
func (m *Maze) plug() error {
	o := *m.opts.NIC
	o.Uplinks, o.VFs, o.Mode = 1, Ports-1, "switchdev"
	err := m.Plug(o, func(c *simnic.Card) (out []lab.Seat) {
		for i, port := range c.Ports() {
			out = append(out, lab.Seat{Interface: c.Far(port), In: m.Client, Name: Cable(i)}, lab.Seat{Interface: port, In: m.Router, Name: Port(i)})
		}
		return out
	})
	if err != nil {
		return err
	}
	for i := range Ports {
		if err := all(m.Router, "ethtool -K "+Port(i)+" hw-tc-offload on"); err != nil {
			return err
		}
	}
	return nil
}

// hopMAC is the address of a next hop; each edition is another.
func hopMAC(side, hop, edition int) string {
	return fmt.Sprintf("02:00:00:%02x:%02x:%02x", edition, side, 0x10+hop)
}

func hopLine(verb string, side, hop int, rest string) []string {
	if rest != "" {
		rest = " lladdr " + rest
	}
	return []string{
		fmt.Sprintf("ip neigh %s 10.%d.0.%d dev %s%s", verb, side, 2+hop, dev(side), rest),
		fmt.Sprintf("ip neigh %s fd00:%d::%d dev %s%s", verb, side, 2+hop, dev(side), rest),
	}
}

// mac reads the address to which frames go that enter by a port.
func (m *Maze) mac(port int) (net.HardwareAddr, error) {
	_, mac, err := m.Router.Link(dev(sideOf(port)))
	return mac, err
}
