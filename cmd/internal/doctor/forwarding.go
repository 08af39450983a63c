package doctor

import (
	"context"
	"fmt"
	"strings"
)

func forwarding(_ context.Context, h *host) []Finding {
	out := []Finding{{Name: "forwarding_ipv4", Text: "on"}, {Name: "forwarding_ipv6", Text: "on"}}
	// ip_forward is conf/all/forwarding; each port has its own as well.
	if off := h.off("net/ipv4/conf/all/forwarding", "net/ipv4/conf/%s/forwarding"); off != "" {
		out[0].Level, out[0].Text = Fail, "off ("+off+"): the kernel forwards nothing, so nothing can be taken over from it"
		out[0].Mend = "sudo sysctl -w net.ipv4.ip_forward=1"
	}
	// Only the "all" switch decides on IPv6 forwarding of packets.
	if off := h.off("net/ipv6/conf/all/forwarding", ""); off != "" {
		out[1].Level, out[1].Text = Warn, "off ("+off+"): only IPv4 will be offloaded"
		out[1].Mend = "sudo sysctl -w net.ipv6.conf.all.forwarding=1"
	}
	return out
}

// off names the first of the switches that is not on.
func (h *host) off(all, perPort string) string {
	paths := []string{all}
	if perPort != "" {
		for _, p := range h.opts.Ports {
			paths = append(paths, fmt.Sprintf(perPort, p))
		}
	}
	for i, path := range paths {
		v, err := h.sysctl(path)
		if err != nil && i > 0 {
			continue // the port is not there, which the port's own check says
		}
		if err != nil {
			return path + ": " + why(err)
		}
		if v == "0" {
			return path + " is 0"
		}
	}
	return ""
}

func reversePath(_ context.Context, h *host) []Finding {
	f := Finding{Name: "rp_filter", Text: "not strict on these ports"}
	if len(h.opts.Ports) == 0 {
		f.Text = "not strict for all interfaces"
	}
	all, err := h.sysctl("net/ipv4/conf/all/rp_filter")
	if err != nil {
		f.Level, f.Text = Warn, "cannot be read: "+why(err)
		return []Finding{f}
	}
	strict, mend := []string{}, []string{}
	if all == "1" {
		strict, mend = append(strict, "all"), append(mend, "net.ipv4.conf.all.rp_filter=2")
	}
	for _, p := range h.opts.Ports {
		// The higher of "all" and the port's own counts (ip-sysctl).
		if v, err := h.sysctl("net/ipv4/conf/" + p + "/rp_filter"); err == nil && v == "1" && all != "2" {
			strict, mend = append(strict, p), append(mend, "net.ipv4.conf."+strings.ReplaceAll(p, ".", "/")+".rp_filter=2")
		}
	}
	if len(strict) > 0 {
		f.Level = Warn
		f.Text = "strict for " + strings.Join(strict, ", ") + ": replies that come back by another port than they left by are dropped by the kernel, and such flows never settle"
		f.Mend = "sudo sysctl -w " + strings.Join(mend, " ")
	}
	return []Finding{f}
}

func routeSysctls(_ context.Context, h *host) []Finding {
	multipath := Finding{Name: "multipath", Text: "fib_multipath_hash_policy is 0: a flow's path follows from its addresses alone"}
	if v, err := h.sysctl("net/ipv4/fib_multipath_hash_policy"); err == nil && v != "0" {
		multipath.Level = Warn
		multipath.Text = "fib_multipath_hash_policy is " + v + ": over a multipath route, packets of one flow may be hashed by more than its addresses, and such flows stay in software"
		multipath.Mend = "sudo sysctl -w net.ipv4.fib_multipath_hash_policy=0"
	}
	silent := Finding{Name: "route_events", Text: "the kernel announces every route that goes"}
	// IPv4 has no such switch: routes that go with their device are never announced.
	if v, err := h.sysctl("net/ipv6/route/skip_notify_on_dev_down"); err == nil && v != "0" {
		silent.Level = Fail
		silent.Text = "net.ipv6.route.skip_notify_on_dev_down is " + v + ": IPv6 routes go without a word when their device does, and flows over them would be forwarded to nowhere"
		silent.Mend = "sudo sysctl -w net.ipv6.route.skip_notify_on_dev_down=0"
	}
	return []Finding{multipath, silent}
}
