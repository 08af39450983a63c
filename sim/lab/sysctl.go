package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Sysctl writes one kernel parameter of the namespace, with dots in its name.
func (n *Namespace) Sysctl(key, value string) error {
	// /proc/sys/net shows the namespace of the thread that opens the file.
	err := n.Do(func() error {
		return os.WriteFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), []byte(value), 0)
	})
	if err != nil {
		return fmt.Errorf("set %s=%s in %s: %w", key, value, n.Name, err)
	}
	return nil
}

// sysctls is run before there are any links: they take the defaults over.
func (l *Lab) sysctls(context.Context) error {
	for _, n := range l.made {
		// Without a settled link-local address a router can't ask for its
		// neighbours, and that takes a second; in the lab no address is doubled.
		if err := n.set("net.ipv6.conf.default.accept_dad", "0", "net.ipv6.conf.all.accept_dad", "0"); err != nil {
			return err
		}
	}
	err := l.Router.set(
		"net.ipv4.ip_forward", "1",
		"net.ipv6.conf.all.forwarding", "1",
		// The kernel's own account of each flow, to hold the NIC's against.
		"net.netfilter.nf_conntrack_acct", "1",
	)
	if err == nil && l.opts.UDPTimeout > 0 {
		err = l.Router.set("net.netfilter.nf_conntrack_udp_timeout_stream", strconv.Itoa(l.opts.UDPTimeout))
	}
	if err != nil {
		return err
	}
	return l.Server.set(
		// Two interfaces on one wire: each answers for its own address only, so
		// that each next hop keeps its own MAC.
		"net.ipv4.conf.all.arp_ignore", "1",
		"net.ipv4.conf.all.arp_announce", "2",
		// Packets by way of B are answered by way of A.
		"net.ipv4.conf.all.rp_filter", "0",
		"net.ipv4.conf.default.rp_filter", "0",
		// Tell the neighbours of a new MAC.
		"net.ipv4.conf.all.arp_notify", "1",
		"net.ipv6.conf.default.ndisc_notify", "1",
	)
}

// set writes pairs of key and value in order.
func (n *Namespace) set(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := n.Sysctl(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}
