//go:build netns

package xdp

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/hwif/hwiftest/frame"
)

// tagger makes everything that leaves by a peer carry a tag beside the frame, as a
// VLAN device above it does.
func (w *wires) tagger(name string, tpid, tci uint16) {
	t := w.t
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R2, int32(tpid>>8|tpid<<8&0xff00)),
		asm.Mov.Imm(asm.R3, int32(tci)),
		asm.FnSkbVlanPush.Call(),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}})
	must(t, err, "load tagger")
	defer prog.Close()
	in(t, w.peers, func() {
		l, err := netlink.LinkByName(name)
		must(t, err, "find peer")
		x, err := link.AttachTCX(link.TCXOptions{Program: prog, Interface: l.Attrs().Index, Attach: ebpf.AttachTCXEgress})
		must(t, err, "attach tagger")
		t.Cleanup(func() { x.Close() })
	})
}

// sendThroughTC sends by a peer without going round its egress hook.
func (w *wires) sendThroughTC(name string) func([]byte) error {
	s := w.socket(w.peers, name)
	must(w.t, unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 0), "PACKET_QDISC_BYPASS")
	return s.send
}

// A tag beside the frame is invisible to XDP: the frame looks untagged, and a rule
// for untagged frames would take it. In native mode the tag is found and obeyed; in
// generic mode it can't be taken off, and the frame is the kernel's.
func TestTagBesideFrame(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		for _, out := range []hwif.VLAN{0, 100, 200} {
			w := newWires(t, wireOptions{})
			d, p := w.device(mode), w.tap()
			tagged, plain := w.flow(hwif.ProtoTCP), w.flow(hwif.ProtoTCP)
			tagged.InVLAN, tagged.OutVLAN = 100, out
			plain.Out = w.ports[2]
			installAll(t, d, tagged.Rule(hwif.NewCookie(1, 0)), plain.Rule(hwif.NewCookie(2, 0)))
			w.tagger("e0", frame.TPID8021Q, 100)
			send := w.sendThroughTC("e0")
			bare := plain.Frame()
			want := tagged.Forwarded(bare).MustBuild()
			for range 10 {
				got := p.injectBy(tagged.In.Ifindex, send, bare.MustBuild())
				if mode == ModeNative {
					wantFrame(t, "tag beside the frame", got, want)
				} else {
					wantVerdict(t, "tag beside the frame", got, hwiftest.ToKernel)
				}
			}
			if mode == ModeGeneric {
				wantRefusal(t, d, tagged.In.Ifindex, "p0", "ethtool -K", "txvlan off")
				w.ethtool(0, "txvlan", "off")
				for range 10 {
					wantFrame(t, "tag in the frame", p.injectBy(tagged.In.Ifindex, send, bare.MustBuild()), want)
				}
				wantRefusal(t, d, tagged.In.Ifindex)
			}
			// Tagged already: two tags now, one beside the frame.
			two := tagged.Frame()
			wantVerdict(t, "two tags", p.injectBy(tagged.In.Ifindex, send, two.MustBuild()), hwiftest.ToKernel)
			wantFrame(t, "untagged", p.inject(plain.In.Ifindex, bare.MustBuild()), plain.Forwarded(bare).MustBuild())
		}
	})
}

// Tags that no rule can mean, beside the frame: other id, priority tag, 802.1ad.
func TestStrangeTagBesideFrame(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		for _, c := range []struct{ tpid, tci uint16 }{{frame.TPID8021Q, 101}, {frame.TPID8021Q, 0x2000}, {frame.TPID8021AD, 100}} {
			w := newWires(t, wireOptions{})
			d, p := w.device(mode), w.tap()
			tagged, plain := w.flow(hwif.ProtoUDP), w.flow(hwif.ProtoUDP)
			tagged.InVLAN = 100
			installAll(t, d, tagged.Rule(hwif.NewCookie(1, 0)), plain.Rule(hwif.NewCookie(2, 0)))
			w.tagger("e0", c.tpid, c.tci)
			send := w.sendThroughTC("e0")
			out := p.injectBy(plain.In.Ifindex, send, plain.Frame().MustBuild())
			wantVerdict(t, "strange tag", out, hwiftest.ToKernel)
		}
	})
}

// A tag that stays on loses its priority in the kernel; a frame that has one is
// the kernel's.
func TestKeptTag(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		d, p, f := w.device(mode), w.tap(), w.flow(hwif.ProtoUDP)
		f.InVLAN = 100
		r := f.Rule(hwif.NewCookie(1, 0))
		r.Actions.Set = r.Actions.Set.Without(hwif.ActVLANPop)
		installAll(t, d, r)
		s := f.Frame()
		f.OutVLAN = 100
		wantFrame(t, "kept", p.inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
		s.Tags[0].PCP = 5
		wantVerdict(t, "kept with priority", p.inject(f.In.Ifindex, s.MustBuild()), hwiftest.ToKernel)
	})
}
