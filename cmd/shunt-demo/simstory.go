package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/rig"
)

// simStory is the demo without root: shuntd as it is, on the in-memory NIC, with
// a kernel whose connections and routes are a script.
type simStory struct {
	*screen
	promises *ledger
	programs rig.Programs
	dir      string
	d        *rig.Daemon
}

// simLength is the script's length. Its first route changes after a third.
const simLength = 36 * time.Second

func (s *simStory) tell(ctx context.Context) (err error) {
	if s.d, err = rig.StartStory(ctx, s.programs, s.dir, simLength); err != nil {
		return err
	}
	var table sync.WaitGroup
	show, hide := context.WithCancel(ctx)
	defer func() {
		hide()
		table.Wait()
		err = errors.Join(err, s.stop())
	}()
	s.Step("shuntd on the in-memory NIC; the scripted kernel opens eight connections.")
	s.Say("   $ %s", s.d.Command())
	if err := run(ctx, s.screen, s.d, "devices"); err != nil {
		return err
	}
	table.Go(func() { watch(show, s.screen, s.d) })
	for _, step := range []func(context.Context) error{s.stolen, s.steer, s.reroute, s.close} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// some waits until n flows satisfy ok, and gives them.
func (s *simStory) some(ctx context.Context, n int, what string, ok func(*shuntv1.Flow) bool) ([]*shuntv1.Flow, error) {
	ctx, cancel := context.WithTimeout(ctx, simLength)
	defer cancel()
	for {
		all, err := s.d.List(ctx, "proto=tcp,udp")
		if err != nil {
			return nil, err
		}
		var got []*shuntv1.Flow
		for _, f := range all {
			if ok(f) {
				got = append(got, f)
			}
		}
		if len(got) >= n {
			return got, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("waited for: %s; %d of %d flows: %w", what, len(got), n, err)
		}
	}
}

func (s *simStory) stolen(ctx context.Context) error {
	s.Step("The connections move into the NIC, and the kernel stops seeing their packets.")
	if _, err := s.some(ctx, 8, "all are in the NIC", rig.Active); err != nil {
		return err
	}
	s.promises.Check(true, "all eight flows are in the NIC, both directions each")
	sum := func() (nic, kernel uint64, err error) {
		all, err := s.d.List(ctx, "proto=tcp,udp")
		for _, f := range all {
			nic += rig.NIC(f).Packets
			kernel += rig.Kernel(f).Packets
		}
		return nic, kernel, err
	}
	// One listing of the scripted conntrack, so that both accounts are of one time.
	if err := pause(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	n0, k0, err := sum()
	if err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	n1, k1, err := sum()
	if err != nil {
		return err
	}
	s.promises.Check(n1 > n0 && (k1-k0)*100 < n1-n0, "in three seconds the NIC forwarded %s packets, the kernel %s", grouped(n1-n0), grouped(k1-k0))
	return nil
}

func (s *simStory) steer(ctx context.Context) error {
	s.Step("The operator steers: a flow is evicted for two seconds, then pinned.")
	all, err := s.some(ctx, 1, "a UDP flow in the NIC", func(f *shuntv1.Flow) bool {
		return f.Orig.GetTuple().GetProto() == "udp" && rig.Active(f)
	})
	if err != nil {
		return err
	}
	uid, t := all[0].Uid, words(all[0].Orig.GetTuple())
	if err := run(ctx, s.screen, s.d, append(append([]string{"flows", "evict"}, t...), "--for", "2s", "--note", "demo")...); err != nil {
		return err
	}
	if _, err := s.some(ctx, 1, "it is out", func(f *shuntv1.Flow) bool {
		return f.Uid == uid && rig.InKernel(f) && rig.Left(f, shuntv1.Cause_CAUSE_OPERATOR)
	}); err != nil {
		return err
	}
	if _, err := s.some(ctx, 1, "it is back", func(f *shuntv1.Flow) bool { return f.Uid == uid && rig.Active(f) }); err != nil {
		return err
	}
	s.promises.Check(true, "it left the NIC for operator, and came back when the hold was over")
	if err := run(ctx, s.screen, s.d, append(append([]string{"flows", "pin"}, t...), "--lease", "1m", "--note", "demo")...); err != nil {
		return err
	}
	_, err = s.some(ctx, 1, "it is pinned", func(f *shuntv1.Flow) bool { return f.Uid == uid && f.Pinned })
	return err
}

func words(t *shuntv1.Tuple) []string {
	end := func(a string, p uint32) string { return net.JoinHostPort(a, strconv.Itoa(int(p))) }
	return []string{t.Proto, end(t.Src, t.SrcPort), end(t.Dst, t.DstPort)}
}

func (s *simStory) reroute(ctx context.Context) error {
	s.Step("The script replaces the IPv4 default route, then moves the IPv6 route to another uplink.")
	all, err := s.some(ctx, 8, "every flow left for route_changed and is back", func(f *shuntv1.Flow) bool {
		return rig.Left(f, shuntv1.Cause_CAUSE_ROUTE_CHANGED) && rig.Active(f)
	})
	if err != nil {
		return err
	}
	args := append([]string{"flows", "explain"}, words(all[0].Orig.GetTuple())...)
	out, err := s.d.Ctl(ctx, args...)
	if err != nil {
		return err
	}
	s.Say("   $ shuntctl %s\n%s", quoted(args), strings.TrimRight(indent(out), "\n"))
	s.promises.Check(strings.Contains(out, "route_changed"), "every flow left, learnt its new route and came back; explain names route_changed")
	return nil
}

func (s *simStory) close(ctx context.Context) error {
	s.Step("The script closes a TCP connection.")
	if _, err := s.some(ctx, 1, "it left for tcp_close", func(f *shuntv1.Flow) bool {
		return rig.Left(f, shuntv1.Cause_CAUSE_TCP_CLOSE) && rig.InKernel(f)
	}); err != nil {
		return err
	}
	s.promises.Check(true, "both its rules left the NIC; the kernel saw the close")
	return nil
}

func (s *simStory) stop() error {
	s.Step("shuntd stops and gives everything back.")
	if err := s.d.Stop(); err != nil {
		return fmt.Errorf("shuntd did not end well: %w\n%s", err, s.d.Tail(20))
	}
	_, err := os.Stat(s.d.Socket)
	s.promises.Check(errors.Is(err, os.ErrNotExist), "it leaves nothing behind")
	return nil
}
