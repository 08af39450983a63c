package metrics

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/shunt-offload/shunt/conntrack"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/route"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// numbered gives every counter a number of its own, so that a row that reads
// the wrong one shows in the golden file.
func numbered() *offload.Stats {
	s := &offload.Stats{
		Installs: 1001, KernelPath: hwif.Counter{Packets: 1002, Bytes: 1003}, NICPath: hwif.Counter{Packets: 1004, Bytes: 1005},
		NICDrops:  hwif.Counter{Packets: 1013, Bytes: 1014},
		RulesInHW: 1006, RuleLimit: 1007, Ghosts: 1008, Adopted: 1009, Tracked: 1010, Pins: 1011, Denials: 1012, Paused: true,
		Synced: [2]bool{true, false},
	}
	for i := range s.Flows {
		s.Flows[i] = 100 + i
	}
	for i := range s.NotOffload {
		s.NotOffload[i] = 200 + i
	}
	for i := range s.Removals {
		s.Removals[i] = uint64(300 + i)
	}
	for i := range s.Refusals {
		s.Refusals[i], s.RuleErrors[i] = uint64(400+i), uint64(500+i)
	}
	for i := range s.Losses {
		s.Losses[i], s.Listings[i] = uint64(600+i), uint64(700+i)
	}
	for i := range s.Events {
		s.Events[i] = uint64(800 + i)
	}
	for _, v := range []float64{0.00005, 0.0001, 0.003, 0.003, 4, 60} {
		s.Latency.Observe(v)
	}
	return s
}

func sourcesOf(s *offload.Stats) Sources {
	return Sources{
		Engine: func() *offload.Stats { return s },
		Conntrack: func() conntrack.Stats {
			return conntrack.Stats{
				New: 2001, Update: 2002, Destroy: 2003, Own: 2004, Late: 2005, Foreign: 2006, Malformed: 2007,
				Listings: 2008, ListingsVoid: 2009, Prepares: 2100, PrepareGone: 11, PrepareErrors: 12,
				Touches: 2300, TouchWrites: 13, TouchGone: 2014, TouchErrors: 2015, TouchDropped: 2016,
			}
		},
		Route: func() route.Stats {
			return route.Stats{Lookups: 3001, Judged: 3002, Messages: 3003, Dirty: 3004, Flows: 3005, Paths: 3006, Queued: 3007}
		},
		Watches: func() int { return 4001 },
	}
}

// scrape is what a Prometheus server reads, without Go's and the process's own.
func scrape(t *testing.T, c *Collector) string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// TestGolden compares the whole scrape: names, help, types, labels and which
// number feeds which sample.
func TestGolden(t *testing.T) {
	const path = "testdata/scrape.txt"
	got := scrape(t, NewCollector(sourcesOf(numbered())))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("scrape (-want +got):\n%s", diff)
	}
}

func TestLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(NewCollector(sourcesOf(numbered())))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestClosedWords: every word of every closed list is there exactly once, even
// when nothing has happened, and no other word is.
func TestClosedWords(t *testing.T) {
	got := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)\{(\w+)="([^"]*)"\}`).FindAllStringSubmatch(scrape(t, NewCollector(sourcesOf(&offload.Stats{}))), -1) {
		if m[2] != "le" {
			got[m[1]+"{"+m[2]+"}"] = append(got[m[1]+"{"+m[2]+"}"], m[3])
		}
	}
	kinds := wordsOf(hwif.Kinds())
	want := map[string][]string{
		"shunt_flows{state}":                     wordsOf(flow.States()),
		"shunt_not_offloaded_flows{reason}":      wordsOf(flow.AllReasons()),
		"shunt_removals_total{cause}":            wordsOf(flow.Causes()),
		"shunt_removal_seconds_count{cause}":     wordsOf(flow.Causes()),
		"shunt_removal_seconds_sum{cause}":       wordsOf(flow.Causes()),
		"shunt_installs_total{result}":           append([]string{"ok"}, kinds...),
		"shunt_rule_errors_total{kind}":          kinds,
		"shunt_packets_total{path}":              {"kernel", "nic"},
		"shunt_bytes_total{path}":                {"kernel", "nic"},
		"shunt_conntrack_entries_total{kind}":    {"new", "update", "destroy", "listed"},
		"shunt_events_lost_total{source}":        {"conntrack", "route"},
		"shunt_listings_total{source}":           {"conntrack", "route"},
		"shunt_source_synced{source}":            {"conntrack", "route"},
		"shunt_conntrack_messages_total{group}":  {"new", "update", "destroy"},
		"shunt_conntrack_ignored_total{why}":     {"own", "late", "foreign", "malformed"},
		"shunt_conntrack_listings_total{result}": {"ok", "void"},
		"shunt_prepares_total{result}":           {"ok", "gone", "failed"},
		"shunt_touches_total{result}":            {"written", "needless", "gone", "failed", "dropped"},
	}
	for name, words := range want {
		slices.Sort(words)
		slices.Sort(got[name])
		if diff := cmp.Diff(words, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s has a label that no closed list feeds", name)
	}
}

// TestMissingSources: a source that is not there leaves its metrics out.
func TestMissingSources(t *testing.T) {
	text := scrape(t, NewCollector(Sources{Engine: func() *offload.Stats { return &offload.Stats{} }}))
	for _, name := range []string{"shunt_touches_total", "shunt_route_lookups_total", "shunt_watch_streams"} {
		if strings.Contains(text, name) {
			t.Errorf("%s is there without its source", name)
		}
	}
}

// TestServe scrapes over TCP, as Prometheus does.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	h, err := Handler(NewCollector(sourcesOf(numbered())), log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, h, log) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := client.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	code, body := get("/metrics")
	if code != http.StatusOK || !strings.Contains(body, "\nshunt_rules_in_hw 1006\n") {
		t.Errorf("GET /metrics: %d, %d bytes without shunt_rules_in_hw 1006", code, len(body))
	}
	if !strings.Contains(body, "\nprocess_open_fds ") || !strings.Contains(body, "\ngo_goroutines ") {
		t.Error("the process's own metrics are missing")
	}
	if ip := regexp.MustCompile(`\d+\.\d+\.\d+\.\d+|[0-9a-f]+:[0-9a-f:]*:[0-9a-f]+`).FindString(body); ip != "" {
		t.Errorf("an address in the scrape: %s", ip)
	}
	if code, _ := get("/"); code != http.StatusNotFound {
		t.Errorf("GET /: %d", code)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve after its end: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

// BenchmarkCollect is one scrape's collection.
func BenchmarkCollect(b *testing.B) {
	c := NewCollector(sourcesOf(numbered()))
	ch := make(chan prometheus.Metric, 1024)
	b.ReportAllocs()
	for b.Loop() {
		c.Collect(ch)
		for len(ch) > 0 {
			<-ch
		}
	}
}
