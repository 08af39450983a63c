package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/observe"
)

// tryObserver loads the programs that look at packets, and takes them off again.
func tryObserver() (mode, why string, err error) {
	ob, err := observe.Open(observe.Options{Clock: func() flow.Time { return flow.Time(time.Now().UnixNano()) }})
	if err != nil {
		return "", "", err
	}
	defer ob.Close()
	return ob.Mode().String(), ob.Why(), nil
}

// observer tells where packets can be looked at, to learn what was done with them.
func observer(_ context.Context, h *host) []Finding {
	f := Finding{Name: "observer"}
	mode, why, err := h.observe()
	switch {
	case errors.Is(err, unix.EPERM):
		f.Level, f.Text = Warn, "the programs that look at packets can't be tried without CAP_BPF and CAP_PERFMON"
		f.Mend = h.again()
	case err != nil:
		f.Level = Warn
		f.Text = "packets can't be looked at, so routes come from the tables alone (no multipath, no rules by mark, and no way back after a change of the ruleset): " + oneLine(err.Error())
		f.Mend = "use a kernel with BTF (CONFIG_DEBUG_INFO_BTF=y), Linux 5.8 or newer; 6.6 has the better hook"
	case why != "":
		f.Text = "packets are looked at by " + mode + ", for every transmission of the host: " + oneLine(why)
	default:
		f.Text = "packets are looked at by " + mode
	}
	return []Finding{f}
}

// oneLine keeps the beginning of a text of several lines.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	const most = 160
	if len(s) > most {
		s = s[:most] + " …"
	}
	return s
}

// legacyRules finds rules whose changes nobody announces.
func legacyRules(_ context.Context, h *host) []Finding {
	f := Finding{Name: "ruleset", Text: "changes of the ruleset are announced"}
	var tables []string
	for _, file := range []string{"ip_tables_names", "ip6_tables_names"} {
		text, err := read(h.proc + "/thread-self/net/" + file)
		if err == nil && strings.TrimSpace(text) != "" {
			tables = append(tables, strings.TrimSuffix(file, "_names")+" ("+strings.Join(strings.Fields(text), ", ")+")")
		}
	}
	if len(tables) > 0 {
		f.Level = Warn
		f.Text = strings.Join(tables, ", ") + " is in use, whose changes the kernel announces to nobody: a rule that is added there does not reach flows in hardware"
		f.Mend = "sudo update-alternatives --set iptables /usr/sbin/iptables-nft, and load the rules again"
	}
	return []Finding{f}
}
