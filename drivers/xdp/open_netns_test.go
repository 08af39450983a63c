//go:build netns

package xdp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// wantOpenError opens and wants an *hwif.Error of a kind, about a port, with words.
func (w *wires) wantOpenError(o hwif.OpenOptions, kind hwif.Kind, port string, words ...string) {
	w.t.Helper()
	var dev hwif.Device
	var err error
	w.inRouter(func() { dev, err = Driver{}.Open(context.Background(), o) })
	if err == nil {
		dev.Close(true)
		w.t.Fatalf("opened, want %s", kind)
	}
	var e *hwif.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Port != port {
		w.t.Errorf("error %v, want kind %s and port %q", err, kind, port)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("error %v, want %q in it", err, word)
		}
	}
}

// attached lists the ports that carry an XDP program.
func (w *wires) attached() []string {
	var out []string
	w.inRouter(func() {
		for _, n := range w.names {
			l, err := netlink.LinkByName(n)
			must(w.t, err, "find port")
			if x := l.Attrs().Xdp; x != nil && x.Attached {
				out = append(out, n)
			}
		}
	})
	return out
}

func TestOpenRefuses(t *testing.T) {
	w := newWires(t, wireOptions{})
	with := func(ports ...string) hwif.OpenOptions { return hwif.OpenOptions{Ports: ports} }
	w.wantOpenError(with("p0", "nope"), hwif.KindGone, "nope", "no such interface")
	w.wantOpenError(with("p0", "lo"), hwif.KindUnsupported, "lo", "Ethernet")
	w.inRouter(func() {
		must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}), "add bridge")
		l, err := netlink.LinkByName("p2")
		must(t, err, "find port")
		must(t, netlink.LinkSetDown(l), "down")
	})
	w.wantOpenError(with("p0", "br0"), hwif.KindUnsupported, "br0", "below")
	w.wantOpenError(with("p0", "p2"), hwif.KindBusy, "p2", "ip link set dev p2 up")
	o := with("p0", "p1")
	o.Settings = map[string]string{"pin": t.TempDir()}
	w.wantOpenError(o, hwif.KindInvalid, "", "bpffs", "mount -t bpf")
	if got := w.attached(); len(got) != 0 {
		t.Errorf("programs left on %v", got)
	}
}

func TestForeignProgram(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
		must(t, err, "load")
		defer prog.Close()
		var x link.Link
		w.inRouter(func() {
			x, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: int(w.ports[1].Ifindex), Flags: link.XDPGenericMode})
		})
		must(t, err, "attach")
		defer x.Close()
		w.wantOpenError(hwif.OpenOptions{Ports: w.names, Settings: map[string]string{"mode": string(mode)}}, hwif.KindBusy, "p1", "XDP program")
		if got := w.attached(); len(got) != 1 || got[0] != "p1" {
			t.Errorf("programs on %v, want the stranger's on p1 alone", got)
		}
	})
}

// Native XDP keeps a frame in one page.
func TestLargeMTU(t *testing.T) {
	w := newWires(t, wireOptions{mtu: 9000})
	w.wantOpenError(hwif.OpenOptions{Ports: w.names, Settings: map[string]string{"mode": "native"}}, hwif.KindUnsupported, "p0", "MTU 9000", "generic")
	if got := w.attached(); len(got) != 0 {
		t.Errorf("programs left on %v", got)
	}
	if d := w.device(ModeAuto); d.mode != ModeGeneric {
		t.Errorf("auto took %s, want generic", d.mode)
	}
}

// Somebody takes the program off behind our back.
func TestTakenOff(t *testing.T) {
	w := newWires(t, wireOptions{})
	d := w.device(ModeNative)
	must(t, d.ports[w.ports[0].Ifindex].link.(interface{ Detach() error }).Detach(), "detach")
	wantRefusal(t, d, w.ports[0].Ifindex, "p0", "taken off")
	wantRefusal(t, d, w.ports[1].Ifindex)
}

func TestPinnedTable(t *testing.T) {
	w := newWires(t, wireOptions{})
	dir := pinDir(t)
	opts := func(mode Mode, max int) hwif.OpenOptions {
		return hwif.OpenOptions{Ports: w.names, MaxRules: max, Settings: map[string]string{"mode": string(mode), "pin": dir}}
	}
	d := w.open(opts(ModeNative, 64))
	w.wantOpenError(opts(ModeNative, 64), hwif.KindBusy, "", "another daemon")
	f := w.flow(hwif.ProtoUDP)
	other := f
	other.N, other.Out = 2, w.ports[2]
	installAll(t, d, f.Rule(hwif.NewCookie(1, 0)), other.Rule(hwif.NewCookie(2, 0)))
	must(t, d.Close(false), "close")
	w.wantOpenError(opts(ModeNative, 65), hwif.KindInvalid, "", "max_rules")
	p, s := w.tap(), f.Frame()
	want := f.Forwarded(s).MustBuild()
	wantFrame(t, "nobody there", p.inject(f.In.Ifindex, s.MustBuild()), want)

	// In another mode the same rules go on.
	d = w.open(opts(ModeGeneric, 64))
	wantFrame(t, "generic", p.inject(f.In.Ifindex, s.MustBuild()), want)
	must(t, d.Close(false), "close")
	wantFrame(t, "nobody there, generic", p.inject(f.In.Ifindex, s.MustBuild()), want)

	// A port goes while nobody is there, and with it the rules that need it.
	w.inRouter(func() {
		l, err := netlink.LinkByName("p2")
		must(t, err, "find port")
		must(t, netlink.LinkDel(l), "delete port")
	})
	o := opts(ModeNative, 64)
	o.Ports = []string{"p0", "p1"}
	var dev hwif.Device
	var err error
	w.inRouter(func() { dev, err = Driver{}.Open(context.Background(), o) })
	must(t, err, "open")
	n := 0
	for in, err := range dev.Rules(context.Background()) {
		must(t, err, "Rules")
		if n++; in.Rule != f.Rule(hwif.NewCookie(1, 0)) {
			t.Errorf("listed: %s", &in.Rule)
		}
		if in.Counter.Packets != 3 {
			t.Errorf("counted %d packets over three lives, want 3", in.Counter.Packets)
		}
	}
	if n != 1 {
		t.Errorf("%d rules, want 1", n)
	}
	must(t, dev.Close(true), "close")
	wantVerdict(t, "flushed", p.injectBy(f.In.Ifindex, p.far[f.In.Ifindex].send, s.MustBuild()), hwiftest.ToKernel)
}

// A directory of another version is not touched.
func TestStrangePin(t *testing.T) {
	w := newWires(t, wireOptions{})
	dir := pinDir(t)
	must(t, os.Mkdir(dir, 0o700), "mkdir")
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err, "map")
	defer m.Close()
	path := filepath.Join(dir, "rules_v0")
	must(t, m.Pin(path), "pin")
	w.wantOpenError(hwif.OpenOptions{Ports: w.names, Settings: map[string]string{"pin": dir}}, hwif.KindInvalid, "", "rules_v0", "another version")
	must(t, os.Remove(path), "the stranger's map is gone")
	must(t, os.Remove(dir), "remove")
}
