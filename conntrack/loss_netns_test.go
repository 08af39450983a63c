//go:build netns

package conntrack

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// table replays what was emitted the way the engine does.
func (tp *tape) table() map[flow.Tuple]flow.Conn {
	out := make(map[flow.Tuple]flow.Conn)
	tp.each(func(e flow.Event) {
		switch e := e.(type) {
		case flow.Conns:
			for _, c := range e {
				if c.Kind == flow.ConnDestroy {
					delete(out, c.Entry.Orig)
				} else {
					out[c.Entry.Orig] = c
				}
			}
		case flow.Synced:
			for k, c := range out {
				if c.At < e.Begin {
					delete(out, k)
				}
			}
		}
	})
	return out
}

// kernel lists the router's TCP and UDP entries by a way of its own.
func (l *lab) kernel() map[flow.Tuple]bool {
	l.t.Helper()
	out := make(map[flow.Tuple]bool)
	for _, proto := range []string{"tcp", "udp"} {
		raw, err := exec.Command("ip", "netns", "exec", l.router, "conntrack", "-L", "-p", proto).Output()
		if err != nil {
			l.t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			var f [4]string
			for _, w := range strings.Fields(line) {
				for i, key := range []string{"src=", "dst=", "sport=", "dport="} {
					if v, ok := strings.CutPrefix(w, key); ok && f[i] == "" {
						f[i] = v
					}
				}
			}
			out[tupleOf(proto, net.JoinHostPort(f[0], f[2]), net.JoinHostPort(f[1], f[3]))] = true
		}
	}
	return out
}

// same compares the replay with the kernel.
func (l *lab) same(tp *tape) string {
	want, got := l.kernel(), tp.table()
	missing, surplus := 0, 0
	for k := range want {
		if _, ok := got[k]; !ok {
			missing++
		}
	}
	for k := range got {
		if !want[k] {
			surplus++
		}
	}
	if missing+surplus == 0 {
		return ""
	}
	return fmt.Sprintf("%d missing, %d surplus of %d", missing, surplus, len(want))
}

// spray sends a datagram to each of n ports of the server, from one socket.
func (l *lab) spray(base, n int) {
	l.t.Helper()
	var c *net.UDPConn
	var err error
	in(l.t, l.client, func() { c, err = net.ListenUDP("udp4", nil) })
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	for i := range n {
		to := netip.AddrPortFrom(netip.MustParseAddr("10.78.1.2"), uint16(base+i))
		if _, err := c.WriteToUDPAddrPort([]byte("x"), to); err != nil {
			l.t.Fatal(err)
		}
	}
}

// With a buffer for a handful of events and a receiver that stands still, most
// events are lost. The loss must be told, and the listing must set right what was
// missed in both directions: entries that came, and entries that went.
func TestLossIsRepaired(t *testing.T) {
	l := newLab(t)
	tr := l.open(Options{SetEvents: true, RcvBuf: 8 << 10})
	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	l.spray(20000, 3)
	tp.until("three entries", func() bool { return len(tp.table()) == 3 })

	release := tp.hold()
	l.spray(30000, 400)
	l.ct("-D -p udp --dport 20001")
	l.ct("-D -p udp --dport 30399")
	release()
	tp.until("the repair", func() bool { return tp.synced() >= 2 && l.same(tp) == "" })

	lost, told := tr.Stats().Losses, 0
	tp.each(func(e flow.Event) {
		if x, ok := e.(flow.Loss); ok && x.Source == flow.SourceConntrack && x.Text != "" {
			told++
		}
	})
	if lost == 0 || told == 0 {
		t.Errorf("%d losses, %d told", lost, told)
	}
	if n := len(tp.table()); n != 401 {
		t.Errorf("%d entries, want 401", n)
	}
}

// A dead flow's end is told before the listing even when the events socket
// overran, because the spare socket heard it.
func TestSpareKeepsDestroys(t *testing.T) {
	l := newLab(t)
	tr := l.open(Options{SetEvents: true, RcvBuf: 64 << 10})
	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	l.spray(20000, 2)
	tp.until("two entries", func() bool { return len(tp.table()) == 2 })
	release := tp.hold()
	l.spray(30000, 400)
	l.ct("-D -p udp --dport 20001")
	release()
	tp.until("the repair", func() bool { return tp.synced() >= 2 })
	ended, synced := false, 0
	tp.each(func(e flow.Event) {
		switch e := e.(type) {
		case flow.Synced:
			synced++
		case flow.Conns:
			for _, c := range e {
				if c.Kind == flow.ConnDestroy && c.Entry.Orig.DstPort == 20001 && synced == 1 {
					ended = true
				}
			}
		}
	})
	if tr.Stats().Losses == 0 {
		t.Fatal("nothing was lost, so nothing was tested")
	}
	if !ended || tr.Stats().Spared == 0 {
		t.Errorf("the end was not told before the listing: %+v", tr.Stats())
	}
}

