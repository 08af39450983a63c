package hwiftest

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest/frame"
)

// testToKernel walks flows through frames that the device must leave alone.
func testToKernel(b *bench) {
	for _, k := range b.kinds() {
		for _, vlan := range []hwif.VLAN{0, 100} {
			f := k
			f.InVLAN = vlan
			f = b.able(f, SNAT)
			b.with(f.String(), f, func(b *bench) {
				b.strangeL2(f)
				b.strangeIP(f)
				b.strangeL4(f)
				// What is dropped is dropped whole: only what is forwarded can be wrong.
				if (b.caps.Guarded || b.caps.GuardsTTL) && !f.drops() {
					b.lastHops(f)
				}
				if b.caps.Guarded && !f.drops() {
					b.guarded(f)
				}
				s := f.Frame()
				b.wantForwarded("plain frame after all", f, s, f.Forwarded(s))
				if f.Proto == hwif.ProtoTCP && b.caps.Fields.Has(hwif.FieldTCPFlags) {
					b.closing(f)
				}
			})
		}
	}
}

// lastHops are frames whose way ends at the router.
func (b *bench) lastHops(f Flow) {
	b.Helper()
	for _, ttl := range []uint8{0, 1} {
		b.kernel(fmt.Sprintf("ttl %d", ttl), f, func(s *frame.Spec) { s.TTL = ttl })
	}
}

// open reports whether the device does not hold to a field in every frame, or has
// no such field: then the suite asks nothing of frames that differ in it.
func (b *bench) open(f hwif.Field) bool { return b.caps.Loose.Has(f) || !b.caps.Fields.Has(f) }

// kernel edits a plain frame's Spec and wants the result left alone.
func (b *bench) kernel(what string, f Flow, edit func(s *frame.Spec)) {
	b.Helper()
	s := f.Frame()
	edit(&s)
	b.wantKernel(what, f.In.Ifindex, s.MustBuild())
}

// kernelRaw edits a plain frame's bytes: eth is the whole frame, ip what follows
// the Ethernet header and tags.
func (b *bench) kernelRaw(what string, f Flow, edit func(eth, ip []byte)) {
	b.Helper()
	s := f.Frame()
	raw := s.MustBuild()
	edit(raw, raw[s.L2Len():])
	b.wantKernel(what, f.In.Ifindex, raw)
}

func (b *bench) strangeL2(f Flow) {
	b.Helper()
	macs := []hwif.MAC{{2, 9, 9, 9, 9, 9}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {1, 0, 0x5e, 0, 0, 1}, f.Out.MAC, {}}
	for i := range 6 { // one bit off in each byte
		m := f.In.MAC
		m[i] ^= 2
		macs = append(macs, m)
	}
	for _, m := range macs {
		if m != f.In.MAC {
			b.kernel("to "+m.String(), f, func(s *frame.Spec) { s.EthDst = m })
		}
	}
	b.wantKernel("by another port", f.Out.Ifindex, f.Frame().MustBuild())
	b.tags(f)
	other := map[hwif.Family]uint16{hwif.IPv4: 0x86dd, hwif.IPv6: 0x0800}[f.Family]
	for _, et := range []uint16{other, 0x0806, 0x8847, 0x8863, 0x88cc, 0x0000, 64} { // 64: an 802.3 length
		b.kernelRaw(fmt.Sprintf("ethertype 0x%04x", et), f, func(eth, ip []byte) {
			binary.BigEndian.PutUint16(eth[len(eth)-len(ip)-2:], et)
		})
	}
}

// tags are frames with other tags than the rule's.
func (b *bench) tags(f Flow) {
	b.Helper()
	if f.InVLAN != 0 {
		b.kernel("untagged", f, func(s *frame.Spec) { s.Tags = nil })
		b.kernel("another VLAN", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{VID: 999}} })
	}
	if b.open(hwif.FieldVLAN) {
		return
	}
	b.kernel("other VLAN", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{VID: 999}} })
	b.kernel("VLAN id 0", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{VID: 0, PCP: 5}} })
	for _, tpid := range []uint16{frame.TPID8021Q, frame.TPID8021AD} {
		b.kernel("two tags", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{TPID: tpid, VID: 100}, {VID: 100}} })
		b.kernel("two tags, inner fits", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{TPID: tpid, VID: 999}, {VID: 100}} })
		b.kernel("two tags, outer fits", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{TPID: tpid, VID: 100}, {VID: 999}} })
	}
	b.kernel("three tags", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{VID: 100}, {VID: 100}, {VID: 100}} })
	b.kernel("802.1ad tag", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{TPID: frame.TPID8021AD, VID: 100}} })
	if f.InVLAN == 0 {
		b.kernel("tagged", f, func(s *frame.Spec) { s.Tags = []frame.Tag{{VID: 100}} })
	}
}

