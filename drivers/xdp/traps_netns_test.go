//go:build netns

package xdp

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

var bothModes = []Mode{ModeNative, ModeGeneric}

func eachMode(t *testing.T, do func(t *testing.T, mode Mode)) {
	for _, m := range bothModes {
		t.Run(string(m), func(t *testing.T) { do(t, m) })
	}
}

// device opens the wires in a mode and closes them with the test.
func (w *wires) device(mode Mode) *Device {
	w.t.Helper()
	d := w.open(hwif.OpenOptions{MaxRules: 64, Settings: map[string]string{"mode": string(mode)}})
	w.t.Cleanup(func() { must(w.t, d.Close(true), "close") })
	return d
}

func (w *wires) flow(proto uint8) hwiftest.Flow {
	return hwiftest.Flow{N: 1, Family: hwif.IPv4, Proto: proto, NAT: hwiftest.SNAT, In: w.ports[0], Out: w.ports[1]}
}

func installAll(t testing.TB, d *Device, rules ...hwif.Rule) {
	t.Helper()
	ops := make([]hwif.Op, len(rules))
	for i, r := range rules {
		ops[i] = hwif.Op{Kind: hwif.OpInstall, Rule: r}
	}
	results := make([]hwif.Result, len(ops))
	d.Apply(context.Background(), ops, results)
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("install %d: %v", i, r.Err)
		}
	}
}

func wantVerdict(t testing.TB, what string, got hwiftest.Out, want hwiftest.Verdict) {
	t.Helper()
	if got.Verdict != want {
		t.Errorf("%s: %s, want %s", what, got.Verdict, want)
	}
}

func wantFrame(t testing.TB, what string, got hwiftest.Out, want []byte) {
	t.Helper()
	if d := cmp.Diff(want, got.Frame); got.Verdict != hwiftest.Forwarded || d != "" {
		t.Errorf("%s: %s\n%s", what, got.Verdict, d)
	}
}

// refusedText is what Ports says about a port.
func refusedText(t testing.TB, d *Device, i hwif.Ifindex) string {
	t.Helper()
	ports, err := d.Ports(context.Background())
	must(t, err, "Ports")
	for _, p := range ports {
		if p.Ifindex == i {
			return p.Refused
		}
	}
	t.Fatalf("port %d is not listed", i)
	return ""
}

func wantRefusal(t testing.TB, d *Device, i hwif.Ifindex, words ...string) {
	t.Helper()
	text := refusedText(t, d, i)
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("Refused is %q, want %q in it", text, w)
		}
	}
	if len(words) == 0 && text != "" {
		t.Errorf("Refused is %q, want none", text)
	}
}

// virtioSender sends frames with a virtio_net_hdr before them, so that the sk_buff
// gets an unfinished checksum or more than one segment (PACKET_VNET_HDR).
func (w *wires) virtioSender(name string) func(hdr virtioHdr, frame []byte) error {
	s := w.socket(w.peers, name)
	must(w.t, unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1), "PACKET_VNET_HDR")
	return func(h virtioHdr, frame []byte) error {
		b := []byte{h.flags, h.gso}
		for _, v := range []uint16{h.hdrLen, h.gsoSize, h.csumStart, h.csumOff} {
			b = binary.NativeEndian.AppendUint16(b, v)
		}
		return s.send(append(b, frame...))
	}
}

type virtioHdr struct {
	flags, gso                          uint8
	hdrLen, gsoSize, csumStart, csumOff uint16
}

const needsCsum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM

// pseudo puts the folded sum of the pseudo header into the L4 checksum, as a
// sender does who leaves the rest to the card.
func pseudo(frame []byte, l2 int) {
	ip := frame[l2:]
	length := len(ip) - 20
	sum := uint32(ip[9]) + uint32(length)
	for i := 12; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	off := 20 + csumOff(ip[9])
	binary.BigEndian.PutUint16(ip[off:], uint16(sum))
}

func csumOff(proto byte) int {
	if proto == hwif.ProtoTCP {
		return 16
	}
	return 6
}

// A sender on a veth leaves the L4 checksum to be made; XDP would send it on like
// that. The kernel gets such frames until the sender makes its checksums.
func TestUnfinishedChecksum(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		for _, proto := range []uint8{hwif.ProtoTCP, hwif.ProtoUDP} {
			w := newWires(t, wireOptions{})
			w.ethtool(0, "tx", "on")
			d, p, f := w.device(mode), w.tap(), w.flow(proto)
			installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
			send := w.virtioSender("e0")
			frame := f.Frame().MustBuild()
			want := f.Forwarded(f.Frame()).MustBuild()
			pseudo(frame, 14)
			hdr := virtioHdr{flags: needsCsum, csumStart: 34, csumOff: uint16(csumOff(proto))}
			unfinished := func(frame []byte) error { return send(hdr, frame) }
			for range 10 {
				out := p.injectBy(f.In.Ifindex, unfinished, frame)
				wantVerdict(t, "unfinished", out, hwiftest.ToKernel)
			}
			wantRefusal(t, d, f.In.Ifindex, "p0", "unfinished checksums", "ethtool -K", "tx off")
			w.ethtool(0, "tx", "off")
			for range 10 {
				wantFrame(t, "finished by the sender", p.injectBy(f.In.Ifindex, unfinished, frame), want)
			}
			wantRefusal(t, d, f.In.Ifindex)
		}
	})
}