// Tuples come and go and come again while listings run one after the other.
// Whatever the interleaving, the replay must end as the kernel's table.
func TestTruthUnderChurn(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rcvbuf int
	}{{"roomy", 0}, {"cramped", 16 << 10}} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			tr := l.open(Options{SetEvents: true, RcvBuf: tc.rcvbuf})
			var churn *talk
			var c *net.UDPConn
			var err, err2 error
			in(t, l.router, func() { churn, err = newTalk() })
			in(t, l.client, func() { c, err2 = net.ListenUDP("udp4", nil) })
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			defer churn.close()
			defer c.Close()
			tp := l.run(tr)
			rnd := rand.New(rand.NewPCG(1, 2))
			self := netip.AddrPortFrom(netip.MustParseAddr("10.78.0.2"), c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
			for n := range 30000 {
				to := netip.AddrPortFrom(netip.MustParseAddr("10.78.1.2"), uint16(40000+rnd.IntN(50)))
				if rnd.IntN(2) == 0 {
					if _, err := c.WriteToUDPAddrPort([]byte("x"), to); err != nil {
						t.Fatal(err)
					}
				} else if err := remove(churn, tupleOf("udp", self.String(), to.String())); err != nil {
					t.Fatal(err)
				}
				if n%100 == 0 {
					tr.Relist()
				}
			}
			if tc.rcvbuf == 0 {
				// Without a loss the events alone must lead there.
				tp.until("rest", func() bool { return l.same(tp) == "" })
				if s := tr.Stats(); s.Losses != 0 || s.Listings < 10 {
					t.Errorf("stats %+v", s)
				}
			}
			n := tp.synced()
			tr.Relist()
			tp.until("the last listing", func() bool { return tp.synced() > n && l.same(tp) == "" })
			t.Logf("%+v", tr.Stats())
		})
	}
}

