package frame_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest/frame"
)

// TestBuild holds Build against a frame whose bytes were worked out by hand, so
// that not everything rests on gopacket.
func TestBuild(t *testing.T) {
	s := frame.Spec{EthDst: hwif.MAC{2, 0, 0, 0, 0, 1}, EthSrc: hwif.MAC{2, 0, 0, 0, 0, 2}, Tags: []frame.Tag{{VID: 100, PCP: 3}},
		Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), TTL: 64, DF: true,
		Proto: hwif.ProtoUDP, SrcPort: 1, DstPort: 2, Payload: []byte{0xab}, Pad: 2}
	want := "020000000001" + "020000000002" + "8100" + "6064" + "0800" +
		"4500001d" + "00004000" + "401126ce" + "0a000001" + "0a000002" + // 4500+001d+4000+4011+0a00+0001+0a00+0002 = d931
		"00010002" + "0009" + "40d6" + "ab" + // 0a00+0001+0a00+0002+0011+0009 +0001+0002+0009+ab00 = bf29
		"a5a5"
	if got := hex.EncodeToString(s.MustBuild()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := frame.Spec{EthDst: hwif.MAC{2, 0, 0, 0, 0, 1}, EthSrc: hwif.MAC{2, 0, 0, 0, 0, 2},
			TOS: rapid.Byte().Draw(t, "tos"), TTL: rapid.Byte().Draw(t, "ttl"),
			Proto: rapid.SampledFrom([]uint8{hwif.ProtoTCP, hwif.ProtoUDP}).Draw(t, "proto"),
			// Ports that gopacket knows would be taken apart further.
			SrcPort: rapid.Uint16Range(40000, 45000).Draw(t, "sport"), DstPort: rapid.Uint16Range(40000, 45000).Draw(t, "dport"),
			Payload: rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "payload"), Pad: rapid.IntRange(0, 20).Draw(t, "pad")}
		for range rapid.IntRange(0, 2).Draw(t, "tags") {
			s.Tags = append(s.Tags, frame.Tag{VID: hwif.VLAN(rapid.IntRange(0, 4094).Draw(t, "vid"))})
		}
		if rapid.Bool().Draw(t, "six") {
			s.Src, s.Dst, s.FlowLabel = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), rapid.Uint32Range(0, 1<<20-1).Draw(t, "label")
		} else {
			s.Src, s.Dst, s.DF, s.ID = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), true, rapid.Uint16().Draw(t, "id")
		}
		if s.Proto == hwif.ProtoTCP {
			s.Seq, s.AckNo, s.Window, s.Flags = 1, 2, 3, rapid.Byte().Draw(t, "flags")
		} else {
			s.NoChecksum = rapid.Bool().Draw(t, "no checksum")
		}
		raw := s.MustBuild()
		got, err := frame.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Fatalf("Parse (-want +got):\n%s", d)
		}
		if again := got.MustBuild(); !bytes.Equal(again, raw) {
			t.Fatal(frame.Diff(again, raw))
		}
	})
}

func TestBuildRefuses(t *testing.T) {
	four, six := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	for want, s := range map[string]frame.Spec{
		"not of one family": {Src: four, Dst: six},
		"in fours":          {Src: four, Dst: four, Options: []byte{1}},
		"does not fit":      {Src: four, Dst: four, Options: []byte{148, 9, 0, 0}},
		"on an IPv4 frame":  {Src: four, Dst: four, Ext: [][]byte{{0}}},
		"on an IPv6 frame":  {Src: six, Dst: six, Options: []byte{1, 1, 1, 1}},
		"with 0 numbers":    {Src: six, Dst: six, Ext: [][]byte{{0}}},
	} {
		if _, err := s.Build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestDiff(t *testing.T) {
	s := frame.Spec{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Proto: hwif.ProtoUDP, TTL: 9}
	a := s.MustBuild()
	s.TTL = 8
	b := s.MustBuild()
	if d := frame.Diff(a, a); d != "" {
		t.Errorf("equal frames differ: %s", d)
	}
	if d := frame.Diff(a, b); !strings.Contains(d, "byte 22: 09, want 08") || !strings.Contains(d, "ttl 9") {
		t.Errorf("diff: %s", d)
	}
	if d := frame.Diff(a[:20], a); !strings.Contains(d, "length 20, want 42") || !strings.Contains(d, "broken") {
		t.Errorf("diff: %s", d)
	}
}
