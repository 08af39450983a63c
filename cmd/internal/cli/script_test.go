package cli

import (
	"context"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/shunt-offload/shunt/cmd/internal/rpc"
	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shuntctl": func() { os.Exit(Main(os.Args[1:])) }})
}

// TestScripts runs each story of testdata against a host of its own.
func TestScripts(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) }) // after the parallel stories
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"conn": conn, "end": end, "count": countPackets, "refuse": refuse, "await": await, "golden": golden,
			"dropped": dropped, "mark": mark, "watching": watching,
		},
	})
}

type (
	hostKey struct{}
	markKey struct{}
)

func setup(env *testscript.Env) error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	// Socket paths hold 107 bytes; the script's own folder may be too deep.
	dir, err := os.MkdirTemp("", "shuntctl")
	if err != nil {
		return err
	}
	h, err := rpctest.Start(rpctest.Options{Dir: dir, MaxRules: 8, TCP: true,
		Engine: offload.Options{Marks: offload.Marks{Drop: 4}, DropCeiling: 8, DropLife: 5 * time.Minute},
		RPC:    rpc.Options{Version: "v1.2.3", Instance: "instance"}})
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := h.Close(); err != nil {
			env.T().Log(err)
			env.T().FailNow()
		}
		os.RemoveAll(dir)
	})
	env.Values[hostKey{}] = h
	env.Values[markKey{}] = new(int64)
	env.Setenv("SHUNT_SOCKET", h.Socket)
	env.Setenv("TCP", h.TCPAddr)
	env.Setenv("ME", me.Username)
	return nil
}

func hostOf(ts *testscript.TestScript) *rpctest.Host { return ts.Value(hostKey{}).(*rpctest.Host) }

func tupleOf(ts *testscript.TestScript, args []string) flow.Tuple {
	if len(args) < 3 {
		ts.Fatalf("usage: PROTO SRC DST")
	}
	t, err := rpctest.Tuple(args[0], args[1], args[2])
	ts.Check(err)
	return t
}

// conn PROTO SRC DST [as ADDR] [mark N]: conntrack tells of an established connection.
func conn(ts *testscript.TestScript, _ bool, args []string) {
	e := rpctest.Established(tupleOf(ts, args))
	for i := 3; i+1 < len(args); i += 2 {
		switch args[i] {
		case "as":
			e = rpctest.Masqueraded(e, netip.MustParseAddrPort(args[i+1]))
		case "mark":
			m, err := strconv.ParseUint(args[i+1], 0, 32)
			ts.Check(err)
			e.Mark = uint32(m)
		}
	}
	hostOf(ts).Conn(e)
}

// end PROTO SRC DST: the connection is over.
func end(ts *testscript.TestScript, _ bool, args []string) { hostOf(ts).End(tupleOf(ts, args)) }

// dropped PROTO SRC DST: netfilter keeps dropping its packets.
func dropped(ts *testscript.TestScript, _ bool, args []string) {
	hostOf(ts).Dropped(tupleOf(ts, args))
}

// count PACKETS: every rule forwards some.
func countPackets(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	hostOf(ts).Device.Count(n)
}

// refuse REASON TEXT: the router has no route from now on.
func refuse(ts *testscript.TestScript, _ bool, args []string) {
	for _, r := range flow.AllReasons() {
		if r.String() == args[0] {
			hostOf(ts).Refuse(flow.Of(r), args[1])
			return
		}
	}
	ts.Fatalf("no reason %q", args[0])
}

