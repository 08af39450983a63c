package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const netfilter = "net/netfilter/"

func conntrackPresent(_ context.Context, h *host) []Finding {
	f := Finding{Name: "conntrack"}
	count, err := h.sysctl(netfilter + "nf_conntrack_count")
	if err != nil {
		f.Level, f.Text = Fail, "the kernel tracks no connections (nf_conntrack_count: "+why(err)+")"
		f.Mend = "sudo modprobe nf_conntrack && sudo modprobe nf_conntrack_netlink"
		return []Finding{f}
	}
	f.Text = count + " connections are tracked"
	if count == "1" {
		f.Text = "1 connection is tracked"
	}
	if n, err := h.forwarded(); count == "0" && err == nil && n > 0 {
		// Hooks are registered only while some rule of the namespace needs them
		// (nf_ct_netns_get).
		f.Level = Warn
		f.Text = plural(n, "packet has", "packets have") + " been forwarded, and no connection is tracked: conntrack works only while a rule asks for it"
		f.Mend = "sudo nft 'add table inet shunt; add chain inet shunt forward { type filter hook forward priority 0; }; add rule inet shunt forward ct state invalid counter'"
	}
	return []Finding{f}
}

// forwarded is ForwDatagrams of the IPv4 counters (RFC 4293 ipForwDatagrams).
func (h *host) forwarded() (uint64, error) {
	snmp, err := read(h.proc + "/thread-self/net/snmp")
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(snmp) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Ip:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "ForwDatagrams" && i < len(fields) {
				return strconv.ParseUint(fields[i], 10, 64)
			}
		}
	}
	return 0, errors.New("no ForwDatagrams")
}

func conntrackEvents(_ context.Context, h *host) []Finding {
	f := Finding{Name: "nf_conntrack_events", Mend: "sudo sysctl -w net.netfilter.nf_conntrack_events=1"}
	v, err := h.sysctl(netfilter + "nf_conntrack_events")
	switch {
	case err != nil:
		f.Level, f.Text = Fail, "conntrack announces nothing ("+why(err)+")"
		f.Mend = "use a kernel built with CONFIG_NF_CONNTRACK_EVENTS=y"
	case v == "0":
		f.Level, f.Text = Fail, "is 0: conntrack announces nothing, and flows would be seen only when the table is listed (shuntd sets it, unless conntrack.events is false)"
	case v == "1":
		f.Text, f.Mend = "is 1", ""
	default:
		f.Level, f.Text = Warn, "is "+v+": entries made while nobody listened announce nothing, not even their end (shuntd sets it, unless conntrack.events is false)"
	}
	return []Finding{f}
}

func conntrackExtras(_ context.Context, h *host) []Finding {
	var out []Finding
	for _, s := range []struct{ name, without string }{
		{"nf_conntrack_acct", "flows have no packet counts, and policy.min_packets has nothing to go by (shuntd sets it, unless conntrack.acct is false)"},
		{"nf_conntrack_timestamp", "a new connection with the addresses of an old one can look like it"},
	} {
		f := Finding{Name: s.name, Text: "is 1"}
		if v, err := h.sysctl(netfilter + s.name); err != nil || v == "0" {
			f.Level, f.Text = Warn, "is 0: "+s.without
			if err != nil {
				f.Text = "cannot be read (" + why(err) + "): " + s.without
			}
			f.Mend = "sudo sysctl -w net.netfilter." + s.name + "=1"
		}
		out = append(out, f)
	}
	return out
}

// The kernel's gc begins to drop what is not assured at 95 % (gc_worker), and
// refuses new connections at 100 %.
const (
	roomWarn = 80
	roomFail = 95
)

func conntrackRoom(_ context.Context, h *host) []Finding {
	count, err1 := h.number(netfilter + "nf_conntrack_count")
	limit, err2 := h.number(netfilter + "nf_conntrack_max")
	if err := errors.Join(err1, err2); err != nil || limit == 0 {
		return nil // said by conntrackPresent
	}
	used := count * 100 / limit
	f := Finding{Name: "conntrack_room", Text: fmt.Sprintf("%d of %d entries are used (%d %%)", count, limit, used)}
	if used >= roomWarn {
		f.Level = Warn
		f.Mend = fmt.Sprintf("sudo sysctl -w net.netfilter.nf_conntrack_max=%d", limit*2)
	}
	if used >= roomFail {
		f.Level = Fail
		f.Text += ": the kernel drops entries to make room"
	}
	return []Finding{f}
}

func (h *host) number(path string) (uint64, error) {
	v, err := h.sysctl(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(v, 10, 64)
}
