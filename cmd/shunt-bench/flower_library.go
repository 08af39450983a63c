package main

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// library is vishvananda/netlink with the nearest rule that it can say, one Handle
// and its defaults (EnableErrorMessageReporting off).
func (c *course) library() (*racer, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	link, err := handle.LinkByIndex(int(c.in.Ifindex))
	if err != nil {
		handle.Close()
		return nil, err
	}
	// The filters of one slice; 20 000 of them would be in the way of everybody's
	// garbage collector.
	var slice []netlink.Flower
	each := func(f func(netlink.Filter) error) func(context.Context, int, int) error {
		return func(_ context.Context, from, to int) error {
			for i := range slice {
				if err := f(&slice[i]); err != nil {
					return fmt.Errorf("rule %d: %w", from+i, err)
				}
			}
			slice = nil
			return nil
		}
	}
	return &racer{
		name: nameLibrary,
		note: "without tcp_flags, ip_flags, TTL-1, cookie and no_percpu, for which it has no words",
		ready: func(from, to int) {
			slice = make([]netlink.Flower, to-from)
			for i := range slice {
				c.flower(from+i, prioLibrary, &slice[i])
			}
		},
		insert: each(handle.FilterAdd),
		remove: each(handle.FilterDel),
		readers: []reader{{name: readLibrary, read: func(context.Context) error {
			list, err := handle.FilterList(link, netlink.HANDLE_MIN_INGRESS)
			if err == nil && len(list) < c.n {
				err = fmt.Errorf("%d filters, want %d", len(list), c.n)
			}
			return err
		}}},
		end: func() error { handle.Close(); return nil },
	}, nil
}

// flower is the i-th rule as far as the library goes.
func (c *course) flower(i int, prio uint16, into *netlink.Flower) {
	r := c.rule(i)
	m, a := r.Match, r.Actions
	proto, mask := nl.IPProto(m.Proto), net.CIDRMask(32, 32)
	pedit := netlink.NewPeditAction()
	pedit.SrcMacAddr, pedit.DstMacAddr = a.EthSrc[:], a.EthDst[:]
	pedit.SrcIP, pedit.SrcPort, pedit.Proto = net.IP(a.IPSrc[:4]), a.SrcPort, m.Proto
	*into = netlink.Flower{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: int(m.InPort), Parent: netlink.HANDLE_MIN_INGRESS, Priority: prio, Protocol: unix.ETH_P_IP, Handle: uint32(i + 1)},
		EthType:     unix.ETH_P_IP, IPProto: &proto, DestMac: m.EthDst[:],
		SrcIP: net.IP(m.Src[:4]), SrcIPMask: mask, DestIP: net.IP(m.Dst[:4]), DestIPMask: mask,
		SrcPort: m.SrcPort, DestPort: m.DstPort, SkipSw: true,
		Actions: []netlink.Action{pedit, netlink.NewMirredAction(int(a.OutPort))},
	}
}
