//go:build netns

package conntrack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// lab is three namespaces: client – router – server. The router tracks, and
// rewrites destination 10.78.1.100 to the server. The client is masqueraded
// towards port 9000 only.
type lab struct {
	t                      *testing.T
	client, router, server string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the netns tests make namespaces: run them as root")
	}
	id := fmt.Sprintf("ctk-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)
	l := &lab{t: t, client: id + "-c", router: id + "-r", server: id + "-s"}
	for _, ns := range []string{l.client, l.router, l.server} {
		l.sh("ip netns add %s", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		l.sh("ip -n %s link set lo up", ns)
	}
	l.sh("ip -n %s link add c type veth peer name rc netns %s", l.client, l.router)
	l.sh("ip -n %s link add s type veth peer name rs netns %s", l.server, l.router)
	for _, a := range [][3]string{
		{l.client, "c", "10.78.0.2/24"}, {l.router, "rc", "10.78.0.1/24"}, {l.router, "rs", "10.78.1.1/24"}, {l.server, "s", "10.78.1.2/24"},
		{l.client, "c", "fd78:0::2/64"}, {l.router, "rc", "fd78:0::1/64"}, {l.router, "rs", "fd78:0:0:1::1/64"}, {l.server, "s", "fd78:0:0:1::2/64"},
	} {
		nodad := ""
		if strings.Contains(a[2], ":") {
			nodad = "nodad"
		}
		l.sh("ip -n %s addr add %s dev %s %s", a[0], a[2], a[1], nodad)
		l.sh("ip -n %s link set %s up", a[0], a[1])
	}
	l.sh("ip -n %s route add default via 10.78.0.1", l.client)
	l.sh("ip -n %s route add default via 10.78.1.1", l.server)
	l.sh("ip -n %s -6 route add default via fd78:0::1", l.client)
	l.sh("ip -n %s -6 route add default via fd78:0:0:1::1", l.server)
	l.sh("ip netns exec %s sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", l.router)
	l.nft(`table inet ctk {
		chain pre { type nat hook prerouting priority dstnat; ip daddr 10.78.1.100 dnat ip to 10.78.1.2; }
		chain post { type nat hook postrouting priority srcnat; oifname "rs" meta l4proto { tcp, udp } th dport 9000 masquerade; }
		chain forward { type filter hook forward priority filter; ct state established accept; }
	}`)
	return l
}

func (l *lab) sh(format string, args ...any) string {
	l.t.Helper()
	line := fmt.Sprintf(format, args...)
	f := strings.Fields(line)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func (l *lab) nft(rules string) {
	l.t.Helper()
	c := exec.Command("ip", "netns", "exec", l.router, "nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		l.t.Fatalf("nft: %v\n%s", err, out)
	}
}

// hush stops all packets, so that no late one makes a deleted entry anew.
func (l *lab) hush() {
	l.t.Helper()
	l.sh("ip -n %s link set c down", l.client)
	l.sh("ip -n %s link set s down", l.server)
}

func (l *lab) ct(args string) string {
	l.t.Helper()
	return l.sh("ip netns exec %s conntrack %s", l.router, args)
}

// in runs f on a thread in the namespace. f must not start goroutines that make
// sockets.
func in(t testing.TB, name string, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := netns.GetFromName(name)
		if err == nil {
			err = netns.Set(ns)
			ns.Close()
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("enter namespace %s: %v", name, err)
	}
}

// open opens a Tracker in the router.
func (l *lab) open(o Options) *Tracker {
	l.t.Helper()
	var tr *Tracker
	var err error
	in(l.t, l.router, func() { tr, err = Open(o) })
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { tr.Close() })
	return tr
}

// listen starts an echo server for TCP and UDP in the server namespace.
func (l *lab) listen(addr string) {
	l.t.Helper()
	var ln net.Listener
	var pc net.PacketConn
	var err, err2 error
	in(l.t, l.server, func() {
		ln, err = net.Listen("tcp", addr)
		pc, err2 = net.ListenPacket("udp", addr)
	})
	if err != nil || err2 != nil {
		l.t.Fatal(err, err2)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				b := make([]byte, 4096)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					c.Write(b[:n])
				}
			})
		}
	})
	wg.Go(func() {
		b := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			pc.WriteTo(b[:n], from)
		}
	})
	l.t.Cleanup(func() {
		ln.Close()
		pc.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// dial connects from the client and gives the connection and the tuple that the
// router sees.
func (l *lab) dial(network, addr string) (net.Conn, flow.Tuple) {
	l.t.Helper()
	var c net.Conn
	var err error
	in(l.t, l.client, func() {
		if network == "tcp" {
			a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))
			c, err = net.DialTCP("tcp", nil, a)
		} else {
			a := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr))
			c, err = net.DialUDP("udp", nil, a)
		}
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return c, tupleOf(network, c.LocalAddr().String(), addr)
}

func tupleOf(network, src, dst string) flow.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	t := flow.Tuple{SrcPort: s.Port(), DstPort: d.Port(), Proto: hwif.ProtoTCP}
	if network == "udp" {
		t.Proto = hwif.ProtoUDP
	}
	t.Src, t.Family = hwif.AddrFrom(s.Addr())
	t.Dst, _ = hwif.AddrFrom(d.Addr())
	return t
}

// say sends text and reads it back.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := c.Read(b); err != nil {
		t.Fatal(err)
	}
}

// log gathers what a Tracker emits.
type tape struct {
	t      *testing.T
	mu     sync.Mutex
	events []flow.Event
	more   chan struct{}
	gate   chan struct{} // when not nil, emit waits for it
}

// run starts Run and ends it with the test.
func (l *lab) run(tr *Tracker) *tape {
	l.t.Helper()
	tp := &tape{t: l.t, more: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx, tp.emit) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error("Run:", err)
		}
	})
	return tp
}

func (tp *tape) emit(e flow.Event) {
	tp.mu.Lock()
	gate := tp.gate
	tp.events = append(tp.events, e)
	tp.mu.Unlock()
	select {
	case tp.more <- struct{}{}:
	default:
	}
	if gate != nil {
		<-gate
	}
}

func (tp *tape) hold() (release func()) {
	gate := make(chan struct{})
	tp.mu.Lock()
	tp.gate = gate
	tp.mu.Unlock()
	return sync.OnceFunc(func() {
		tp.mu.Lock()
		tp.gate = nil
		tp.mu.Unlock()
		close(gate)
	})
}

// conns gives what was said of one tuple, in order.
func (tp *tape) conns(t flow.Tuple) []flow.Conn {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	var out []flow.Conn
	for _, e := range tp.events {
		if cs, ok := e.(flow.Conns); ok {
			for _, c := range cs {
				if c.Entry.Orig == t {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

func (tp *tape) each(f func(flow.Event)) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, e := range tp.events {
		f(e)
	}
}

func (tp *tape) synced() (n int) {
	tp.each(func(e flow.Event) {
		if _, ok := e.(flow.Synced); ok {
			n++
		}
	})
	return n
}

// until waits for cond, looking again whenever something was emitted.
func (tp *tape) until(what string, cond func() bool) {
	tp.t.Helper()
	limit := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tp.more:
		case <-tick.C:
		case <-limit:
			tp.mu.Lock()
			defer tp.mu.Unlock()
			tp.t.Fatalf("waited for %s in vain; %d events, last: %v", what, len(tp.events), tail(tp.events))
		}
	}
}

func tail(es []flow.Event) []flow.Event { return es[max(0, len(es)-5):] }
