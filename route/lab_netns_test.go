//go:build netns

package route

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// wait is long enough for anything that will happen at all.
const wait = 6 * time.Second

var labs atomic.Int32

// lab is a router namespace with ports r0, r1 and r2, and a namespace of
// neighbours behind them: 10.0.N.2 and fd00:N::2 on pN.
type lab struct {
	t            testing.TB
	router, peer string
}

func newLab(t testing.TB) *lab {
	t.Helper()
	n := labs.Add(1)
	l := &lab{t: t, router: fmt.Sprintf("rtk-r%d-%d", os.Getpid(), n), peer: fmt.Sprintf("rtk-p%d-%d", os.Getpid(), n)}
	for _, ns := range []string{l.router, l.peer} {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { run(t, "ip", "netns", "del", ns) })
	}
	l.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
	l.psh("sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.default.arp_ignore=1")
	l.sh("ip link add mark0 type veth peer name mark1; ip link set mark0 up; ip link set mark1 up")
	for i := range 3 {
		l.sh(fmt.Sprintf("ip link add r%[1]d address 02:00:00:00:00:%[1]d1 type veth peer name p%[1]d address 02:00:00:00:00:%[1]d2 netns %[2]s", i, l.peer))
		l.psh(fmt.Sprintf("ip link set p%[1]d up; ip addr add 10.0.%[1]d.2/24 dev p%[1]d; ip addr add fd00:%[1]d::2/64 dev p%[1]d nodad", i))
		l.sh(fmt.Sprintf("ip link set r%[1]d up; ip addr add 10.0.%[1]d.1/24 dev r%[1]d; ip addr add fd00:%[1]d::1/64 dev r%[1]d nodad", i))
		l.sh(fmt.Sprintf("ip neigh replace 10.0.%[1]d.2 lladdr 02:00:00:00:00:%[1]d2 dev r%[1]d nud permanent; ip neigh replace fd00:%[1]d::2 lladdr 02:00:00:00:00:%[1]d2 dev r%[1]d nud permanent", i))
	}
	l.sh("ip route add 198.51.100.0/24 via 10.0.1.2; ip route add 203.0.113.0/24 via 10.0.2.2; ip -6 route add 2001:db8:1::/48 via fd00:1::2; ip -6 route add 2001:db8:2::/48 via fd00:2::2")
	return l
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// sh runs a command line in the router.
func (l *lab) sh(line string) {
	l.t.Helper()
	run(l.t, "ip", "netns", "exec", l.router, "sh", "-ec", line)
}

// psh runs a command line among the neighbours.
func (l *lab) psh(line string) {
	l.t.Helper()
	run(l.t, "ip", "netns", "exec", l.peer, "sh", "-ec", line)
}

func (l *lab) ifindex(name string) hwif.Ifindex {
	l.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", l.router, "cat", "/sys/class/net/"+name+"/ifindex").Output()
	if err != nil {
		l.t.Fatal(err)
	}
	var i uint32
	fmt.Sscan(string(out), &i)
	return hwif.Ifindex(i)
}

// ports are r0, r1 and r2 of device 0.
func (l *lab) ports() []hwif.Port {
	var out []hwif.Port
	for _, n := range []string{"r0", "r1", "r2"} {
		out = append(out, hwif.Port{Ifindex: l.ifindex(n), Name: n, Up: true})
	}
	return out
}

// open opens a Resolver inside the router.
func (l *lab) open(opts Options) *Resolver {
	l.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		l.t.Fatal(err)
	}
	defer home.Close()
	there, err := netns.GetFromName(l.router)
	if err != nil {
		l.t.Fatal(err)
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		l.t.Fatal(err)
	}
	defer netns.Set(home)
	r, err := Open(opts)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// watch is a running Resolver and what it has said.
type watch struct {
	*Resolver
	t      testing.TB
	l      *lab
	events chan flow.Event
	said   []flow.Event
	mark   int
}

// start runs a Resolver and waits for its first listing.
func (l *lab) start(opts Options) *watch {
	l.t.Helper()
	r := l.open(opts)
	w := &watch{Resolver: r, t: l.t, l: l, events: make(chan flow.Event, 1<<16)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, func(e flow.Event) { w.events <- e }) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("Run: %v", err)
		}
	})
	r.SetPorts(l.ports())
	w.until("Synced", func(e flow.Event) bool { _, ok := e.(flow.Synced); return ok })
	return w
}

