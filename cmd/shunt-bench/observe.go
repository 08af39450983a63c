package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// observing measures what it costs the kernel's forwarding to be looked at: by the
// programs' own time, and by the frames that are forwarded in a second.
var observing = race{
	use: "observe", short: "What the observer costs the kernel's forwarding of 64-byte UDP frames (root)",
	opts: lab.Options{UDPTimeout: 600},
	run: func(ctx context.Context, l *lab.Lab, p rig.Programs, rounds int, each time.Duration) error {
		modes := []observe.Mode{observe.Auto, observe.TCX, observe.Tracepoint} // Auto stands for none
		rates, costs := map[observe.Mode][]float64{}, map[observe.Mode][]float64{}
		for i := range rounds {
			for _, m := range modes {
				rate, cost, err := watched(ctx, l, p, m, each)
				if err != nil {
					return fmt.Errorf("%s: %w", m, err)
				}
				rates[m], costs[m] = append(rates[m], rate), append(costs[m], cost)
			}
			fmt.Printf("round %d: %.0f frames/s without an observer, %.0f with tcx (%.0f ns a frame), %.0f with the tracepoints (%.0f ns)\n", i+1,
				rates[observe.Auto][i], rates[observe.TCX][i], costs[observe.TCX][i], rates[observe.Tracepoint][i], costs[observe.Tracepoint][i])
		}
		alone := median(rates[observe.Auto])
		for _, m := range modes[1:] {
			fmt.Printf("figure observer_cost_%s %.0f ns/frame\nfigure observer_ratio_%s %.2f x\n", m, median(costs[m]), m, median(rates[m])/alone)
		}
		return nil
	},
}

// watched forwards by the kernel, with an observer unless the mode is Auto, and gives
// frames per second and the programs' time for each of them, in and out, ns. The kernel's
// watch over that time costs as much again: the rate is measured without it.
func watched(ctx context.Context, l *lab.Lab, p rig.Programs, m observe.Mode, each time.Duration) (rate, cost float64, err error) {
	if m == observe.Auto {
		rate, _, err = viaKernel(ctx, l, p, each)
		return rate, 0, err
	}
	var ob *observe.Observer
	if err := l.Router.Do(func() (err error) { ob, err = look(m); return err }); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, ob.Close()) }()
	if rate, _, err = viaKernel(ctx, l, p, each); err != nil {
		return 0, 0, err
	}
	timing, err := observe.Timed()
	if err != nil {
		return 0, 0, fmt.Errorf("have the kernel time the programs: %w", err)
	}
	defer timing.Close()
	_, count, err := viaKernel(ctx, l, p, each)
	if err != nil {
		return 0, 0, err
	}
	took, err := ob.Took()
	return rate, float64(took.Nanoseconds()) / float64(count), err
}

// look opens an observer of the calling thread's namespace over the lab's ports.
func look(m observe.Mode) (*observe.Observer, error) {
	start := time.Now()
	ob, err := observe.Open(observe.Options{Mode: m, Clock: func() flow.Time { return flow.Time(time.Since(start)) }})
	if err != nil {
		return nil, err
	}
	var ports []hwif.Port
	for _, name := range []string{lab.LANPort, lab.WANPort} {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, errors.Join(err, ob.Close())
		}
		ports = append(ports, hwif.Port{Ifindex: hwif.Ifindex(i.Index), Name: name})
	}
	if err := errors.Join(ob.SetPorts(ports), ob.SetThreshold(1000)); err != nil {
		return nil, errors.Join(err, ob.Close())
	}
	return ob, nil
}
