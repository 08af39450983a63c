package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// account is what three independent counters say of all traffic.
type account struct {
	wire      lab.Count     // the client's interface
	forwarded lab.Forwarded // nftables in the router
	nic       uint64        // packets, by shuntd from its NIC
}

// account reads all three right after shuntd has read its NIC, so that they are
// of one time.
func (s *story) account(ctx context.Context) (a account, err error) {
	packets := func() (uint64, error) {
		res, err := s.d.Agent.GetStats(ctx, &shuntv1.GetStatsRequest{})
		return res.GetStats().GetNic().GetPackets(), err
	}
	stale, err := packets()
	if err != nil {
		return a, err
	}
	for a.nic = stale; a.nic == stale; {
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return a, fmt.Errorf("the NIC's counters stand still: %w", err)
		}
		if a.nic, err = packets(); err != nil {
			return a, err
		}
	}
	if a.wire, err = s.lab.Wire(); err != nil {
		return a, err
	}
	a.forwarded, err = s.lab.Forwarded(ctx)
	return a, err
}

// pause waits, unless the story is cancelled.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// stolen shows that the router's kernel stops seeing the packets.
func (s *story) stolen(ctx context.Context) error {
	s.Step("The router's kernel stops seeing the packets. Three counters that know nothing of each other, over two seconds:")
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	before, err := s.account(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	after, err := s.account(ctx)
	if err != nil {
		return err
	}
	frames, nic := after.wire.Packets-before.wire.Packets, after.nic-before.nic
	kernel := after.forwarded.Packets() - before.forwarded.Packets()
	s.Say("     frames on the client's cable (its interface's statistics)   %s", grouped(frames))
	s.Say("     packets forwarded by the NIC (counters of its rules)        %s", grouped(nic))
	s.Say("     packets forwarded by the kernel (nft counter)               %s", grouped(kernel))
	s.promises.Check(frames > 1000 && kernel*100 < frames && nic*100 > frames*97, "the kernel forwarded less than 1 %% of them")
	return nil
}

// reroute replaces the route to the server under all flows.
func (s *story) reroute(ctx context.Context) error {
	s.Step("The route changes in the middle of the transfers: from next hop A to B.")
	s.Say("   $ ip route replace 198.51.100.0/24 via %s dev %s", lab.HopB.Addr4(), lab.WANPort)
	s.Say("   $ ip -6 route replace 2001:db8:9::/64 via %s dev %s", lab.HopB.Addr6(), lab.WANPort)
	if err := s.lab.UseHop(ctx, lab.HopB); err != nil {
		return err
	}
	for _, t := range s.transfers() {
		want := lab.HopB.Addr4().String()
		if t.Version == 6 {
			want = lab.HopB.Addr6().String()
		}
		f, err := s.d.Await(ctx, t, "the NIC forwards it by way of hop B", func(f *shuntv1.Flow) bool {
			return rig.Active(f) && f.Orig.GetRoute().GetNexthop() == want
		})
		if err != nil {
			return err
		}
		if !rig.Left(f, shuntv1.Cause_CAUSE_ROUTE_CHANGED) {
			s.promises.Check(false, "%s left the NIC for route_changed", t)
		}
	}
	s.promises.Check(s.tcp4.Running() && s.tcp6.Running(), "every flow left the NIC, learnt its new route and came back; no connection broke")
	args := append([]string{"flows", "explain"}, s.tcp4.Tuple()...)
	out, err := s.d.Ctl(ctx, args...)
	if err != nil {
		return err
	}
	s.Say("   $ shuntctl %s\n%s", strings.Join(args, " "), strings.TrimRight(indent(out), "\n"))
	s.promises.Check(strings.Contains(out, "route_changed"), "explain names route_changed")
	return nil
}

// steer evicts and pins a flow through shuntctl.
func (s *story) steer(ctx context.Context) error {
	s.Step("The operator steers: a flow is evicted for two seconds, then pinned.")
	before, err := s.d.Get(ctx, s.udp4)
	if err != nil {
		return err
	}
	if err := run(ctx, s.screen, s.d, append(append([]string{"flows", "evict"}, s.udp4.Tuple()...), "--for", "2s", "--note", "demo")...); err != nil {
		return err
	}
	out, err := s.d.Await(ctx, s.udp4, "it is out of the NIC", rig.InKernel)
	if err != nil {
		return err
	}
	s.promises.Check(rig.Left(out, shuntv1.Cause_CAUSE_OPERATOR), "its packets are the kernel's again, and it says why: %s", rig.ReasonWords(out.Reasons))
	// The kernel's account of the two seconds comes with the next listing.
	after, err := s.d.Await(ctx, s.udp4, "the hold is over and the NIC has it again", func(f *shuntv1.Flow) bool {
		return rig.Active(f) && f.Installs > before.Installs && rig.Kernel(f).Packets > rig.Kernel(before).Packets+500
	})
	if err != nil {
		return err
	}
	s.promises.Check(true, "the kernel forwarded %s of its packets meanwhile; then it went back in", grouped(rig.Kernel(after).Packets-rig.Kernel(before).Packets))
	if err := run(ctx, s.screen, s.d, append(append([]string{"flows", "pin"}, s.udp4.Tuple()...), "--lease", "1m", "--note", "demo")...); err != nil {
		return err
	}
	_, err = s.d.Await(ctx, s.udp4, "it is pinned", func(f *shuntv1.Flow) bool { return f.Pinned && rig.Active(f) })
	if err == nil {
		s.promises.Check(true, "the pin holds, with a lease of one minute")
	}
	return err
}

// finish waits for the transfers and judges them.
func (s *story) finish(ctx context.Context) error {
	s.Step("The transfers end.")
	for _, t := range []*rig.Transfer{s.tcp4, s.tcp6} {
		res, err := t.TCPResult()
		if err != nil {
			s.promises.Check(false, "%v", err)
			continue
		}
		s.promises.Check(res.Verified && res.Closed, "%s: %s, SHA-256 %.16s… at both ends", t, size(uint64(res.Server.Received.Bytes)), res.Server.Received.SHA256)
		if err := s.closed(ctx, t, res.Segments); err != nil {
			return err
		}
	}
	for _, t := range []*rig.Transfer{s.udp4, s.udp6} {
		res, err := t.UDPResult()
		if err != nil {
			s.promises.Check(false, "%v", err)
			continue
		}
		lost, sent := res.LostUp+res.LostDown, res.Client.Sent+res.Server.Sent
		s.promises.Check(lost*1000 <= sent, "%s: %s datagrams, %d lost, %d corrupt, %d doubled, longest silence %.0f ms", t, grouped(sent), lost,
			res.Client.Corrupt+res.Server.Corrupt, res.Client.Doubled+res.Server.Doubled, max(res.Client.Silence, res.Server.Silence))
	}
	return nil
}

// closed holds a TCP connection to its close and to the NIC's share of it.
func (s *story) closed(ctx context.Context, t *rig.Transfer, segments uint64) error {
	f, err := s.d.Await(ctx, t, "the close has taken it out of the NIC", func(f *shuntv1.Flow) bool {
		return rig.InKernel(f) && rig.Left(f, shuntv1.Cause_CAUSE_TCP_CLOSE)
	})
	if err != nil {
		return err
	}
	nic := rig.NIC(f).Packets
	share := 100 * float64(nic) / float64(max(segments, 1))
	s.promises.Check(share >= 99 && share <= 100, "%s of its %s packets went through the NIC: %.2f %%, the change of route included", grouped(nic), grouped(segments), share)
	if t == s.tcp4 {
		s.share = share
	}
	order := []string{"FIN_WAIT", "TIME_WAIT"}
	for range 100 {
		if err = s.events.InOrder(t.Port, order...); err == nil {
			break
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	s.promises.Check(err == nil, "conntrack saw it close: %s", strings.Join(order, " → "))
	return nil
}

// stop ends the daemon and looks at what it leaves.
func (s *story) stop(ctx context.Context) error {
	s.Step("shuntd stops and gives everything back.")
	if err := s.d.Stop(); err != nil {
		return fmt.Errorf("shuntd did not end well: %w\n%s", err, s.d.Tail(20))
	}
	var left []string
	for _, port := range []string{lab.LANPort, lab.WANPort} {
		out, err := s.lab.Router.Run(ctx, "ip", "-d", "link", "show", "dev", port)
		if err != nil {
			return err
		}
		if strings.Contains(out, "xdp") {
			left = append(left, "a program on "+port)
		}
	}
	if _, err := os.Stat(s.d.Socket); !errors.Is(err, os.ErrNotExist) {
		left = append(left, s.d.Socket)
	}
	s.promises.Check(len(left) == 0, "it leaves nothing: no program on a port, no socket %s", strings.Join(left, " "))
	return nil
}
