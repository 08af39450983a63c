package lab

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesComeBackAsTheyWere(t *testing.T) {
	n := name{pid: 4711, serial: 2, role: "router"}
	got, ok := parseName(n.String())
	if !ok || got != n {
		t.Fatalf("parseName(%q) = %+v, %v", n, got, ok)
	}
}

func TestNamesOfOthersAreNotOurs(t *testing.T) {
	for _, s := range []string{"", "lab", "lab-1-router", "lab-x-1-router", "lab-1-x-router", "lab--1-1-router", "web-1-1-router", "lab-0-1-router", "lab-1-1-a-b"} {
		if n, ok := parseName(s); ok {
			t.Errorf("parseName(%q) = %+v, want a stranger", s, n)
		}
	}
}

func TestCountersAreReadFromNftsJSON(t *testing.T) {
	const text = `{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
	 {"counter": {"family": "inet", "name": "forwarded4", "table": "lab", "handle": 1, "packets": 7, "bytes": 700}},
	 {"counter": {"family": "inet", "name": "forwarded6", "table": "lab", "handle": 2, "packets": 8, "bytes": 801}},
	 {"counter": {"family": "inet", "name": "invalid", "table": "lab", "handle": 3, "packets": 0, "bytes": 0}}]}`
	got, err := parseCounters([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Forwarded{IPv4: Count{7, 700}, IPv6: Count{8, 801}}, got); diff != "" {
		t.Fatal(diff)
	}
	if got.Packets() != 15 {
		t.Errorf("Packets() = %d, want 15", got.Packets())
	}
}

func TestAMissingCounterIsAnError(t *testing.T) {
	for _, text := range []string{`{"nftables": []}`, `not json`} {
		if f, err := parseCounters([]byte(text)); err == nil {
			t.Errorf("parseCounters(%q) = %+v, want an error", text, f)
		}
	}
}

func TestNATIsLeftOutOnRequest(t *testing.T) {
	if !strings.Contains(rules(true, false, LANPort), "masquerade") || strings.Contains(rules(false, true, LANPort), "masquerade") ||
		strings.Contains(rules(true, false, LANPort), "dnat to") || !strings.Contains(rules(false, true, LANPort), "dnat to") {
		t.Error("masquerade does not follow the option")
	}
}

func TestSweepLeavesLivingLabsAlone(t *testing.T) {
	if !alive(os.Getpid()) {
		t.Error("this program is said to be dead")
	}
	// Above the kernel's largest pid (PID_MAX_LIMIT, 4 Mi on 64 bit).
	if alive(1 << 23) {
		t.Error("an impossible process is said to live")
	}
}

func TestWithoutRootTheLabSaysWhatMendsIt(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("runs as root: the refusal can't be seen")
	}
	_, err := New(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "root") {
		t.Fatalf("New = %v, want an error about root", err)
	}
	if errors.Is(err, os.ErrNotExist) {
		t.Error("the missing right is reported as a missing file")
	}
}