// In a tunnel the unfinished checksum lies deep in the payload, where no rule of
// thumb finds it; the sk_buff tells.
func TestUnfinishedInnerChecksum(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		w.ethtool(0, "tx", "on")
		d, p, f := w.device(mode), w.tap(), w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
		send := w.virtioSender("e0")
		s := f.Frame()
		s.NoChecksum = true
		frame := s.MustBuild()
		inner := virtioHdr{flags: needsCsum, csumStart: 50, csumOff: 6}
		out := p.injectBy(f.In.Ifindex, func(b []byte) error { return send(inner, b) }, frame)
		wantVerdict(t, "unfinished inside", out, hwiftest.ToKernel)
		wantFrame(t, "finished", p.inject(f.In.Ifindex, frame), f.Forwarded(s).MustBuild())
	})
}

// Several packets in one sk_buff, as GRO and GSO make them, are the kernel's, even
// if the whole is no longer than the MTU.
func TestMergedFrames(t *testing.T) {
	w := newWires(t, wireOptions{})
	w.ethtool(0, "tx", "on")
	w.ethtool(0, "tso", "on")
	d, p, f := w.device(ModeGeneric), w.tap(), w.flow(hwif.ProtoTCP)
	installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
	send := w.virtioSender("e0")
	s := f.Frame()
	s.Payload = make([]byte, 1000)
	frame := s.MustBuild()
	pseudo(frame, 14)
	hdr := virtioHdr{flags: needsCsum, gso: 1, hdrLen: 54, gsoSize: 500, csumStart: 34, csumOff: 16}
	for range 10 {
		out := p.injectBy(f.In.Ifindex, func(b []byte) error { return send(hdr, b) }, frame)
		wantVerdict(t, "merged", out, hwiftest.ToKernel)
	}
	wantRefusal(t, d, f.In.Ifindex, "p0", "merged", "gro off")
}

// A veth gives a redirected frame to nobody unless its peer has GRO or XDP on.
func TestLostRedirect(t *testing.T) {
	t.Run("native says so and mends itself", func(t *testing.T) {
		w := newWires(t, wireOptions{})
		w.ethtool(1, "gro", "off")
		d, p, f := w.device(ModeNative), w.tap(), w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
		s := f.Frame()
		wantVerdict(t, "the peer can't take it", p.inject(f.In.Ifindex, s.MustBuild()), hwiftest.ToKernel)
		wantRefusal(t, d, f.In.Ifindex)
		wantRefusal(t, d, f.Out.Ifindex, "p1", "ethtool -K", "gro on")
		w.ethtool(1, "gro", "on")
		wantRefusal(t, d, f.Out.Ifindex)
		wantFrame(t, "mended", p.inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
	})
	t.Run("native notices at run time", func(t *testing.T) {
		w := newWires(t, wireOptions{})
		d, p, f := w.device(ModeNative), w.tap(), w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
		s := f.Frame()
		wantFrame(t, "before", p.inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
		w.ethtool(1, "gro", "off")
		wantVerdict(t, "the one that is lost", p.inject(f.In.Ifindex, s.MustBuild()), hwiftest.Dropped)
		wantVerdict(t, "the next", p.inject(f.In.Ifindex, s.MustBuild()), hwiftest.ToKernel)
		wantRefusal(t, d, f.Out.Ifindex, "p1", "ethtool -K", "gro on")
	})
	t.Run("generic needs nothing", func(t *testing.T) {
		w := newWires(t, wireOptions{})
		w.ethtool(1, "gro", "off")
		d, p, f := w.device(ModeGeneric), w.tap(), w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
		s := f.Frame()
		wantFrame(t, "generic", p.inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
		wantRefusal(t, d, f.Out.Ifindex)
	})
	t.Run("auto takes generic", func(t *testing.T) {
		w := newWires(t, wireOptions{})
		w.ethtool(1, "gro", "off")
		d, p, f := w.device(ModeAuto), w.tap(), w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
		s := f.Frame()
		wantFrame(t, "auto", p.inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
		notes := strings.Join(d.Caps().Notes, "\n")
		if d.mode != ModeGeneric || !strings.Contains(notes, "p1") || !strings.Contains(notes, "gro on") {
			t.Errorf("mode %s, notes:\n%s", d.mode, notes)
		}
	})
	t.Run("auto takes native where it can", func(t *testing.T) {
		if d := newWires(t, wireOptions{}).device(ModeAuto); d.mode != ModeNative {
			t.Errorf("mode %s, want native", d.mode)
		}
	})
}

// A port that is down must not swallow what the kernel could still answer.
func TestEgressDown(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		d, p, f := w.device(mode), w.tap(), w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
		s := f.Frame()
		set := func(do func(netlink.Link) error) {
			w.inRouter(func() {
				l, err := netlink.LinkByIndex(int(f.Out.Ifindex))
				must(t, err, "find port")
				must(t, do(l), "set link")
			})
		}
		set(netlink.LinkSetDown)
		p.inject(f.In.Ifindex, s.MustBuild()) // may be lost
		wantVerdict(t, "down", p.inject(f.In.Ifindex, s.MustBuild()), hwiftest.ToKernel)
		set(netlink.LinkSetUp)
		wantRefusal(t, d, f.Out.Ifindex)
		wantFrame(t, "up again", p.inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
	})
}

// The egress MTU falls below a rule's before anyone has taken the rule out: one
// frame may be lost, then the kernel gets them and can answer.
func TestEgressMTUFalls(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		d, p, f := w.device(mode), w.tap(), w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(1, 0)))
		s := f.Frame()
		s.Payload = make([]byte, 1400)
		wantFrame(t, "before", p.inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
		w.inRouter(func() {
			l, err := netlink.LinkByIndex(int(f.Out.Ifindex))
			must(t, err, "find port")
			must(t, netlink.LinkSetMTU(l, 1000), "set MTU")
		})
		p.inject(f.In.Ifindex, s.MustBuild()) // may be lost
		wantVerdict(t, "too long", p.inject(f.In.Ifindex, s.MustBuild()), hwiftest.ToKernel)
	})
}
