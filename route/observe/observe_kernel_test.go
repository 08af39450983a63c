//go:build netns || vm

package observe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/sim/lab"
)

// watched is a lab whose router is watched.
type watched struct {
	t   *testing.T
	lab *lab.Lab
	ob  *Observer
	lan hwif.Ifindex
	wan hwif.Ifindex

	mu    sync.Mutex
	seen  []Sight
	alarm chan struct{}
}

func clock() flow.Time { return monotonic() }

func watch(t *testing.T, mode Mode) *watched {
	t.Helper()
	l, err := lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &watched{t: t, lab: l, alarm: make(chan struct{}, 1)}
	w.inside(func() error {
		w.ob, err = Open(Options{Mode: mode, Clock: clock})
		return err
	})
	if mode != Auto && w.ob.Mode() != mode {
		t.Fatalf("mode %s, want %s", w.ob.Mode(), mode)
	}
	ports := w.ports()
	w.lan, w.wan = ports[0].Ifindex, ports[1].Ifindex
	w.inside(func() error { return w.ob.SetPorts(ports) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.ob.Run(ctx, w.take) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.ob.Close()
	})
	return w
}

func (w *watched) inside(f func() error) {
	w.t.Helper()
	if err := w.lab.Router.Do(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) ports() (out []hwif.Port) {
	w.inside(func() error {
		for _, name := range []string{lab.LANPort, lab.WANPort} {
			i, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			out = append(out, hwif.Port{Ifindex: hwif.Ifindex(i.Index), Name: name, MAC: hwif.MAC(i.HardwareAddr), Up: true})
		}
		return nil
	})
	return out
}

func (w *watched) take(s []Sight) {
	w.mu.Lock()
	w.seen = append(w.seen, s...)
	w.mu.Unlock()
	select {
	case w.alarm <- struct{}{}:
	default:
	}
}

// sights waits until so many have come, and a little longer for one too many.
func (w *watched) sights(n int) []Sight {
	w.t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		w.mu.Lock()
		got := len(w.seen)
		w.mu.Unlock()
		if got >= n {
			break
		}
		select {
		case <-w.alarm:
		case <-deadline:
			w.t.Fatalf("%d sights, want %d", got, n)
		}
	}
	time.Sleep(50 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	if len(out) != n {
		w.t.Fatalf("%d sights, want %d: %+v", len(out), n, out)
	}
	return out
}

// echo is a connection of datagrams through the router, and back.
type echo struct {
	t *testing.T
	c *net.UDPConn
}

func (w *watched) echo(server netip.Addr) *echo {
	w.t.Helper()
	var pc net.PacketConn
	if err := w.lab.Server.Do(func() (err error) {
		pc, err = net.ListenPacket("udp", netip.AddrPortFrom(server, 7).String())
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			pc.WriteTo(b[:n], from)
		}
	}()
	e := &echo{t: w.t}
	if err := w.lab.Client.Do(func() (err error) {
		e.c, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, 7)))
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { pc.Close(); e.c.Close() })
	return e
}

// rounds sends n datagrams, each after the answer to the one before.
func (e *echo) rounds(n int) {
	e.t.Helper()
	for range n {
		e.send()
		e.c.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := e.c.Read(make([]byte, 2000)); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *echo) send() {
	e.t.Helper()
	if _, err := e.c.Write([]byte("shunt")); err != nil {
		e.t.Fatal(err)
	}
}

func modes(t *testing.T, f func(t *testing.T, m Mode)) {
	for _, m := range []Mode{TCX, Tracepoint} {
		t.Run(m.String(), func(t *testing.T) {
			if err := hasTCX(); m == TCX && err != nil {
				if release, old := before66(t); old {
					t.Skipf("Linux %s has no TCX, which came with 6.6: %v", release, err)
				}
				t.Fatal(err)
			}
			f(t, m)
		})
	}
}

// before66 reports whether the kernel is older than TCX.
func before66(t *testing.T) (release string, old bool) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	release = unix.ByteSliceToString(u.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("release %q: %v", release, err)
	}
	return release, major < 6 || major == 6 && minor < 6
}

// hasTCX asks the kernel itself.
func hasTCX() error {
	ob, err := Open(Options{Mode: TCX, Clock: clock})
	if err != nil {
		return err
	}
	return ob.Close()
}

// TestThreshold: each direction is told of once, when it has become heavy, with
// what the kernel really did.
func TestThreshold(t *testing.T) {
	modes(t, func(t *testing.T, m Mode) {
		for _, version := range []int{4, 6} {
			w := watch(t, m)
			if err := w.ob.SetThreshold(10); err != nil {
				t.Fatal(err)
			}
			e := w.echo(lab.Server(version))
			e.rounds(9)
			w.sights(0)
			e.rounds(20)
			got := w.sights(2)
			w.check(got[0], flow.Orig, version)
			w.check(got[1], flow.Reply, version)
			for _, s := range got {
				if s.Packets != 10 {
					t.Errorf("told at %d packets", s.Packets)
				}
			}
		}
	})
}

