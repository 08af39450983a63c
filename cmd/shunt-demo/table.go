package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/rig"
)

// table shows each flow with one line per direction: its state, its cached
// route, and what the kernel and the NIC have forwarded of it.
func table(flows []*shuntv1.Flow) string {
	flows = slices.DeleteFunc(slices.Clone(flows), func(f *shuntv1.Flow) bool {
		p := f.GetOrig().GetTuple().GetProto()
		return p != "tcp" && p != "udp"
	})
	slices.SortFunc(flows, func(a, b *shuntv1.Flow) int { return int(int64(a.Uid) - int64(b.Uid)) })
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FLOW\tSTATE\tCACHED ROUTE\tBY THE KERNEL\tBY THE NIC")
	for _, f := range flows {
		fmt.Fprintf(w, "%s %s\t%s\t%s\t%s\t%s\n", f.Orig.GetTuple().GetProto(), ends(f.Orig), state(f), route(f, f.Orig), count(f.Orig.GetKernel()), count(f.Orig.GetNic()))
		fmt.Fprintf(w, "    %s\t%s\t%s\t%s\t%s\n", ends(f.Reply), rig.ReasonWords(f.Reasons), route(f, f.Reply), count(f.Reply.GetKernel()), count(f.Reply.GetNic()))
	}
	_ = w.Flush() // into memory
	return b.String()
}

func ends(d *shuntv1.Direction) string {
	t := d.GetTuple()
	return net.JoinHostPort(t.GetSrc(), strconv.Itoa(int(t.GetSrcPort()))) + " > " + net.JoinHostPort(t.GetDst(), strconv.Itoa(int(t.GetDstPort())))
}

func state(f *shuntv1.Flow) string {
	s := rig.StateWord(f.State)
	if f.Pinned {
		s += " pinned"
	}
	return s
}

func route(f *shuntv1.Flow, d *shuntv1.Direction) string {
	r := d.GetRoute()
	if r == nil {
		return "-"
	}
	s := r.OutPort
	if r.Nexthop != "" {
		s += " via " + r.Nexthop
	}
	s += " " + r.DstMac
	if f.Snat || f.Dnat {
		s += " nat"
	}
	return s
}

func count(c *shuntv1.Counter) string {
	if c.GetPackets() == 0 {
		return "-"
	}
	return fmt.Sprintf("%s pk %s", grouped(c.Packets), size(c.Bytes))
}

// grouped writes 1234567 as 1 234 567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// size writes bytes in decimal units.
func size(n uint64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