func (b *bench) strangeIP(f Flow) {
	b.Helper()
	flip := func(what string, edit func(s *frame.Spec)) { b.kernel(what, f, edit) }
	src, dst, natSrc, natDst := f.addrs()
	flip("other source", func(s *frame.Spec) { s.Src = natSrc })
	flip("other destination", func(s *frame.Spec) { s.Dst = natDst })
	flip("the way back", func(s *frame.Spec) { s.Src, s.Dst, s.SrcPort, s.DstPort = dst, src, dport, sport })
	for _, proto := range []uint8{1, 2, 47, 50, 58, 132, 136} {
		flip("protocol "+hwif.ProtoName(proto), func(s *frame.Spec) { s.Proto = proto })
	}
	for v := range byte(16) {
		if v != byte(f.Family) {
			b.kernelRaw(fmt.Sprintf("IP version %d", v), f, func(_, ip []byte) { ip[0] = v<<4 | ip[0]&15 })
		}
	}
	if b.open(hwif.FieldNotFrag) {
		return
	}
	if f.Family == hwif.IPv4 {
		flip("first fragment", func(s *frame.Spec) { s.DF, s.MF = false, true })
		flip("middle fragment", func(s *frame.Spec) { s.DF, s.MF, s.FragOff = false, true, 100 })
		flip("last fragment", func(s *frame.Spec) { s.DF, s.FragOff = false, 100 })
		flip("fragment at 1", func(s *frame.Spec) { s.FragOff = 1 })
		flip("fragment at the end", func(s *frame.Spec) { s.FragOff = 0x1fff })
		return
	}
	for _, fr := range []struct {
		what string
		off  uint16 // offset, reserved bits and M as they stand on the wire
	}{{"first fragment", 1}, {"middle fragment", 100<<3 | 1}, {"last fragment", 100 << 3}, {"atomic fragment", 0}} {
		flip(fr.what, func(s *frame.Spec) {
			s.Ext, s.ExtProto = [][]byte{{0, 0, byte(fr.off >> 8), byte(fr.off), 1, 2, 3, 4}}, []uint8{44}
		})
	}
}

func (b *bench) strangeL4(f Flow) {
	b.Helper()
	b.kernel("other source port", f, func(s *frame.Spec) { s.SrcPort++ })
	b.kernel("other destination port", f, func(s *frame.Spec) { s.DstPort++ })
	b.kernel("ports swapped", f, func(s *frame.Spec) { s.SrcPort, s.DstPort = dport, sport })
	b.kernel("the other protocol", f, func(s *frame.Spec) { s.Proto ^= hwif.ProtoTCP ^ hwif.ProtoUDP })
}

// closing are the segments that open and end a connection. A device that holds
// the connection back after them lets it go on when nobody took its rules away.
func (b *bench) closing(f Flow) {
	b.Helper()
	const ends = int(hwif.TCPSyn | hwif.TCPFin | hwif.TCPRst)
	for flags := range 256 {
		if flags&ends != 0 {
			b.kernel(fmt.Sprintf("tcp flags 0x%02x", flags), f, func(s *frame.Spec) { s.Flags = uint8(flags) })
		}
	}
	s := f.Frame()
	if b.h.Hold > 0 && !b.heldBack(f, s) {
		b.Errorf("after a FIN the connection's other segments are not left to the kernel")
	}
	for range 100 {
		if b.h.Inject(f.In.Ifindex, s.MustBuild()).Verdict != ToKernel {
			break
		}
		time.Sleep(b.h.Hold/10 + time.Millisecond)
	}
	b.wantForwarded("plain frame after the hold", f, s, f.Forwarded(s))
}

