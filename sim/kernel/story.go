package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/sim"
)

// Links of the demonstration's router.
const (
	DemoWAN  = "wan0" // the uplink; masquerades IPv4
	DemoWAN2 = "wan1" // another uplink
	DemoLAN  = "lan0"
)

var (
	demoGateway  = netip.MustParseAddr("198.51.100.254")
	demoGateway2 = netip.MustParseAddr("198.51.100.253")
	demoSix      = netip.MustParsePrefix("2001:db8:f::/48")
	demoSixVia   = netip.MustParseAddr("2001:db8:1::fe")
	demoSixVia2  = netip.MustParseAddr("2001:db8:2::fe")
)

// NewDemo makes a home router: a LAN, and two uplinks of which the first one
// masquerades IPv4. The card's ports have the links' names.
func NewDemo(clock *sim.Clock) (*Kernel, error) {
	var ports []hwif.Port
	for i, name := range []string{DemoWAN, DemoLAN, DemoWAN2} {
		ports = append(ports, hwif.Port{Ifindex: hwif.Ifindex(i + 1), Name: name, MTU: 1500, Up: true,
			MAC: hwif.MAC{0x02, 0, 0, 0, 0xd0, byte(i + 1)}})
	}
	k := New(Options{NIC: sim.New(sim.Options{Name: "demo", Ports: ports, Clock: clock})})
	pf := netip.MustParsePrefix
	steps := []error{
		k.AddLink(Link{Name: DemoWAN, Port: 1, Addrs: []netip.Prefix{pf("198.51.100.1/24"), pf("2001:db8:1::1/64")}}),
		k.AddLink(Link{Name: DemoLAN, Port: 2, Addrs: []netip.Prefix{pf("10.1.0.1/16"), pf("2001:db8:a::1/64")}}),
		k.AddLink(Link{Name: DemoWAN2, Port: 3, Addrs: []netip.Prefix{pf("192.0.2.1/24"), pf("2001:db8:2::1/64")}}),
		k.AddRoute(Route{Prefix: pf("0.0.0.0/0"), Link: DemoWAN, Via: demoGateway}),
		k.AddRoute(Route{Prefix: demoSix, Link: DemoWAN, Via: demoSixVia}),
		k.Masquerade(DemoWAN, netip.MustParseAddr("198.51.100.1")),
	}
	for _, n := range []struct {
		link string
		addr netip.Addr
		last byte
	}{{DemoWAN, demoGateway, 0xfe}, {DemoWAN, demoGateway2, 0xfd}, {DemoWAN, demoSixVia, 0xfe}, {DemoWAN2, demoSixVia2, 0xfc}} {
		steps = append(steps, k.SetNeighbour(n.link, n.addr, hwif.MAC{0x02, 0, 0, 0, 0xee, n.last}))
	}
	for i := range byte(8) {
		mac := hwif.MAC{0x02, 0, 0, 0, 0xaa, i}
		steps = append(steps, k.SetNeighbour(DemoLAN, demoHost(i, hwif.IPv4), mac), k.SetNeighbour(DemoLAN, demoHost(i, hwif.IPv6), mac))
	}
	for _, err := range steps {
		if err != nil {
			return nil, fmt.Errorf("demonstration router: %w", err)
		}
	}
	return k, nil
}

func demoHost(i byte, fam hwif.Family) netip.Addr {
	if fam == hwif.IPv4 {
		return netip.AddrFrom4([4]byte{10, 1, 0, 10 + i})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x0a, 15: 0x10 + i})
}

// StoryOptions; zero values are defaults.
type StoryOptions struct {
	Length time.Duration // of the whole story; 60 s, at most two minutes
	Log    *slog.Logger  // tells of each chapter; nil is silent
}

// storyBeat is how often each connection sends.
const storyBeat = 100 * time.Millisecond

// Play plays the demonstration on a router of NewDemo, in its clock's time: eight
// connections send; a third of the way in, the IPv4 default route gets another
// gateway; half way, the IPv6 route moves to the other uplink; at two thirds, one
// connection closes. After each of these the hosts are silent for one beat, which is
// the time that a daemon has to put its rules right. Play returns ctx's error when it
// is cut short.
func (k *Kernel) Play(ctx context.Context, opts StoryOptions) error {
	if opts.Length == 0 {
		opts.Length = time.Minute
	}
	if opts.Length < 3*time.Second || opts.Length > 2*time.Minute {
		return fmt.Errorf("play the story: length %s; it takes three seconds to two minutes", opts.Length)
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	flows, err := k.openDemo()
	if err != nil {
		return fmt.Errorf("play the story: %w", err)
	}
	log.Info("connections opened", "flows", len(flows))
	chapters := []struct {
		at   time.Duration
		text string
		do   func() error
	}{
		{opts.Length / 3, "the IPv4 default route gets another gateway", func() error {
			return k.ReplaceRoute(Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Link: DemoWAN, Via: demoGateway2})
		}},
		{opts.Length / 2, "the IPv6 route moves to the other uplink", func() error {
			return k.ReplaceRoute(Route{Prefix: demoSix, Link: DemoWAN2, Via: demoSixVia2})
		}},
		{opts.Length * 2 / 3, "a TCP connection closes", func() error {
			flows[0].Close()
			flows = flows[1:]
			return nil
		}},
	}
	begin := k.clock.Now()
	for at := time.Duration(0); at < opts.Length; at += storyBeat {
		silent := false
		for len(chapters) > 0 && at >= chapters[0].at {
			log.Info(chapters[0].text)
			if err := chapters[0].do(); err != nil {
				return fmt.Errorf("play the story: %s: %w", chapters[0].text, err)
			}
			chapters, silent = chapters[1:], true
		}
		for i, f := range flows {
			if !silent {
				f.Send(4+8*(i%3), 1000*(4+8*(i%3)))
			}
		}
		if err := k.clock.Wait(ctx, begin+flow.Time(at+storyBeat)); err != nil {
			return err
		}
	}
	for _, f := range flows {
		f.Close()
	}
	s := k.Stats()
	log.Info("the story is over", "nic_packets", s.NIC.Packets, "kernel_packets", s.Forwarded.Packets, "lost", s.Lost, "wrong", s.Wrong)
	return nil
}

func (k *Kernel) openDemo() ([]*Flow, error) {
	var out []*Flow
	for i := range byte(8) {
		spec := FlowSpec{Proto: hwif.ProtoTCP}
		fam, server := hwif.IPv4, netip.AddrFrom4([4]byte{203, 0, 113, 80 + i})
		if i >= 5 {
			fam, server = hwif.IPv6, netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x0f, 15: 0x80 + i})
		}
		if i == 3 || i == 4 || i == 7 {
			spec.Proto = hwif.ProtoUDP
		}
		spec.Client = netip.AddrPortFrom(demoHost(i, fam), 40000+uint16(i))
		spec.Server = netip.AddrPortFrom(server, 443)
		f, err := k.OpenFlow(spec)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}