func (w *watched) check(s Sight, d flow.Dir, version int) {
	w.t.Helper()
	in, out := w.lan, w.wan
	if d == flow.Reply {
		in, out = out, in
	}
	if s.Kind != Left || s.Dir != d || s.In != in || s.Out != out || s.VLANProto != 0 {
		w.t.Errorf("%+v, want %s from %d to %d", s, d, in, out)
	}
	server := lab.Server(version)
	if s.Orig().DstAddr() != server || s.Orig().DstPort != 7 || s.Reply().SrcAddr() != server || s.Orig().SrcAddr() != lab.Client(version) {
		w.t.Errorf("tuples %s and %s", s.Orig(), s.Reply())
	}
	if nat := s.Reply() != s.Orig().Reversed(); nat != (version == 4) {
		w.t.Errorf("reply tuple %s", s.Reply())
	}
	if s.TTL != 63 {
		w.t.Errorf("TTL %d as it leaves, want 63", s.TTL)
	}
	if want := w.neighbour(out, d, version); s.EthDst != want {
		w.t.Errorf("%s: sent to %s, the neighbour is at %s", d, s.EthDst, want)
	}
	if age := clock() - s.At; age < 0 || age > flow.Time(20*time.Second) {
		w.t.Errorf("seen %d ns ago", age)
	}
}

// neighbour asks the kernel for the next hop's MAC.
func (w *watched) neighbour(port hwif.Ifindex, d flow.Dir, version int) hwif.MAC {
	w.t.Helper()
	hop := lab.Client(version)
	if d == flow.Orig {
		hop = lab.HopA.Addr4()
		if version == 6 {
			hop = lab.HopA.Addr6()
		}
	}
	out, err := exec.Command("ip", "-n", w.lab.Router.Name, "neigh", "show", hop.String()).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(out), "lladdr ")
	mac, err := net.ParseMAC(strings.Fields(text + " none")[0])
	if err != nil {
		w.t.Fatalf("%s: %v in %q", hop, err, out)
	}
	return hwif.MAC(mac)
}

// known is a connection that was told of after three of its packets, in both directions.
func (w *watched) known(rounds int) (*echo, []Sight) {
	w.t.Helper()
	e := w.echo(lab.Server4)
	if err := w.ob.SetThreshold(3); err != nil {
		w.t.Fatal(err)
	}
	e.rounds(rounds)
	return e, w.sights(2)
}

// TestAsk: the next packet of a direction is told of, one only, however much has
// gone before.
func TestAsk(t *testing.T) {
	modes(t, func(t *testing.T, m Mode) {
		w := watch(t, m)
		e, s := w.known(5)
		if err := w.ob.SetThreshold(0); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			e.rounds(5)
			w.sights(0)
			before := clock()
			if err := w.ob.Ask([]flow.Tuple{s[0].Orig()}, []flow.Tuple{s[0].Reply()}); err != nil {
				t.Fatal(err)
			}
			e.rounds(5)
			got := w.sights(2)
			w.check(got[0], flow.Orig, 4)
			w.check(got[1], flow.Reply, 4)
			for _, g := range got {
				want := Came{Port: w.lan, TTL: 64, Paired: true}
				if g.Dir == flow.Reply {
					want.Port = w.wan
				}
				if g.Came != want || g.Altered {
					t.Errorf("%s came in as %+v, altered %v; want %+v", g.Dir, g.Came, g.Altered, want)
				}
			}
			if got[0].At < before {
				t.Errorf("seen %d ns before it was asked for", before-got[0].At)
			}
		}
	})
}

