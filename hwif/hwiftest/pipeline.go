package hwiftest

import (
	"bytes"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest/frame"
)

// sub runs do as a subtest with the same device.
func (b *bench) sub(name string, do func(b *bench)) {
	b.Run(name, func(t *testing.T) {
		sub := *b
		sub.T = t
		defer func() { b.gen = sub.gen }() // cookies are never given twice
		do(&sub)
	})
}

// with installs the flow's rule for the time of one subtest.
func (b *bench) with(name string, f Flow, do func(b *bench)) {
	b.sub(name, func(b *bench) {
		r := f.Rule(b.cookie(0))
		b.need(r)
		b.install(r)
		do(b)
		b.remove(r)
	})
}

// wantForwarded injects a frame and compares what leaves, byte for byte.
func (b *bench) wantForwarded(what string, f Flow, in frame.Spec, want frame.Spec) {
	b.Helper()
	b.wantBytes(what, f, in.MustBuild(), want.MustBuild())
}

func (b *bench) wantBytes(what string, f Flow, in, want []byte) {
	b.Helper()
	before := bytes.Clone(in)
	out := b.h.Inject(f.In.Ifindex, in)
	if !bytes.Equal(in, before) {
		b.Fatalf("%s: Inject changed the caller's frame", what)
	}
	switch {
	case f.drops():
		if out.Verdict != Dropped {
			b.Errorf("%s: %s, want dropped: %s", what, out.Verdict, frame.Text(in))
		}
	case out.Verdict != Forwarded:
		b.Errorf("%s: %s, want forwarded: %s", what, out.Verdict, frame.Text(in))
	case out.Port != f.Out.Ifindex:
		b.Errorf("%s: left by port %d, want %d", what, out.Port, f.Out.Ifindex)
	default:
		if d := frame.Diff(out.Frame, want); d != "" {
			b.Errorf("%s:\n%s", what, d)
		}
	}
}

// wantKernel injects a frame that the kernel must get, untouched.
func (b *bench) wantKernel(what string, in hwif.Ifindex, raw []byte) {
	b.Helper()
	if len(raw) < b.h.MinFrame {
		return
	}
	out := b.h.Inject(in, bytes.Clone(raw))
	switch {
	case out.Verdict != ToKernel:
		b.Errorf("%s: %s, want to kernel: %s", what, out.Verdict, frame.Text(raw))
	case out.Frame != nil && !bytes.Equal(out.Frame, raw):
		b.Errorf("%s: the kernel got another frame:\n%s", what, frame.Diff(out.Frame, raw))
	}
}

// testForward is the table of plain frames: every family, protocol, NAT and
// tagging must be forwarded and leave as the kernel would have sent it.
func testForward(b *bench) {
	vlans := []struct{ in, out hwif.VLAN }{{0, 0}, {100, 0}, {0, 200}, {100, 200}, {100, 100}}
	for _, k := range b.kinds() {
		for nat := range numNATs {
			for _, v := range vlans {
				f := k
				f.NAT, f.InVLAN, f.OutVLAN, f.route = nat, v.in, v.out, true
				b.with(f.String(), f, func(b *bench) {
					in := f.Frame()
					b.wantForwarded("plain", f, in, f.Forwarded(in))
				})
			}
		}
	}
}

// testVariants walks a flow with NAT through ordinary frames of every shape.
func testVariants(b *bench) {
	for _, f := range b.kinds() {
		f.OutVLAN = 200
		f = b.able(f, BothNAT)
		b.with(f.String(), f, func(b *bench) {
			try := func(what string, edit func(s *frame.Spec)) {
				b.Helper()
				s := f.Frame()
				edit(&s)
				b.wantForwarded(what, f, s, f.Forwarded(s))
			}
			for _, tos := range []uint8{0, 1, 2, 3, 0x28, 0xb8, 0xff} { // ECN values and DSCP
				try("tos", func(s *frame.Spec) { s.TOS = tos })
			}
			for _, ttl := range []uint8{2, 3, 64, 128, 255} {
				if b.caps.ExactTTL {
					b.kernel("another ttl", f, func(s *frame.Spec) { s.TTL = ttl })
					continue
				}
				try("ttl", func(s *frame.Spec) { s.TTL = ttl })
			}
			for n := range 64 { // odd and even lengths, and none
				try("payload", func(s *frame.Spec) { s.Payload = bytes.Repeat([]byte{byte(n + 1)}, n) })
			}
			try("payload of ones", func(s *frame.Spec) { s.Payload = bytes.Repeat([]byte{0xff}, 33) })
			try("payload of zeros", func(s *frame.Spec) { s.Payload = make([]byte, 33) })
			if f.Family == hwif.IPv4 {
				for _, id := range []uint16{0, 1, 0x7fff, 0xffff} { // walks the header checksum round its wrap
					try("id", func(s *frame.Spec) { s.ID = id })
					try("may be fragmented later", func(s *frame.Spec) { s.ID, s.DF = id, false })
				}
				for id := range 512 { // every carry of TTL-1 against the header checksum
					try("id sweep", func(s *frame.Spec) { s.ID = uint16(id) * 128 })
				}
			} else {
				try("flow label", func(s *frame.Spec) { s.FlowLabel = 0xfffff })
				try("no flow label", func(s *frame.Spec) { s.FlowLabel = 0 })
			}
			if f.Proto == hwif.ProtoTCP {
				for _, flags := range []uint8{frame.ACK, frame.ACK | frame.PSH, frame.ACK | frame.URG, frame.ACK | frame.ECE | frame.CWR} {
					try("tcp flags", func(s *frame.Spec) { s.Flags = flags })
				}
			}
			try("as long as the MTU", func(s *frame.Spec) {
				s.Payload = nil
				s.Payload = make([]byte, int(f.mtu())-s.L3Len())
			})
		})
	}
}
