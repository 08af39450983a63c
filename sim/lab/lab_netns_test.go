//go:build netns

package lab

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, opts Options) *Lab {
	t.Helper()
	l, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	listen(t, l)
	return l
}

// ping connects to the server's discard port, where start listens.
func ping(t *testing.T, from *Namespace, to string) {
	t.Helper()
	err := from.Do(func() error {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(to, "9"), 5*time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
	if err != nil {
		t.Fatalf("from %s: %v", from.Name, err)
	}
}

func listen(t *testing.T, l *Lab) {
	t.Helper()
	var ln net.Listener
	err := l.Server.Do(func() (err error) {
		ln, err = net.Listen("tcp", ":9")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
}

func TestBothFamiliesReachTheServerByEitherHop(t *testing.T) {
	l := start(t, Options{})
	for _, hop := range []Hop{HopA, HopB} {
		if err := l.UseHop(t.Context(), hop); err != nil {
			t.Fatal(err)
		}
		before := received(t, l, hop)
		ping(t, l.Client, Server4.String())
		ping(t, l.Client, Server6.String())
		if got := received(t, l, hop) - before; got < 2 {
			t.Errorf("hop %s received %d frames, want one per family at least", hop, got)
		}
	}
	f, err := l.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f.IPv4.Packets < 4 || f.IPv6.Packets < 4 || f.Invalid.Packets != 0 {
		t.Errorf("the forward chain counted %+v", f)
	}
}

func received(t *testing.T, l *Lab, hop Hop) uint64 {
	t.Helper()
	link, err := l.Server.nl.LinkByName(hop.Port())
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs().Statistics.RxPackets
}

func TestIPv4IsMasqueradedUnlessToldOtherwise(t *testing.T) {
	for _, c := range []struct {
		name string
		opts Options
		want string // reply destination in the conntrack entry
	}{
		{"masquerade", Options{}, "dst=" + RouterWAN4.String()},
		{"plain", Options{NoNAT: true}, "dst=" + Client4.String()},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := start(t, c.opts)
			ping(t, l.Client, Server4.String())
			lines, err := l.Conntrack(t.Context(), "-p", "tcp")
			if err != nil {
				t.Fatal(err)
			}
			if len(lines) != 1 || !strings.Contains(lines[0], "src="+Server4.String()+" "+c.want) {
				t.Errorf("conntrack: %q, want %q", lines, c.want)
			}
		})
	}
}

func TestANeighbourLearnsTheHopsNewMAC(t *testing.T) {
	l := start(t, Options{})
	ping(t, l.Client, Server4.String())
	ping(t, l.Client, Server6.String())
	const mac = "02:00:00:00:0a:0b"
	if err := l.ChangeMAC(t.Context(), HopA, mac); err != nil {
		t.Fatal(err)
	}
	// The announcement is a packet: it takes a moment, and no more.
	for _, ip := range []string{HopA.Addr4().String(), HopA.Addr6().String()} {
		eventually(t, func() error {
			out, err := l.Router.Run(t.Context(), "ip", "neigh", "show", ip, "dev", WANPort)
			if err == nil && !strings.Contains(out, mac) {
				err = errors.New("router still has " + out)
			}
			return err
		})
	}
	ping(t, l.Client, Server4.String())
	ping(t, l.Client, Server6.String())
}

func TestVLANBetweenClientAndRouter(t *testing.T) {
	l, err := New(t.Context(), Options{VLAN: 7})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		// The reason is proved: the kernel was asked for the very device.
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	listen(t, l)
	ping(t, l.Client, Server4.String())
	ping(t, l.Client, Server6.String())
}

func TestCloseEndsProcessesAndRemovesNamespaces(t *testing.T) {
	l := start(t, Options{})
	p, err := l.Client.Start(exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	where, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(p.PID()), "ns/net"))
	if err != nil {
		t.Fatal(err)
	}
	if here, _ := os.Readlink("/proc/self/ns/net"); here == where {
		t.Fatal("the process runs outside of its namespace")
	}
	names := []string{l.Client.Name, l.Router.Name, l.Switch.Name, l.Server.Name}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Ended():
	default:
		t.Error("a process outlived its lab")
	}
	for _, n := range names {
		if _, err := os.Stat(filepath.Join(runNetns, n)); err == nil {
			t.Errorf("namespace %s outlived its lab", n)
		}
	}
}

func TestAFailedBuildLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the first command of the build fails
	if _, err := New(ctx, Options{}); err == nil {
		t.Fatal("New on a cancelled context built a lab")
	}
	entries, _ := os.ReadDir(runNetns)
	for _, e := range entries {
		if n, ok := parseName(e.Name()); ok && n.pid == os.Getpid() {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestSweepRemovesWhatADeadProgramLeft(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := name{pid: dead.Process.Pid, serial: 1, role: "client"}.String()
	ours := start(t, Options{})
	if out, err := exec.Command("ip", "netns", "add", left).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	removed, err := Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(removed, " "), left) {
		t.Errorf("Sweep removed %v, want %s among them", removed, left)
	}
	ping(t, ours.Client, Server4.String())
}

func TestThreadsComeBackToTheirNamespace(t *testing.T) {
	l := start(t, Options{})
	for range 64 {
		if err := l.Client.Do(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for range 64 {
		if got, _ := os.Readlink("/proc/thread-self/ns/net"); got == inside(t, l) {
			t.Fatal("a thread was left inside the lab")
		}
	}
}

func inside(t *testing.T, l *Lab) (ns string) {
	t.Helper()
	if err := l.Client.Do(func() (err error) {
		ns, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return ns
}

// eventually tries for 5 s; the time is a bound for a broken lab, not a claim.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for range 100 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal(err)
}