// TestSlow: a direction with a packet now and then is told of as well, with its way in.
func TestSlow(t *testing.T) {
	modes(t, func(t *testing.T, m Mode) {
		w := watch(t, m)
		e, s := w.known(3)
		if err := w.ob.Ask([]flow.Tuple{s[0].Orig()}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		e.send()
		if got := w.sights(1); got[0].Came.Port != w.lan {
			t.Errorf("%+v", got[0])
		}
	})
}

// TestBehindOthers: a program that has the last word on what comes in hides nothing, for
// ours is before it; one at the egress is told of.
func TestBehindOthers(t *testing.T) {
	if err := hasTCX(); err != nil {
		if release, old := before66(t); old {
			t.Skipf("Linux %s has no TCX, which came with 6.6: %v", release, err)
		}
		t.Fatal(err)
	}
	last, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	w := watch(t, TCX)
	for at, way := range map[ebpf.AttachType]string{ebpf.AttachTCXIngress: "ingress", ebpf.AttachTCXEgress: "egress"} {
		w.inside(func() error { return w.ob.SetPorts(nil) })
		var l link.Link
		w.inside(func() (err error) {
			l, err = link.AttachTCX(link.TCXOptions{Interface: int(w.lan), Program: last, Attach: at, Anchor: link.Head()})
			return err
		})
		ports := w.ports()
		err := w.lab.Router.Do(func() error { return w.ob.SetPorts(ports) })
		if complained := err != nil && strings.Contains(err.Error(), "1 other programs come first"); complained != (way == "egress") {
			t.Errorf("%s: %v", way, err)
		}
		if way == "ingress" {
			e := w.echo(lab.Server4)
			e.rounds(3)
			tuple := flow.Tuple{}
			w.inside(func() error { return w.ob.SetThreshold(4) })
			e.rounds(1)
			for _, s := range w.sights(2) {
				if s.Dir == flow.Orig {
					tuple = s.Orig()
				}
			}
			if err := w.ob.Ask([]flow.Tuple{tuple}, nil); err != nil {
				t.Fatal(err)
			}
			e.send()
			if got := w.sights(1); got[0].Came.Port != w.lan {
				t.Errorf("%+v", got[0])
			}
		}
		l.Close()
	}
}

// TestMangled: what the ruleset writes into packets shows by what they came in with, or
// by conntrack's own tuple.
func TestMangled(t *testing.T) {
	modes(t, func(t *testing.T, m Mode) {
		for name, tc := range map[string]struct {
			rule string
			is   func(s *Sight) bool
		}{
			"nothing": {"counter", func(s *Sight) bool { return s.TOS == s.Came.TOS && s.TTL == s.Came.TTL-1 && !s.Altered }},
			"TOS":     {"ip dscp set cs3", func(s *Sight) bool { return s.TOS == 0x60 && s.Came.TOS == 0 }},
			"TTL":     {"ip ttl set 33", func(s *Sight) bool { return s.TTL == 33 && s.Came.TTL == 64 }},
			"address": {"ip saddr set 198.51.100.77", func(s *Sight) bool { return s.Altered }},
			"port":    {"udp sport set 77", func(s *Sight) bool { return s.Altered }},
		} {
			t.Run(name, func(t *testing.T) {
				w := watch(t, m)
				e, s := w.known(3)
				script := "table ip mangled { chain c { type filter hook postrouting priority 300; udp dport 7 " + tc.rule + "; }; }"
				cmd := exec.Command("nft", "-f", "-")
				cmd.Stdin = strings.NewReader(script)
				w.inside(func() error {
					if out, err := cmd.CombinedOutput(); err != nil {
						return fmt.Errorf("%w: %s", err, out)
					}
					return nil
				})
				if err := w.ob.Ask([]flow.Tuple{s[0].Orig()}, nil); err != nil {
					t.Fatal(err)
				}
				e.send()
				if got := w.sights(1); !tc.is(&got[0]) {
					t.Errorf("%+v", got[0])
				}
			})
		}
	})
}

// TestOwnTrafficIsNotSeen: what the router itself sends has no ingress.
func TestOwnTrafficIsNotSeen(t *testing.T) {
	modes(t, func(t *testing.T, m Mode) {
		w := watch(t, m)
		if err := w.ob.SetThreshold(1); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("ip", "netns", "exec", w.lab.Router.Name, "ping", "-c", "2", "-i", "0.1", lab.HopA.Addr4().String()).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		w.sights(0)
	})
}

// TestDroppedInPart: a rule that lets some packets pass drops no flow.
func TestDroppedInPart(t *testing.T) {
	w := watch(t, Auto)
	if err := w.ob.SetDropThreshold(50); err != nil {
		t.Fatal(err)
	}
	e := w.echo(lab.Server4)
	e.rounds(3)
	if out, err := exec.Command("ip", "netns", "exec", w.lab.Router.Name, "nft", "insert", "rule", "inet", "lab", "forward", "udp", "dport", "7", "numgen", "inc", "mod", "10", "!=", "0", "drop").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for range 300 { // 270 are dropped, never more than 9 in a row
		e.send()
	}
	w.sights(0)
}

// TestDropped: a direction that the ruleset drops at a high rate is told of once
// per window; a slow one never.
func TestDropped(t *testing.T) {
	w := watch(t, Auto)
	if err := w.ob.SetDropThreshold(50); err != nil {
		t.Fatal(err)
	}
	e := w.echo(lab.Server4)
	e.rounds(3)
	if out, err := exec.Command("ip", "netns", "exec", w.lab.Router.Name, "nft", "insert", "rule", "inet", "lab", "forward", "udp", "dport", "7", "drop").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for range 40 {
		e.send()
	}
	w.sights(0)
	time.Sleep(1100 * time.Millisecond)
	for range 120 {
		e.send()
	}
	s := w.sights(1)[0]
	if s.Kind != Dropped || s.Dir != flow.Orig || s.In != w.lan || s.Own.DstPort != 7 || s.Packets != 50 {
		t.Errorf("%+v", s)
	}
}
