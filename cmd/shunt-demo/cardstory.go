package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/simnic"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// cardStory is the demo on a kernel with the simnic module: real connections with
// NAT through an emulated switchdev card, by tc flower rules with skip_sw. It is
// paced for an emulated machine.
type cardStory struct {
	*screen
	promises *ledger
	programs rig.Programs
	dir      string

	lab    *lab.Lab
	d      *rig.Daemon
	events *lab.Events
	tcp    *rig.Transfer
	udp    *rig.Transfer
	share  float64 // of the TCP transfer's frames, by the card, in percent
}

func (s *cardStory) tell(ctx context.Context) (err error) {
	if s.lab, err = lab.New(ctx, lab.Options{NIC: &simnic.Options{Profile: "mlx5", Mode: "switchdev"}}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	s.Step("A lab: client — router — server. The client is a VF of the router's card, the server lies behind its uplink.")
	if _, err := rig.Serve(s.lab, s.programs.Demo); err != nil {
		return err
	}
	if s.events, err = s.lab.ConntrackEvents(); err != nil {
		return err
	}
	if err := s.show(ctx, "devlink", "dev", "eswitch", "show", "simnic/"+s.lab.Card().Device()); err != nil {
		return err
	}
	if err := s.show(ctx, "devlink", "port"); err != nil {
		return err
	}
	if s.d, err = rig.Start(ctx, s.lab, s.programs, rig.DaemonOptions{Dir: s.dir, Driver: "mlx5"}); err != nil {
		return err
	}
	s.Step("shuntd with the mlx5 driver on representor %s and uplink %s.", lab.LANPort, lab.WANPort)
	if err := run(ctx, s.screen, s.d, "devices"); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.traffic, s.inHW, s.quiet, s.reroute, s.finish} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return s.stop(ctx)
}

// show runs a command on the router and prints what it says.
func (s *cardStory) show(ctx context.Context, args ...string) error {
	out, err := s.lab.Router.Run(ctx, args[0], args[1:]...)
	if err != nil {
		return err
	}
	s.Say("   $ %s\n%s", strings.Join(args, " "), strings.TrimRight(indent(out), "\n"))
	return nil
}

func (s *cardStory) traffic(ctx context.Context) (err error) {
	s.Step("Traffic, checked at both ends: 50 MB over TCP/IPv4 through masquerade, and UDP both ways over IPv6.")
	// At a pace that an emulated machine can follow, and for so long that the half
	// second is little in which the kernel forwards while rules go in, twice.
	if s.tcp, err = rig.TCP(ctx, s.lab, s.programs.Demo, 4, traffic.TCPRequest{Bytes: 50_000_000, Rate: 600_000, Direction: traffic.Up, Seed: 1}); err != nil {
		return err
	}
	if s.udp, err = rig.UDP(ctx, s.lab, s.programs.Demo, 6, traffic.UDPRequest{Datagrams: 20_000, Size: 400, Rate: 300, Direction: traffic.Both, Seed: 2}); err != nil {
		return err
	}
	for _, t := range []*rig.Transfer{s.tcp, s.udp} {
		if _, err := s.d.Await(ctx, t, "the card forwards it", rig.Active); err != nil {
			return err
		}
	}
	s.promises.Check(true, "both flows moved into the card, both directions each")
	return nil
}

func (s *cardStory) inHW(ctx context.Context) error {
	s.Step("What the kernel says of the TCP connection's rule at the client's port:")
	out, err := s.lab.Router.Run(ctx, "tc", "-s", "filter", "show", "dev", lab.LANPort, "ingress", "pref", "11")
	if err != nil {
		return err
	}
	s.Say("%s", strings.TrimRight(indent(out), "\n"))
	s.promises.Check(strings.Contains(out, "skip_sw") && strings.Contains(out, "in_hw") && !strings.Contains(out, "not_in_hw"), "skip_sw and in_hw")
	return nil
}

