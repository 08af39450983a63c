package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// Prios of racers other than the driver; all behind its own, so that no classifier
// is shared.
const (
	prioReplay = 16
	prioTC     = 9
	prioLib    = 8
)

var (
	hop   = hwif.MAC{2, 0, 0, 0, 0xee, 1}
	shape = tc.Shape{NoCsum: true, Retag: true} // mlx5's
)

// rule is the i-th connection through masquerade, in the direction out.
func (c *course) rule(i int) hwif.Rule {
	m := hwif.Match{Fields: hwif.RoutedFlow | hwif.FieldsOf(hwif.FieldTCPFlags), InPort: c.in.Ifindex, EthDst: c.in.MAC, Family: hwif.IPv4,
		Proto: hwif.ProtoTCP, SrcPort: uint16(1024 + i%60000), DstPort: 443,
		TCPFlags: hwif.TCPAck, TCPFlagsMask: hwif.TCPSyn | hwif.TCPFin | hwif.TCPRst | hwif.TCPAck}
	binary.BigEndian.PutUint32(m.Src[:], 0x0a000001+uint32(i/60000)+uint32(i)<<8&0xffff00)
	copy(m.Dst[:], []byte{192, 0, 2, 1})
	a := hwif.Actions{Set: hwif.Routed | hwif.ActionsOf(hwif.ActIPSrc, hwif.ActL4Src), EthSrc: c.out.MAC, EthDst: hop, OutPort: c.out.Ifindex,
		SrcPort: uint16(1024 + i%60000)}
	copy(a.IPSrc[:], []byte{198, 51, 100, byte(1 + i/60000)})
	return hwif.Rule{Cookie: hwif.NewCookie(uint64(i)+1, 0), Match: m, Actions: a}
}

func (c *course) racers(dev hwif.Device) ([]racer, func() error, error) {
	ours := c.driver(dev)
	codec, closeCodec, err := c.codec()
	if err != nil {
		return nil, nil, err
	}
	replay, closeReplay, err := c.replay()
	if err != nil {
		return nil, nil, errors.Join(err, closeCodec())
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, errors.Join(err, closeCodec(), closeReplay())
	}
	batch, err := c.tcBatch(dir)
	if err != nil {
		return nil, nil, errors.Join(err, closeCodec(), closeReplay())
	}
	return []racer{ours, codec, replay, batch, c.library()},
		func() error { return errors.Join(closeCodec(), closeReplay(), os.RemoveAll(dir)) }, nil
}

// driver is the way that the daemon takes.
func (c *course) driver(dev hwif.Device) racer {
	nic := hwif.NewNIC(dev, hwif.NICOptions{})
	ops := make([]hwif.Op, c.n)
	results := make([]hwif.Result, c.n)
	for i := range ops {
		ops[i].Rule = c.rule(i)
	}
	run := func(ctx context.Context, kind hwif.OpKind) error {
		for i := range ops {
			ops[i].Kind = kind
		}
		nic.Apply(ctx, ops, results)
		for i := range results {
			if results[i].Err != nil {
				return results[i].Err
			}
		}
		return nil
	}
	var buf []hwif.Counted
	return racer{
		name:   nameDriver,
		insert: func(ctx context.Context) error { return run(ctx, hwif.OpInstall) },
		remove: func(ctx context.Context) error { return run(ctx, hwif.OpRemove) },
		sweep: func(ctx context.Context) (err error) {
			if buf, err = nic.Counters(ctx, buf[:0]); err == nil && len(buf) != c.n {
				err = fmt.Errorf("%d counters, want %d", len(buf), c.n)
			}
			return err
		},
	}
}

func (c *course) filters(prio uint16) []tc.Filter {
	out := make([]tc.Filter, c.n)
	for i := range out {
		out[i] = tc.Filter{Place: tc.Place{Ifindex: c.in.Ifindex, Prio: prio}, Handle: uint32(i + 1), Rule: c.rule(i)}
	}
	return out
}

// codec is package tc without the driver around it.
func (c *course) codec() (racer, func() error, error) {
	conn, err := tc.Open()
	if err != nil {
		return racer{}, nil, err
	}
	filters := c.filters(prioReplay - 1)
	reqs, resps := make([]tc.Request, c.n), make([]tc.Response, c.n)
	run := func(ctx context.Context, v tc.Verb) error {
		for i := range reqs {
			reqs[i] = tc.Request{Verb: v, Filter: &filters[i]}
		}
		conn.Apply(ctx, &shape, reqs, resps)
		for i := range resps {
			if resps[i].Err != nil {
				return resps[i].Err
			}
		}
		return nil
	}
	return racer{
		name:   "package tc alone",
		insert: func(ctx context.Context) error { return run(ctx, tc.New) },
		remove: func(ctx context.Context) error { return run(ctx, tc.Delete) },
		sweep: func(ctx context.Context) error {
			n := 0
			if err := conn.Terse(ctx, c.in.Ifindex, func(t *tc.Tally) { n++ }); err != nil || n < c.n {
				return fmt.Errorf("%d tallies: %w", n, err)
			}
			return nil
		},
	}, conn.Close, nil
}