// heldBack tries more than once: the machine may sleep through the hold.
func (b *bench) heldBack(f Flow, s frame.Spec) bool {
	fin := s
	fin.Flags |= hwif.TCPFin
	for range 20 {
		b.wantKernel("a FIN", f.In.Ifindex, fin.MustBuild())
		if b.h.Inject(f.In.Ifindex, s.MustBuild()).Verdict == ToKernel {
			return true
		}
	}
	return false
}

// guarded are the frames that Caps.Guarded promises to leave alone.
func (b *bench) guarded(f Flow) {
	b.Helper()
	for _, over := range []int{1, 2, 100, 1400} {
		b.kernel(fmt.Sprintf("%d bytes above the MTU", over), f, func(s *frame.Spec) {
			s.Payload = nil
			s.Payload = make([]byte, int(f.mtu())-s.L3Len()+over)
		})
	}
	if f.Family == hwif.IPv4 {
		b.kernel("router alert", f, func(s *frame.Spec) { s.Options = []byte{148, 4, 0, 0} })
		b.kernel("ten words of no-op", f, func(s *frame.Spec) {
			s.Options = []byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
		})
		for _, ihl := range []byte{0, 4, 6, 15} {
			b.kernelRaw(fmt.Sprintf("ihl %d", ihl), f, func(_, ip []byte) { ip[0] = 4<<4 | ihl })
		}
	} else {
		pad := []byte{0, 0, 1, 4, 0, 0, 0, 0} // PadN
		for _, p := range []uint8{0, 60, 43, 51, 135, 139, 140, 59} {
			b.kernel(fmt.Sprintf("extension header %d", p), f, func(s *frame.Spec) { s.Ext, s.ExtProto = [][]byte{pad}, []uint8{p} })
		}
		b.kernel("two extension headers", f, func(s *frame.Spec) { s.Ext, s.ExtProto = [][]byte{pad, pad}, []uint8{0, 60} })
	}
	b.lengths(f)
}

// lengths are headers that contradict each other. Conntrack calls such packets
// invalid (nf_conntrack_proto_udp.c, nf_conntrack_proto_tcp.c).
func (b *bench) lengths(f Flow) {
	b.Helper()
	s := f.Frame()
	whole, l3 := uint16(s.L3Len()), 20
	at := 2 // of the length in the IP header
	if f.Family == hwif.IPv6 {
		whole, l3, at = whole-40, 40, 4
	}
	short := map[uint8]uint16{hwif.ProtoTCP: 19, hwif.ProtoUDP: 7}[f.Proto]
	if f.Family == hwif.IPv4 {
		short += 20
	}
	for _, n := range []uint16{0, 1, short, whole + 1, whole + 100, 0xffff} {
		b.kernelRaw(fmt.Sprintf("IP length %d of %d", n, whole), f, func(_, ip []byte) { binary.BigEndian.PutUint16(ip[at:], n) })
	}
	if f.Proto == hwif.ProtoUDP {
		n := uint16(8 + len(s.Payload))
		for _, n := range []uint16{0, 7, n + 1, 0xffff} {
			b.kernelRaw(fmt.Sprintf("UDP length %d", n), f, func(_, ip []byte) { binary.BigEndian.PutUint16(ip[l3+4:], n) })
		}
		return
	}
	for _, doff := range []byte{0, 4} {
		b.kernelRaw(fmt.Sprintf("TCP data offset %d", doff), f, func(_, ip []byte) { ip[l3+12] = doff<<4 | ip[l3+12]&15 })
	}
	s.Payload = nil
	raw := s.MustBuild()
	raw[s.L2Len()+l3+12] = 6 << 4
	b.wantKernel("TCP header longer than the packet", f.In.Ifindex, raw)
}

// testTruncated cuts a frame at every byte. Headers go on telling the full length.
func testTruncated(b *bench) {
	for _, k := range b.kinds() {
		for _, vlan := range []hwif.VLAN{0, 100} {
			f := k
			f.InVLAN = vlan
			b.with(f.String(), f, func(b *bench) {
				raw := f.Frame().MustBuild()
				for n := range raw {
					if n >= 60 && !b.caps.Guarded {
						break // a card that compares headers alone cannot tell
					}
					b.wantKernel(fmt.Sprintf("cut to %d of %d bytes", n, len(raw)), f.In.Ifindex, raw[:n])
				}
			})
		}
	}
}
