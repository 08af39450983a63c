package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// story is the demo with root: real packets of real connections.
type story struct {
	*screen
	promises *ledger
	programs rig.Programs
	dir      string // for config, socket and log

	lab    *lab.Lab
	d      *rig.Daemon
	events *lab.Events

	tcp4, tcp6, udp4, udp6 *rig.Transfer
	share                  float64 // of the IPv4 transfer's packets, by the NIC, in percent
}

// tell runs the whole story and cleans up whatever happened.
func (s *story) tell(ctx context.Context) (err error) {
	if removed, err := lab.Sweep(); err != nil {
		return err
	} else if len(removed) > 0 {
		s.Say("Removed what an earlier run left: %s", strings.Join(removed, " "))
	}
	if s.lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return err
	}
	var table sync.WaitGroup
	show, hide := context.WithCancel(ctx)
	defer func() {
		hide()
		table.Wait()
		err = errors.Join(err, s.lab.Close(), s.nothingLeft())
	}()
	s.Step("A lab: client — router — server, each in a network namespace of its own.")
	s.Say("   %s masquerades IPv4 and routes IPv6; the server is behind two next hops, A and B.", s.lab.Router.Name)
	if err := s.start(ctx); err != nil {
		return err
	}
	table.Go(func() { watch(show, s.screen, s.d) })
	for _, step := range []func(context.Context) error{
		s.traffic, s.stolen, s.reroute, s.steer, s.finish,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	hide()
	table.Wait()
	return s.stop(ctx)
}

// start starts the server and shuntd.
func (s *story) start(ctx context.Context) error {
	if _, err := rig.Serve(s.lab, s.programs.Demo); err != nil {
		return err
	}
	var err error
	if s.events, err = s.lab.ConntrackEvents(); err != nil {
		return err
	}
	s.d, err = rig.Start(ctx, s.lab, s.programs, rig.DaemonOptions{Dir: s.dir})
	if err != nil {
		return err
	}
	s.Step("shuntd in the router's namespace: the emulated NIC takes the ports %s and %s.", lab.LANPort, lab.WANPort)
	s.Say("   $ %s", s.d.Command())
	return run(ctx, s.screen, s.d, "devices")
}

// traffic starts four connections and waits until all are in the NIC.
func (s *story) traffic(ctx context.Context) error {
	s.Step("Traffic, checked at both ends: 200 MB over TCP/IPv4 (masquerade), 100 MB over TCP/IPv6, and UDP both ways over both.")
	var err error
	tcp := func(version int, bytes, rate int64) *rig.Transfer {
		t, e := rig.TCP(ctx, s.lab, s.programs.Demo, version, traffic.TCPRequest{Bytes: bytes, Rate: rate, Direction: traffic.Up, Seed: 1})
		err = errors.Join(err, e)
		return t
	}
	udp := func(version int) *rig.Transfer {
		t, e := rig.UDP(ctx, s.lab, s.programs.Demo, version, traffic.UDPRequest{Datagrams: 16_000, Size: 400, Rate: 800, Direction: traffic.Both, Seed: 2})
		err = errors.Join(err, e)
		return t
	}
	s.tcp4, s.tcp6, s.udp4, s.udp6 = tcp(4, 200_000_000, 14_000_000), tcp(6, 100_000_000, 7_000_000), udp(4), udp(6)
	if err != nil {
		return err
	}
	for _, t := range s.transfers() {
		if _, err := s.d.Await(ctx, t, "the NIC forwards it", rig.Active); err != nil {
			return err
		}
	}
	s.promises.Check(true, "all four flows moved into the NIC, both directions each")
	return nil
}

func (s *story) transfers() []*rig.Transfer {
	return []*rig.Transfer{s.tcp4, s.tcp6, s.udp4, s.udp6}
}

// nothingLeft looks for what the demo must not leave behind.
func (s *story) nothingLeft() error {
	left, err := filepath.Glob(fmt.Sprintf("/run/netns/lab-%d-*", os.Getpid()))
	if err != nil {
		return err
	}
	s.promises.Check(len(left) == 0, "no namespace, process or rule is left behind")
	return nil
}