func (s *cardStory) quiet(ctx context.Context) error {
	s.Step("The router's kernel stops seeing the packets. Over three seconds:")
	hits, kernel, err := s.count(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	hits2, kernel2, err := s.count(ctx)
	if err != nil {
		return err
	}
	s.Say("     frames forwarded by the card (its own count)    %s", grouped(hits2-hits))
	s.Say("     packets forwarded by the kernel (nft counter)   %s", grouped(kernel2-kernel))
	s.promises.Check(hits2-hits > 500 && kernel2 == kernel, "the kernel forwarded none")
	return nil
}

// count is what the card and the kernel have forwarded.
func (s *cardStory) count(ctx context.Context) (card, kernel uint64, err error) {
	st, err := s.lab.Card().Stats()
	if err != nil {
		return 0, 0, err
	}
	f, err := s.lab.Forwarded(ctx)
	return st.Ports[lab.LANPort].Hit + st.Ports[lab.WANPort].Hit, f.Packets(), err
}

func (s *cardStory) reroute(ctx context.Context) error {
	s.Step("The route changes in the middle of the transfer: from next hop A to B.")
	s.Say("   $ ip route replace 198.51.100.0/24 via %s dev %s", lab.HopB.Addr4(), lab.WANPort)
	if err := s.lab.UseHop4(ctx, lab.HopB); err != nil {
		return err
	}
	f, err := s.d.Await(ctx, s.tcp, "the card forwards it by way of hop B", func(f *shuntv1.Flow) bool {
		return rig.Active(f) && f.Orig.GetRoute().GetNexthop() == lab.HopB.Addr4().String()
	})
	if err != nil {
		return err
	}
	s.promises.Check(rig.Left(f, shuntv1.Cause_CAUSE_ROUTE_CHANGED) && s.tcp.Running(), "it left the card for route_changed, and is back with its new route; the connection holds")
	return nil
}

func (s *cardStory) finish(ctx context.Context) error {
	s.Step("The transfers end.")
	res, err := s.tcp.TCPResult()
	if err != nil {
		return err
	}
	s.promises.Check(res.Verified && res.Closed, "%s: %s, SHA-256 %.16s… at both ends", s.tcp, size(uint64(res.Server.Received.Bytes)), res.Server.Received.SHA256)
	u, err := s.udp.UDPResult()
	if err != nil {
		return err
	}
	lost, sent := u.LostUp+u.LostDown, u.Client.Sent+u.Server.Sent
	s.promises.Check(lost*200 <= sent, "%s: %s datagrams, %d lost", s.udp, grouped(sent), lost)
	// The kernel's count of IPv4 is of the TCP connection alone. UDP is the kernel's
	// until conntrack calls it assured, two seconds after its first answer.
	fw, err := s.lab.Forwarded(ctx)
	if err != nil {
		return err
	}
	kernel := fw.IPv4.Packets
	s.share = 100 * (1 - float64(kernel)/float64(max(res.Segments, 1)))
	s.promises.Check(s.share >= 99, "of the TCP connection's %s segments the kernel forwarded %s: %.2f %% went through the card, the change of route included",
		grouped(res.Segments), grouped(kernel), s.share)
	order := []string{"FIN_WAIT", "LAST_ACK"} // its last ACK may pass through the card
	for range 100 {
		if err = s.events.InOrder(s.tcp.Port, order...); err == nil {
			break
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	s.promises.Check(err == nil, "conntrack saw it close: %s", strings.Join(order, " → "))
	return nil
}

func (s *cardStory) stop(ctx context.Context) error {
	s.Step("shuntd stops and gives everything back.")
	if err := s.d.Stop(); err != nil {
		return fmt.Errorf("shuntd did not end well: %w\n%s", err, s.d.Tail(20))
	}
	st, err := s.lab.Card().Stats()
	if err != nil {
		return err
	}
	s.promises.Check(st.Used == 0, "no rule is left in the card")
	return nil
}
