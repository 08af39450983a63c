package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxRules is more than any table that we know of holds (ConnectX: 16 M).
const maxRules = 16 << 20

// socketPath is the most bytes of a unix socket's path (sun_path, less its zero).
const socketPath = 107

// ifNameMax is the most bytes of an interface's name (IFNAMSIZ, less its zero).
const ifNameMax = 15

// flaw is one key with a value that cannot be used.
type flaw struct{ key, text string }

// Check refuses values out of range and contradictions, all of them at once. f
// may be nil; then no error points into a file.
func (c *Config) Check(f *File) error {
	var errs []error
	for _, w := range slices.Concat(c.nicFlaws(), c.policyFlaws(), c.sourceFlaws(), c.serviceFlaws()) {
		if f != nil {
			if at, ok := f.at[w.key]; ok {
				errs = append(errs, f.fault(at, w.key, "%s", w.text))
				continue
			}
		}
		errs = append(errs, &Error{Key: w.key, Text: w.text})
	}
	return errors.Join(errs...)
}

func (c *Config) nicFlaws() []flaw {
	var out list
	n := &c.NIC
	if n.Driver == "" {
		out.add("nic.driver", "names no driver")
	}
	between(&out, "nic.rules", n.Rules, 0, maxRules)
	if n.Rules == 1 {
		out.add("nic.rules", "is 1; a flow takes two rules")
	}
	out.within("nic.count", n.Count, 100*time.Millisecond, time.Minute)
	seen := map[string]bool{}
	for _, p := range n.Ports {
		switch {
		case p == "" || len(p) > ifNameMax || strings.ContainsAny(p, "/: \t\n") || p == "." || p == "..":
			out.add("nic.ports", "%q cannot be an interface: a name has 1 to %d bytes, no space, slash or colon", p, ifNameMax)
		case seen[p]:
			out.add("nic.ports", "%s is named twice", p)
		case p == "lo":
			out.add("nic.ports", "lo forwards nothing; name the interfaces between which packets are forwarded")
		}
		seen[p] = true
	}
	if len(n.Ports) == 0 {
		out.add("nic.ports", "names no port; say --ports eth0,eth1 or set it in the file")
	}
	return out
}

func (c *Config) policyFlaws() []flaw {
	var out list
	p := &c.Policy
	out.oneOf("policy.name", p.Name, "threshold", "only-pinned")
	between(&out, "policy.min_packets", p.MinPackets, 0, 1_000_000_000)
	out.within("policy.min_age", p.MinAge, 0, time.Hour)
	between(&out, "policy.ceiling", p.Ceiling, 0, maxRules/2)
	for _, pair := range []struct {
		key  string
		a, b uint32
		name string
	}{
		{"policy.mark_never", p.MarkNever, p.MarkOffload, "offload"},
		{"policy.mark_drop", p.MarkDrop, p.MarkOffload, "offload"},
		{"policy.mark_drop", p.MarkDrop, p.MarkNever, "never"},
	} {
		if both := pair.a & pair.b; both != 0 {
			out.add(pair.key, "has bits 0x%x in common with policy.mark_%s; a mark with them would say two things", both, pair.name)
		}
	}
	if p.Life != 0 {
		out.within("policy.life", p.Life, 10*time.Second, 24*time.Hour)
	}
	out.oneOf("policy.untracked", p.Untracked, "off", "pinned", "on")
	out.within("policy.untracked_life", p.UntrackedLife, 10*time.Second, time.Hour)
	between(&out, "policy.drop_packets", p.DropPackets, 0, 1_000_000_000)
	between(&out, "policy.drop_ceiling", p.DropCeiling, 0, maxRules)
	out.within("policy.drop_life", p.DropLife, time.Second, 5*time.Minute)
	if p.DropPackets > 0 && p.DropCeiling == 0 {
		out.add("policy.drop_ceiling", "is 0, so no flow would be dropped; set policy.drop_packets to 0 to turn it off")
	}
	if c.Route.Observer == "off" {
		for _, key := range p.Watching() {
			out.add(key, "needs packets to be seen, but route.observer is \"off\"; set route.observer to auto, or %s to %s",
				key, map[string]string{"policy.untracked": `"off"`, "policy.drop_packets": "0"}[key])
		}
	}
	out.oneOf("policy.ruleset", p.Ruleset, "relearn", "flush", "keep")
	out.within("policy.idle", p.Idle, 5*time.Second, time.Hour)
	if p.Idle > 0 && c.NIC.Count > 0 && p.Idle < 3*c.NIC.Count {
		out.add("policy.idle", "is %s with counters read every %s (nic.count); a flow would be called idle between two readings: at least three times nic.count", p.Idle, c.NIC.Count)
	}
	if c.NIC.Rules > 0 && p.Ceiling > c.NIC.Rules/2 {
		out.add("policy.ceiling", "is %d flows, but nic.rules %d holds only %d", p.Ceiling, c.NIC.Rules, c.NIC.Rules/2)
	}
	return out
}

func (c *Config) sourceFlaws() []flaw {
	var out list
	between(&out, "conntrack.receive_buffer", c.Conntrack.ReceiveBuffer, 1<<20, 1<<30)
	out.within("conntrack.relist", c.Conntrack.Relist, time.Second, 10*time.Minute)
	out.oneOf("route.observer", c.Route.Observer, "auto", "tcx", "tracepoint", "off")
	if c.Route.Recheck != 0 { // 0 is never
		out.within("route.recheck", c.Route.Recheck, 5*time.Second, time.Hour)
	}
	return out
}

func (c *Config) serviceFlaws() []flaw {
	var out list
	switch s := c.API.Socket; {
	case !filepath.IsAbs(s):
		out.add("api.socket", "%q is no absolute path", s)
	case len(s) > socketPath:
		out.add("api.socket", "has %d bytes; a unix socket's path has at most %d", len(s), socketPath)
	}
	out.loopback("api.tcp", c.API.TCP)
	out.loopback("metrics.listen", c.Metrics.Listen)
	if c.API.TCP != "" && c.API.TCP == c.Metrics.Listen && !strings.HasSuffix(c.API.TCP, ":0") {
		out.add("metrics.listen", "is the same address as api.tcp")
	}
	out.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	out.oneOf("log.format", c.Log.Format, "text", "json")
	out.oneOf("on_exit", c.OnExit, Flush, Keep)
	return out
}

// list collects flaws.
type list []flaw

func (l *list) add(key, format string, args ...any) {
	*l = append(*l, flaw{key, fmt.Sprintf(format, args...)})
}

func (l *list) within(key string, v, low, high time.Duration) {
	if v < low || v > high {
		l.add(key, "is %s; allowed: %s to %s", v, low, high)
	}
}

func (l *list) oneOf(key, v string, words ...string) {
	if !slices.Contains(words, v) {
		l.add(key, "is %q; allowed: %s", v, strings.Join(words, ", "))
	}
}

// loopback accepts "" and a loopback host:port.
func (l *list) loopback(key, v string) {
	if v == "" {
		return
	}
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		l.add(key, "is %q; want host:port, like 127.0.0.1:9469, or \"\" for none", v)
		return
	}
	if _, err := netip.ParseAddrPort(net.JoinHostPort("::1", port)); err != nil {
		l.add(key, "is %q; its port is no number from 0 to 65535", v)
		return
	}
	if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
		l.add(key, "is %q; only loopback addresses are served (127.0.0.1, ::1), since nothing here asks who is calling", v)
	}
}

func between[T cmp.Ordered](l *list, key string, v, low, high T) {
	if v < low || v > high {
		l.add(key, "is %v; allowed: %v to %v", v, low, high)
	}
}
