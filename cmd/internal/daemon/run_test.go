package daemon

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/shunt-offload/shunt/cmd/internal/config"
	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// output is a log that a test may read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until the log holds the text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	until(t, "the log to say "+text, func() bool { return strings.Contains(o.String(), text) })
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// simConfig is a daemon in memory with a socket of its own.
func simConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.NIC.Driver, cfg.NIC.Ports = simDriver, scriptedPorts()
	cfg.NIC.Count = 100 * time.Millisecond
	cfg.API.Socket = filepath.Join(t.TempDir(), "s.sock")
	cfg.Metrics.Listen = ""
	cfg.Policy.MinPackets, cfg.Policy.MinAge = 4, 0
	if err := cfg.Check(nil); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// running is a daemon under test.
type running struct {
	log  *output
	hup  chan os.Signal
	stop context.CancelFunc
	done chan error
}

// begin starts a daemon and returns when it serves.
func begin(t *testing.T, opts Options) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{log: new(output), hup: make(chan os.Signal), stop: stop, done: make(chan error, 1)}
	ready := make(chan struct{})
	opts.Stderr, opts.HUP, opts.Ready = r.log, r.hup, func() { close(ready) }
	go func() { r.done <- Run(ctx, opts) }()
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-r.done:
		t.Fatalf("it ended before it served: %v\n%s", err, r.log)
	case <-time.After(patience):
		t.Fatalf("it does not serve:\n%s", r.log)
	}
	return r
}

// end stops the daemon and wants a clean end.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("its end: %v\n%s", err, r.log)
		}
	case <-time.After(patience):
		t.Fatalf("it does not end:\n%s", r.log)
	}
}

func client(t *testing.T, socket string) shuntv1.AgentServiceClient {
	t.Helper()
	return shuntv1.NewAgentServiceClient(dial(t, socket))
}

