package hwiftest

import (
	"bytes"
	"encoding/binary"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest/frame"
)

// testZeroChecksum: a UDP sender that computes no checksum sends zero, which
// stays zero (RFC 768); one that is computed as zero is sent as 0xffff.
func testZeroChecksum(b *bench) {
	for _, nat := range []NAT{NoNAT, BothNAT} {
		f := Flow{N: 1, Family: hwif.IPv4, Proto: hwif.ProtoUDP, NAT: nat, In: b.in(), Out: b.out(), caps: &b.caps}
		b.with("none, "+f.String(), f, func(b *bench) {
			s := f.Frame()
			s.NoChecksum = true
			b.wantForwarded("no checksum", f, s, f.Forwarded(s))
		})
		for _, fam := range []hwif.Family{hwif.IPv4, hwif.IPv6} {
			f := f
			f.Family = fam
			b.with("computed as zero, "+f.String(), f, func(b *bench) {
				// A payload word chosen so that the checksum comes out as zero, on
				// arrival and then on leaving.
				s := f.Frame()
				s.Payload = s.Payload[:len(s.Payload)&^1]
				l4 := s.L2Len() + s.L3Len() - len(s.Payload) - 8
				for _, want := range []func(frame.Spec) frame.Spec{func(s frame.Spec) frame.Spec { return s }, f.Forwarded} {
					s := s
					s.Payload = append([]byte{0, 0}, s.Payload...)
					view := want(s).MustBuild()
					copy(s.Payload, view[l4+6:l4+8])
					if view = want(s).MustBuild(); view[l4+6] != 0xff || view[l4+7] != 0xff {
						b.Fatalf("checksum %x, meant to be ffff", view[l4+6:l4+8])
					}
					b.wantForwarded("computed as zero", f, s, f.Forwarded(s))
				}
			})
		}
	}
	// RFC 8200 forbids zero over IPv6, RFC 6935 allows it for tunnels: the kernel
	// may have it, but nobody may invent a checksum.
	f := Flow{N: 1, Family: hwif.IPv6, Proto: hwif.ProtoUDP, NAT: BothNAT, In: b.in(), Out: b.out(), caps: &b.caps}
	b.with("none, "+f.String(), f, func(b *bench) {
		s := f.Frame()
		s.NoChecksum = true
		b.eitherWay("no checksum", f, s.MustBuild(), f.Forwarded(s).MustBuild())
	})
}

// eitherWay injects a frame that the kernel may have; when it is forwarded, it
// must leave as one of want.
func (b *bench) eitherWay(what string, f Flow, in []byte, want ...[]byte) {
	b.Helper()
	if len(in) < b.h.MinFrame {
		return
	}
	out := b.h.Inject(f.In.Ifindex, bytes.Clone(in))
	if f.drops() && out.Verdict == Dropped {
		return
	}
	switch out.Verdict {
	case ToKernel:
		if out.Frame != nil && !bytes.Equal(out.Frame, in) {
			b.Errorf("%s: the kernel got another frame:\n%s", what, frame.Diff(out.Frame, in))
		}
	case Forwarded:
		for _, w := range want {
			if bytes.Equal(out.Frame, w) && out.Port == f.Out.Ifindex {
				return
			}
		}
		b.Errorf("%s: left by port %d\n%s", what, out.Port, frame.Diff(out.Frame, want[0]))
	default:
		b.Errorf("%s: %s", what, out.Verdict)
	}
}

// testBadChecksum: a broken checksum must stay exactly as wrong as it came, so
// that the receiver still finds the damage; or the frame is the kernel's.
func testBadChecksum(b *bench) {
	for _, f := range b.kinds() {
		f = b.able(f, BothNAT)
		b.with(f.String(), f, func(b *bench) {
			s := f.Frame()
			in, want := s.MustBuild(), f.Forwarded(s).MustBuild()
			l3 := s.L2Len()
			l4 := len(in) - len(s.Payload) - 2 // UDP's checksum
			if f.Proto == hwif.ProtoTCP {
				l4 = len(in) - len(s.Payload) - 4
			}
			for _, delta := range []uint16{1, 2, 0x00ff, 0x0100, 0x7fff, 0x8000, 0xfffe} {
				b.eitherWay("bad L4 checksum", f, bent(in, l4, delta), bent(want, l4, delta))
				if f.Family == hwif.IPv4 {
					b.eitherWay("bad IPv4 header checksum", f, bent(in, l3+10, delta), bent(want, l3+10, delta))
				}
			}
		})
	}
}

// bent is the frame with delta added to the checksum at offset at, in one's
// complement.
func bent(raw []byte, at int, delta uint16) []byte {
	out := bytes.Clone(raw)
	sum := uint32(binary.BigEndian.Uint16(out[at:])) + uint32(delta)
	binary.BigEndian.PutUint16(out[at:], uint16(sum+sum>>16))
	return out
}

// testPadding: bytes behind the IP packet mean nothing. They may be kept, or
// stripped as the kernel does, or the frame is the kernel's; they must not end up
// in a checksum or a counter.
func testPadding(b *bench) {
	for _, f := range b.kinds() {
		f = b.able(f, SNAT)
		b.with(f.String(), f, func(b *bench) {
			for pad := 1; pad <= 18; pad++ {
				s := f.Frame()
				s.Payload, s.Pad = []byte{0xa5}, pad
				kept, bare := f.Forwarded(s), f.Forwarded(s)
				bare.Pad = 0
				short := bare.MustBuild() // stripped, then padded by the egress NIC to Ethernet's least
				for len(short) < 60 {
					short = append(short, 0)
				}
				b.eitherWay("padded", f, s.MustBuild(), kept.MustBuild(), bare.MustBuild(), short)
			}
		})
	}
}