// until reads events up to the first that ok likes. What came before is kept.
func (w *watch) until(what string, ok func(flow.Event) bool) flow.Event {
	w.t.Helper()
	for i, e := range w.said {
		if ok(e) {
			w.said = append(w.said[:i:i], w.said[i+1:]...)
			return e
		}
	}
	timeout := time.After(wait)
	for {
		select {
		case e := <-w.events:
			if ok(e) {
				return e
			}
			w.said = append(w.said, e)
		case <-timeout:
			w.t.Fatalf("no %s; said was %v; stats %+v", what, w.said, w.Stats())
		}
	}
}

// ask resolves queries and returns the answers by ID.
func (w *watch) ask(qs ...flow.Query) map[flow.ID]flow.Answer {
	w.t.Helper()
	w.Resolve(qs)
	out := map[flow.ID]flow.Answer{}
	for _, q := range qs {
		out[q.ID] = w.answer(q.ID, q.Gen)
	}
	return out
}

func (w *watch) answer(id flow.ID, gen uint64) flow.Answer {
	w.t.Helper()
	return w.until(fmt.Sprintf("answer for %d", id), func(e flow.Event) bool {
		a, ok := e.(flow.Answer)
		return ok && a.ID == id && a.Gen == gen
	}).(flow.Answer)
}

// good fails unless every answer is without reasons.
func (w *watch) good(as map[flow.ID]flow.Answer) {
	w.t.Helper()
	for id, a := range as {
		if a.Reasons != 0 {
			w.t.Fatalf("flow %d: %v: %s", id, a.Reasons.List(), a.Text)
		}
	}
}

// settled waits until every notification of what happened before has been
// handled, and everything that it led to. It rests on the order of
// notifications: a neighbour that nobody uses is added, and looked for.
func (w *watch) settled() {
	w.t.Helper()
	w.mark++
	k := neighKey{Ifindex: w.l.ifindex("mark0"), Family: hwif.IPv4}
	k.Addr = hwif.Addr{127, 9, byte(w.mark >> 8), byte(w.mark)}
	w.l.sh(fmt.Sprintf("ip neigh add %s lladdr 02:00:00:00:00:99 dev mark0 nud permanent", k.Addr.Netip(k.Family)))
	for end := time.Now().Add(wait); ; time.Sleep(2 * time.Millisecond) {
		done := make(chan bool, 1)
		w.queue.call(func() error {
			_, there := w.view.neighs[k]
			done <- there && len(w.work) == 0 && w.idle() && w.stale == (stale{})
			return nil
		})
		if <-done {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("does not settle: %+v", w.Stats())
		}
	}
}

// exactly settles and fails unless the flows made dirty since the last call are
// these, for this cause. It returns the first Dirty.
func (w *watch) exactly(cause flow.Cause, ids ...flow.ID) (first flow.Dirty) {
	w.t.Helper()
	w.settled()
	for len(w.events) > 0 {
		w.said = append(w.said, <-w.events)
	}
	var got []flow.ID
	for _, e := range w.said {
		if d, ok := e.(flow.Dirty); ok {
			got = append(got, d.IDs...)
			if first.IDs == nil {
				first = d
			}
			if d.Cause != cause {
				w.t.Errorf("dirty %v for %v (%s), want %v", d.IDs, d.Cause, d.Text, cause)
			}
		}
	}
	w.said = nil
	slices.Sort(got)
	if !slices.Equal(got, ids) {
		w.t.Errorf("dirty were %v, want %v", got, ids)
	}
	return first
}

// dirtyOf waits until id alone is made dirty.
func (w *watch) dirtyOf(id flow.ID) flow.Dirty {
	w.t.Helper()
	return w.until(fmt.Sprintf("dirty for %d", id), func(e flow.Event) bool {
		d, ok := e.(flow.Dirty)
		return ok && slices.Equal(d.IDs, []flow.ID{id})
	}).(flow.Dirty)
}