func dial(t *testing.T, socket string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestStory runs the whole program on the router in memory: flows go into the
// card, the API and the metrics tell of it, and the end takes all of them out.
func TestStory(t *testing.T) {
	cfg := simConfig(t)
	cfg.Metrics.Listen = freePort(t)
	r := begin(t, Options{Config: cfg, Story: longestStory})
	if !strings.Contains(r.log.String(), scriptedNote) {
		t.Error("the log does not say that this is a simulation")
	}
	api := client(t, cfg.API.Socket)
	until(t, "flows in the card", func() bool {
		s, err := api.GetStats(t.Context(), &shuntv1.GetStatsRequest{})
		return err == nil && s.GetStats().GetRulesInHw() > 0
	})
	aged(t, cfg.API.Socket)
	devs, err := api.ListDevices(t.Context(), &shuntv1.ListDevicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if text := devs.String(); !strings.Contains(text, "simulation") {
		t.Errorf("the devices' notes do not say so: %s", text)
	}
	var body string
	until(t, "rules in the metrics", func() bool { // their snapshot is some ticks old
		body = get(t, "http://"+cfg.Metrics.Listen+"/metrics")
		return regexp.MustCompile(`(?m)^shunt_rules_in_hw [1-9]`).MatchString(body)
	})
	if ip := regexp.MustCompile(`\d+\.\d+\.\d+\.\d+|2001:db8`).FindString(body); ip != "" {
		t.Errorf("an address in the metrics: %s", ip)
	}
	r.end(t)
	for _, want := range []string{"shuntd serves", "shuntd stops", "shuntd ends"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if _, err := os.Stat(cfg.API.Socket); err == nil {
		t.Error("the socket was left behind")
	}
}

// aged holds the age of every flow to this test's own.
func aged(t *testing.T, socket string) {
	t.Helper()
	s, err := shuntv1.NewFlowServiceClient(dial(t, socket)).ListFlows(t.Context(), &shuntv1.ListFlowsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Recv()
	if err != nil || len(m.GetFlows()) == 0 {
		t.Fatalf("no flows: %v", err)
	}
	for _, f := range m.GetFlows() {
		if age := time.Since(f.GetCreatedAt().AsTime()); age < 0 || age > patience {
			t.Errorf("flow %d is %s old", f.GetUid(), age)
		}
	}
}

// TestIntentsEnd: who pinned or denied learns from the log that it is over.
func TestIntentsEnd(t *testing.T) {
	for _, set := range []bool{true, false} {
		cfg := simConfig(t)
		r := begin(t, Options{Config: cfg})
		want := `level=INFO msg="no pin or denial ends with shuntd" pins=0 denials=0`
		if set {
			want = `level=WARN msg="pins and denials end with shuntd; they have to be set again after its next start" pins=1 denials=2`
			conn, err := grpc.NewClient("unix:"+cfg.API.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			api := shuntv1.NewFlowServiceClient(conn)
			for port := range uint32(3) {
				tu := &shuntv1.Tuple{Proto: "tcp", Src: "10.0.0.1", SrcPort: 1000 + port, Dst: "192.0.2.1", DstPort: 80}
				if port == 0 {
					_, err = api.PinFlow(t.Context(), &shuntv1.PinFlowRequest{Tuple: tu})
				} else {
					_, err = api.DenyFlow(t.Context(), &shuntv1.DenyFlowRequest{Tuple: tu})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		r.end(t)
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, r.log)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url string) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSecondDaemon: on the same socket there is room for one, and the first does
// not notice the attempt.
func TestSecondDaemon(t *testing.T) {
	cfg := simConfig(t)
	r := begin(t, Options{Config: cfg})
	err := Run(t.Context(), Options{Config: cfg})
	if err == nil || !strings.Contains(err.Error(), "another shuntd listens on "+cfg.API.Socket) {
		t.Errorf("the second one: %v", err)
	}
	if _, err := client(t, cfg.API.Socket).GetStats(t.Context(), &shuntv1.GetStatsRequest{}); err != nil {
		t.Errorf("the first one no longer answers: %v", err)
	}
	r.end(t)
	begin(t, Options{Config: cfg}).end(t) // the socket is free again
}

// TestTakenPort: a metrics port that is taken is known before anything is opened.
func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := simConfig(t)
	cfg.Metrics.Listen = l.Addr().String()
	log := new(output)
	err = Run(t.Context(), Options{Config: cfg, Stderr: log})
	if err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("Run: %v", err)
	}
	if strings.Contains(log.String(), "device open") {
		t.Error("the device was opened before the port was known to be taken")
	}
	if _, err := os.Stat(cfg.API.Socket); err == nil {
		t.Error("the socket was left behind")
	}
}

// TestReload: policy and log level change, the rest is named and left, and a
// broken file changes nothing.
func TestReload(t *testing.T) {
	cfg := simConfig(t)
	next := make(chan func() (*config.Config, error), 1)
	r := begin(t, Options{Config: cfg, Reload: func() (*config.Config, error) { return (<-next)() }})
	reload := func(change func(c *config.Config)) {
		next <- func() (*config.Config, error) {
			c := *cfg
			change(&c)
			return &c, c.Check(nil)
		}
		r.hup <- unix.SIGHUP
	}
	reload(func(c *config.Config) { c.Policy.Name, c.Log.Level = "only-pinned", "debug" })
	r.log.await(t, `msg="configuration changed" keys="[policy.name log.level]"`)
	reload(func(c *config.Config) {
		c.Policy.Name, c.Log.Level = "only-pinned", "debug"
		c.API.Socket, c.NIC.Rules = "/run/elsewhere.sock", 64
	})
	r.log.await(t, `next start only" keys="[nic.rules api.socket]"`)
	r.log.await(t, "nothing that can change now has changed")
	reload(func(c *config.Config) { c.Policy.Idle = time.Millisecond })
	r.log.await(t, "policy.idle: is 1ms; allowed: 5s to 1h0m0s")
	// Sound in the file, where nic.count is shorter, but not beside the running one.
	reload(func(c *config.Config) { c.Policy.Idle = 5 * time.Second })
	r.log.await(t, `msg="configuration changed" keys="[policy.name policy.idle log.level]"`)
	r.end(t)
}

// TestReloadContradiction: a file that is sound by itself may not be sound
// beside what only a restart can change.
func TestReloadContradiction(t *testing.T) {
	cfg := simConfig(t)
	cfg.NIC.Count = 10 * time.Second
	r := begin(t, Options{Config: cfg, Reload: func() (*config.Config, error) {
		c := *cfg
		c.NIC.Count, c.Policy.Idle = time.Second, 5*time.Second
		return &c, c.Check(nil)
	}})
	r.hup <- unix.SIGHUP
	r.log.await(t, "is 5s with counters read every 10s (nic.count)")
	r.end(t)
}

// TestNotify: systemd hears of the start, the reload and the end.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	next := func(want string) {
		t.Helper()
		buf := make([]byte, 256)
		n, err := l.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:n]); !strings.HasPrefix(got, want) {
			t.Errorf("systemd heard %q, want %q", got, want)
		}
	}
	cfg := simConfig(t)
	r := begin(t, Options{Config: cfg, Reload: func() (*config.Config, error) { return cfg, nil }})
	next("READY=1")
	r.hup <- unix.SIGHUP
	next("RELOADING=1\nMONOTONIC_USEC=")
	next("READY=1")
	r.end(t)
	next("STOPPING=1")
}
