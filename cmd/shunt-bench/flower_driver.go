package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// Names that figures go by.
const (
	nameDriver  = "shunt, mlx5 driver"
	nameCodec   = "shunt, package tc"
	nameReplay  = "replay (ceiling)"
	nameCounted = "replay, counted"
	nameTC      = "tc -batch"
	nameLibrary = "vishvananda/netlink"
	nameOVS     = "Open vSwitch"

	readTC      = "tc -s filter show"
	readTCJSON  = "tc -s -j filter show"
	readLibrary = "vishvananda FilterList"
	readOVS     = "ovs dpctl/dump-flows"
)

// Prios of racers other than the driver, which has 10 to 16, where mlx5's end: no
// classifier is shared.
const (
	prioCodec   = 4
	prioReplay  = 5
	prioCounted = 6
	prioTC      = 7
	prioLibrary = 8
)

// racers are everybody, the driver first; and why somebody is absent.
func (c *course) racers(dev hwif.Device) (rs racers, absent []string, err error) {
	rs = append(rs, c.driver(dev))
	for _, one := range []func() (*racer, error){c.codec, c.replay, c.countedReplay, c.tcBatch, c.library} {
		r, err := one()
		if err != nil {
			return nil, nil, errors.Join(err, rs.close())
		}
		rs = append(rs, r)
	}
	r, err := c.openVSwitch()
	if err != nil {
		return rs, []string{nameOVS + ": no row; " + err.Error()}, nil
	}
	return append(rs, r), nil, nil
}

// driver is the way that the daemon takes.
func (c *course) driver(dev hwif.Device) *racer {
	nic := hwif.NewNIC(dev, hwif.NICOptions{})
	ops := make([]hwif.Op, c.n)
	results := make([]hwif.Result, c.n)
	for i := range ops {
		ops[i].Rule = c.rule(i)
	}
	run := func(ctx context.Context, kind hwif.OpKind, from, to int) error {
		for i := from; i < to; i++ {
			ops[i].Kind = kind
		}
		nic.Apply(ctx, ops[from:to], results[from:to])
		for i := from; i < to; i++ {
			if results[i].Err != nil {
				return results[i].Err
			}
		}
		return nil
	}
	var buf []hwif.Counted
	return &racer{
		name:   nameDriver,
		note:   "as the daemon does it, through hwif.NIC; a removal brings the last counters",
		insert: func(ctx context.Context, from, to int) error { return run(ctx, hwif.OpInstall, from, to) },
		remove: func(ctx context.Context, from, to int) error { return run(ctx, hwif.OpRemove, from, to) },
		readers: []reader{{name: nameDriver, read: func(ctx context.Context) (err error) {
			if buf, err = nic.Counters(ctx, buf[:0]); err == nil && len(buf) != c.n {
				err = fmt.Errorf("%d counters, want %d", len(buf), c.n)
			}
			return err
		}}},
	}
}

// codec is package tc without the driver around it.
func (c *course) codec() (*racer, error) {
	conn, err := tc.Open()
	if err != nil {
		return nil, err
	}
	filters := c.filters(prioCodec)
	reqs, resps := make([]tc.Request, c.n), make([]tc.Response, c.n)
	run := func(ctx context.Context, req tc.Request, from, to int) error {
		for i := from; i < to; i++ {
			req.Filter = &filters[i]
			reqs[i] = req
		}
		conn.Apply(ctx, &shape, reqs[from:to], resps[from:to])
		for i := from; i < to; i++ {
			if resps[i].Err != nil {
				return resps[i].Err
			}
		}
		return nil
	}
	return &racer{
		name:   nameCodec,
		note:   "without the driver around it; a removal brings no counters",
		insert: func(ctx context.Context, from, to int) error { return run(ctx, tc.Request{Verb: tc.New}, from, to) },
		remove: func(ctx context.Context, from, to int) error {
			return run(ctx, tc.Request{Verb: tc.Delete, NoCounter: true}, from, to)
		},
		readers: []reader{{name: nameCodec, read: func(ctx context.Context) error {
			n := 0
			if err := conn.Terse(ctx, c.in.Ifindex, func(*tc.Tally) { n++ }); err != nil {
				return err
			}
			if n < c.n {
				return fmt.Errorf("%d tallies, want %d", n, c.n)
			}
			return nil
		}}},
		end: conn.Close,
	}, nil
}