// await STATE PROTO SRC DST: until the flow is there; "unknown" until it is not.
func await(ts *testscript.TestScript, _ bool, args []string) {
	t := tupleOf(ts, args[1:])
	last := ""
	for range 10000 {
		var err error
		last, err = hostOf(ts).State(context.Background(), t)
		ts.Check(err)
		if last == args[0] {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	ts.Fatalf("%s is never %s, but %s", t, args[0], last)
}

// mark: watches that begin from here on are counted by watching.
func mark(ts *testscript.TestScript, _ bool, _ []string) {
	*ts.Value(markKey{}).(*int64) = hostOf(ts).Waits()
}

// watching N: until that many watches follow.
func watching(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	for range 10000 {
		if hostOf(ts).Waits()-*ts.Value(markKey{}).(*int64) >= n {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	ts.Fatalf("there are never %d watches", n)
}

var (
	spans  = regexp.MustCompile(`\b(\d+d\d+h|\d+h\d\dm|\d+m\d\ds|\d+(\.\d+)?(ms|µs|s))\b`)
	clocks = regexp.MustCompile(`\b\d\d:\d\d:\d\d\.\d\d\d\b`)
	blanks = regexp.MustCompile(` {2,}`)
)

// golden FILE: what was printed last, with every time made T and blanks made
// few, is the file.
func golden(ts *testscript.TestScript, _ bool, args []string) {
	plain := func(s string) string {
		s = clocks.ReplaceAllString(spans.ReplaceAllString(s, "T"), "CLOCK")
		return blanks.ReplaceAllString(strings.ReplaceAll(s, ts.Getenv("ME"), "ME"), "  ")
	}
	if d := cmp.Diff(plain(ts.ReadFile(args[0])), plain(ts.ReadFile("stdout"))); d != "" {
		ts.Fatalf("-want +got\n%s", d)
	}
}

// TestVerbs: each verb has a story, an example, and a file of its own.
func TestVerbs(t *testing.T) {
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatal(stories, err)
	}
	var all strings.Builder
	for _, s := range stories {
		b, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	a := &app{out: os.Stdout, err: os.Stderr}
	root := a.root(func(string) string { return "" })
	for _, c := range root.Commands() {
		verbs := c.Commands()
		if len(verbs) == 0 {
			verbs = append(verbs, c)
		}
		for _, v := range verbs {
			if v.Example == "" || v.Short == "" {
				t.Errorf("%s has no help or no example", v.CommandPath())
			}
			if !strings.Contains(all.String(), v.CommandPath()) {
				t.Errorf("no story has %s", v.CommandPath())
			}
			file := strings.ReplaceAll(strings.TrimPrefix(v.CommandPath(), "shuntctl "), " ", "_") + ".go"
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", v.CommandPath(), err)
			}
		}
	}
}

// TestSocket: both programs agree on where the socket is.
func TestSocket(t *testing.T) {
	a := &app{}
	root := a.root(func(string) string { return "" })
	if got := root.PersistentFlags().Lookup("socket").DefValue; got != rpc.DefaultSocket {
		t.Errorf("default socket %s, want %s", got, rpc.DefaultSocket)
	}
}

func TestHuman(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1.00k", 9994: "9.99k", 9995: "10.0k", 99949: "99.9k", 99950: "100k",
		999499: "999k", 999500: "1.00M", 1<<64 - 1: "18.4E"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0s", 0: "0ms", 999 * time.Millisecond: "999ms", 4250 * time.Millisecond: "4.2s",
		9999 * time.Millisecond: "9.9s", 59900 * time.Millisecond: "59s", 192 * time.Second: "3m12s", 5*time.Hour + 4*time.Minute: "5h04m", 219 * time.Hour: "9d3h"} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %s, want %s", d, got, want)
		}
	}
	h := &pb.Histogram{Count: 0}
	if latency(h) != "" {
		t.Error("latency of nothing")
	}
}

// TestNarrow: a table too wide for its screen loses columns and says so; colours
// take no room.
func TestNarrow(t *testing.T) {
	for _, width := range []int{0, 80, 30} {
		var b strings.Builder
		s := screen{width: width, colour: true}
		tab := &table{screen: s, heads: []string{s.paint(plain, "STATE"), "FLOW", "AGE"}, spare: []string{"AGE"}}
		tab.row(s.paint(green, "active"), strings.Repeat("x", 20), "4.2s")
		tab.row(s.paint(red, "denied pinned"), "y\tz", "1m00s")
		if err := tab.print(&b, true); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(bare(b.String()), "\n")
		if has := strings.Contains(lines[0], "AGE"); has != (width != 30) {
			t.Errorf("at %d columns: %q", width, lines)
		}
		if at := strings.Index(lines[0], "FLOW"); at != strings.Index(lines[1], "xxx") || at != strings.Index(lines[2], "y z") {
			t.Errorf("columns are not straight: %q", lines)
		}
		if said := strings.Contains(b.String(), "age left out"); said != (width == 30) {
			t.Errorf("at %d columns: %q", width, b.String())
		}
	}
}