func remove(k *talk, t flow.Tuple) error {
	k.reset()
	b, at := begin(k.req, typeDelete, unix.NLM_F_REQUEST|unix.NLM_F_ACK, k.next(), addressFamily(t.Family))
	k.req = end(appendTuple(b, &t), at)
	if err := k.do(func(int, []byte) {}); err != nil {
		return err
	}
	if err := k.errs[0]; err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// An entry made while the kernel kept no event extension never says a word.
// Listings must bring it, and by leaving it out say that it is gone.
func TestBornBeforeOpen(t *testing.T) {
	l := newLab(t)
	l.listen(":8000")
	l.sh("ip netns exec %s sysctl -qw net.netfilter.nf_conntrack_events=0", l.router)
	if _, err := l.tryOpen(Options{}); err == nil || !strings.Contains(err.Error(), "nf_conntrack_events=1") {
		t.Errorf("Open with events off: %v", err)
	}
	c, tup := l.dial("tcp", "10.78.1.2:8000")
	say(t, c, "hello")
	l.sh("ip netns exec %s sysctl -qw net.netfilter.nf_conntrack_events=2", l.router)
	tr := l.open(Options{})
	if n := strings.Join(tr.Notes(), "\n"); !strings.Contains(n, "nf_conntrack_events is 2") || !strings.Contains(n, "nf_conntrack_acct is off") {
		t.Errorf("notes %q", n)
	}
	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	cs := tp.conns(tup)
	if len(cs) != 1 || cs[0].Kind != flow.ConnListed || flow.Eligible(&cs[0].Entry) != 0 {
		t.Fatalf("listing said %s", kinds(cs))
	}
	l.hush()
	l.ct("-D -p tcp")
	tr.Relist()
	tp.until("second listing", func() bool { return tp.synced() == 2 })
	if _, ok := tp.table()[tup]; ok || len(tp.conns(tup)) != 1 {
		t.Errorf("after its silent end: %s", kinds(tp.conns(tup)))
	}
}

// Somebody changes the sysctls while we run: each listing puts right what Options
// asked for, and says so; what they did not ask for is told of once.
func TestSysctlsChanged(t *testing.T) {
	const again = "nf_conntrack_events was set to 0 by somebody; set to 1 again"
	for _, set := range []bool{true, false} {
		t.Run(fmt.Sprint("set ", set), func(t *testing.T) {
			l := newLab(t)
			l.sh("ip netns exec %s sysctl -qw net.netfilter.nf_conntrack_events=1 net.netfilter.nf_conntrack_acct=1", l.router)
			var log bytes.Buffer // written by the reader, before the Synced that is waited for
			tr := l.open(Options{SetEvents: set, Counters: set, Log: slog.New(slog.NewTextHandler(&log, nil))})
			tp := l.run(tr)
			tp.until("first listing", func() bool { return tp.synced() == 1 })
			l.sh("ip netns exec %s sysctl -qw net.netfilter.nf_conntrack_events=0 net.netfilter.nf_conntrack_acct=0", l.router)
			for n := 2; n <= 3; n++ {
				tr.Relist()
				tp.until("listing", func() bool { return tp.synced() == n })
			}
			want := map[bool]string{true: "1\n1\n", false: "0\n0\n"}[set]
			if got := l.sh("ip netns exec %s sysctl -n net.netfilter.nf_conntrack_events net.netfilter.nf_conntrack_acct", l.router); got != want {
				t.Errorf("they are %q, want %q", got, want)
			}
			said := log.String()
			if strings.Count(said, "by somebody") != 2 || strings.Count(said, "level=WARN") != 2 || strings.Contains(said, again) != set {
				t.Errorf("said:\n%s", said)
			}
			if !set {
				return
			}
			l.sh("ip netns exec %s sysctl -qw net.netfilter.nf_conntrack_events=0", l.router)
			tr.Relist()
			tp.until("fourth listing", func() bool { return tp.synced() == 4 })
			if n := strings.Count(log.String(), again); n != 2 {
				t.Errorf("a second change was told of %d times in all, want 2:\n%s", n, log.String())
			}
		})
	}
}

func (l *lab) tryOpen(o Options) (tr *Tracker, err error) {
	in(l.t, l.router, func() { tr, err = Open(o) })
	return tr, err
}

// OnlyAssured must hold in the events, in the listing, and for the end.
func TestOnlyAssured(t *testing.T) {
	l := newLab(t)
	l.listen(":8000")
	l.spray(20000, 3)
	tr := l.open(Options{SetEvents: true, OnlyAssured: true})
	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	c, tup := l.dial("tcp", "10.78.1.2:8000")
	say(t, c, "hello")
	l.spray(20010, 3)
	l.hush()
	l.ct("-D -p udp")
	l.ct("-D -p tcp")
	tp.until("the end", func() bool {
		cs := tp.conns(tup)
		return len(cs) > 0 && cs[len(cs)-1].Kind == flow.ConnDestroy
	})
	tp.each(func(e flow.Event) {
		if cs, ok := e.(flow.Conns); ok {
			for _, c := range cs {
				if c.Kind != flow.ConnNew && c.Entry.Status&flow.StatusAssured == 0 {
					t.Errorf("%v %v came through", c.Kind, c.Entry.Orig)
				}
			}
		}
	})
	if s := tr.Stats(); s.Destroy != 1 {
		t.Errorf("the kernel's filter let through %d DESTROYs, want 1", s.Destroy)
	}
}

// ICMP events are dropped by the kernel's filter, and listings leave ICMP out.
func TestOtherProtocolsStayOut(t *testing.T) {
	l := newLab(t)
	tr := l.open(Options{SetEvents: true})
	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	l.sh("ip netns exec %s ping -c1 -W2 10.78.1.2", l.client)
	tr.Relist()
	tp.until("second listing", func() bool { return tp.synced() == 2 })
	if _, _, err := tr.Get(flow.Tuple{Family: 4, Proto: 1}); err == nil {
		t.Error("Get of an icmp tuple is no error")
	}
	s := tr.Stats()
	if s.New != 0 || s.Foreign != 1 || len(tp.table()) != 0 {
		t.Errorf("stats %+v, %d entries; want none read, one listed and left out", s, len(tp.table()))
	}
}

// Without CAP_NET_ADMIN, Open says so before it has changed anything.
func TestOpenWithoutPrivileges(t *testing.T) {
	if os.Getenv("CTK_CHILD") != "" {
		tr, err := Open(Options{SetEvents: true})
		if err == nil {
			tr.Close()
		}
		fmt.Printf("child: %v\n", err)
		return
	}
	exe, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("setpriv", "--bounding-set=-all", "--inh-caps=-all", exe, "-test.run=^TestOpenWithoutPrivileges$", "-test.v")
	c.Env = append(os.Environ(), "CTK_CHILD=1")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "child: reading conntrack needs CAP_NET_ADMIN") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Every descriptor goes back, whether Run ran once, twice or never.
func TestNoDescriptorLeaks(t *testing.T) {
	l := newLab(t)
	count := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	before := count()
	for runs := range 3 {
		t.Run(fmt.Sprint(runs), func(t *testing.T) {
			sub := *l
			sub.t = t
			tr := sub.open(Options{SetEvents: true})
			for range runs {
				t.Run("run", func(t *testing.T) {
					s := sub
					s.t = t
					tp := s.run(tr)
					tp.until("a listing", func() bool { return tp.synced() == 1 })
					s.spray(20000, 10)
					tp.until("ten entries", func() bool { return len(tp.table()) >= 10 })
				})
			}
		})
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
