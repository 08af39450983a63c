package lab

import "context"

// features makes veth behave like a cable with a machine at each end.
// docs/emulated-nic.md tells how each of these was found.
func (l *Lab) features(ctx context.Context) error {
	peer := []string{
		// A frame that XDP redirects has to carry its checksum: veth leaves it to
		// hardware that does not exist, and the receiver drops every packet.
		"tx", "off",
		// A veth takes redirected frames only when it polls (NAPI), which GRO or
		// an XDP program of its own switches on. Without it they vanish.
		"gro", "on",
		// The VLAN tag has to be in the frame, where XDP can see it.
		"txvlan", "off",
	}
	// A cable carries frames, not aggregates of 64 KiB: so a packet counter
	// counts packets, by the kernel's way as by the NIC's.
	frames := []string{"tso", "off", "gso", "off"}
	type features struct {
		ns   *Namespace
		link string
		args [][]string
	}
	all := []features{
		{l.Server, serverA, [][]string{peer, frames}},
		{l.Server, serverB, [][]string{peer, frames}},
	}
	if l.opts.NIC == nil { // an emulated card has none of these to begin with
		all = append(all, features{l.Client, ClientPort, [][]string{peer, frames}}, features{l.Switch, toRouter, [][]string{peer, frames}},
			features{l.Router, LANPort, [][]string{{"txvlan", "off"}, frames}}, features{l.Router, WANPort, [][]string{{"txvlan", "off"}, frames}})
	}
	for _, f := range all {
		for _, args := range f.args {
			if _, err := f.ns.Run(ctx, "ethtool", append([]string{"-K", f.link}, args...)...); err != nil {
				return err
			}
		}
	}
	return nil
}
