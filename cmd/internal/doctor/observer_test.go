package doctor

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestObserver(t *testing.T) {
	for name, tc := range map[string]struct {
		mode, why string
		err       error
		level     Level
		text      string
		mend      string
	}{
		"best":        {"tcx", "", nil, OK, "looked at by tcx", ""},
		"second best": {"tracepoint", "observer: tcx: the kernel has none\nand more", nil, OK, "by tracepoint, for every transmission of the host: observer: tcx: the kernel has none", ""},
		"no rights":   {"", "", fmt.Errorf("load: %w", unix.EPERM), Warn, "CAP_BPF", "sudo"},
		"none":        {"", "", errors.New("no BTF"), Warn, "from the tables alone", "BTF"},
	} {
		t.Run(name, func(t *testing.T) {
			h := fake(t, nil)
			h.observe = func() (string, string, error) { return tc.mode, tc.why, tc.err }
			expect(t, find(t, observer(t.Context(), h), "observer"), tc.level, tc.text, tc.mend)
		})
	}
}

func TestLegacyRules(t *testing.T) {
	expect(t, find(t, legacyRules(t.Context(), fake(t, nil)), "ruleset"), OK, "announced", "")
	h := fake(t, map[string]string{"proc/thread-self/net/ip_tables_names": "nat\nfilter"})
	expect(t, find(t, legacyRules(t.Context(), h), "ruleset"), Warn, "ip_tables (nat, filter) is in use", "iptables-nft")
}