// tcBatch is iproute2's own program with a file of commands.
func (c *course) tcBatch(dir string) (racer, error) {
	var add, del bytes.Buffer
	for i := range c.n {
		r := c.rule(i)
		src, nat := net.IP(r.Match.Src[:4]), net.IP(r.Actions.IPSrc[:4])
		fmt.Fprintf(&add, "filter add dev %s ingress protocol ip pref %d handle %#x flower skip_sw dst_mac %s ip_proto tcp src_ip %s dst_ip 192.0.2.1 src_port %d dst_port 443 "+
			"ip_flags nofrag tcp_flags 0x10/0x17 action pedit ex munge eth src set %s munge eth dst set %s munge ip ttl add 0xff munge ip src set %s munge tcp sport set %d pipe no_percpu "+
			"action mirred egress redirect dev %s cookie %s no_percpu\n",
			c.in.Name, prioTC, i+1, r.Match.EthDst, src, r.Match.SrcPort, r.Actions.EthSrc, r.Actions.EthDst, nat, r.Actions.SrcPort, c.out.Name, r.Cookie)
		fmt.Fprintf(&del, "filter del dev %s ingress protocol ip pref %d handle %#x flower\n", c.in.Name, prioTC, i+1)
	}
	addFile, delFile := filepath.Join(dir, "add"), filepath.Join(dir, "del")
	if err := errors.Join(os.WriteFile(addFile, add.Bytes(), 0o600), os.WriteFile(delFile, del.Bytes(), 0o600)); err != nil {
		return racer{}, err
	}
	run := func(ctx context.Context, args ...string) error {
		cmd := exec.CommandContext(ctx, "tc", args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs // what it prints goes nowhere, as to /dev/null
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("tc %s: %w: %s", args[0], err, errs.String())
		}
		return nil
	}
	return racer{
		name:   nameTC,
		insert: func(ctx context.Context) error { return run(ctx, "-batch", addFile) },
		remove: func(ctx context.Context) error { return run(ctx, "-batch", delFile) },
		sweep: func(ctx context.Context) error {
			return run(ctx, "-s", "filter", "show", "dev", c.in.Name, "ingress")
		},
	}, nil
}

// library is vishvananda/netlink, with the nearest rule that it can say.
func (c *course) library() racer {
	mask32 := net.CIDRMask(32, 32)
	filters := make([]*netlink.Flower, c.n)
	for i := range filters {
		r := c.rule(i)
		pedit := netlink.NewPeditAction()
		pedit.SrcMacAddr, pedit.DstMacAddr = r.Actions.EthSrc[:], r.Actions.EthDst[:]
		pedit.SrcIP, pedit.SrcPort, pedit.Proto = net.IP(r.Actions.IPSrc[:4]), r.Actions.SrcPort, 6
		proto := nl.IPProto(6)
		filters[i] = &netlink.Flower{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: int(c.in.Ifindex), Parent: netlink.HANDLE_MIN_INGRESS, Priority: prioLib, Protocol: 0x0800, Handle: uint32(i + 1)},
			EthType:     0x0800, IPProto: &proto, SrcIP: net.IP(append([]byte(nil), r.Match.Src[:4]...)), SrcIPMask: mask32,
			DestIP: net.IP(append([]byte(nil), r.Match.Dst[:4]...)), DestIPMask: mask32, SrcPort: r.Match.SrcPort, DestPort: r.Match.DstPort,
			DestMac: r.Match.EthDst[:], SkipSw: true,
			Actions: []netlink.Action{pedit, netlink.NewMirredAction(int(c.out.Ifindex))},
		}
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	each := func(f func(*netlink.Flower) error) func(context.Context) error {
		return func(context.Context) error {
			for i := range filters {
				if err != nil {
					return err
				}
				if err := f(filters[i]); err != nil {
					return fmt.Errorf("rule %d: %w", i, err)
				}
			}
			return nil
		}
	}
	return racer{
		name:   nameLibrary,
		note:   "without tcp_flags, ip_flags, TTL-1, cookie and no_percpu, which it cannot say",
		insert: each(func(f *netlink.Flower) error { return handle.FilterAdd(f) }),
		remove: each(func(f *netlink.Flower) error { return handle.FilterDel(f) }),
		sweep: func(context.Context) error {
			link, err := handle.LinkByIndex(int(c.in.Ifindex))
			if err != nil {
				return err
			}
			list, err := handle.FilterList(link, netlink.HANDLE_MIN_INGRESS)
			if err == nil && len(list) < c.n {
				err = fmt.Errorf("%d filters, want %d", len(list), c.n)
			}
			return err
		},
	}
}
