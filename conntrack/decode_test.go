package conntrack

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	timo "github.com/ti-mo/conntrack"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

var update = flag.Bool("update", false, "write testdata/recorded.golden anew")

// recorded gives the lines of recorded.txt. Headers and attribute lengths are in
// the byte order of the machine that recorded them.
func recorded(tb testing.TB) []string {
	tb.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		tb.Skip("recorded.txt is little-endian and this machine is not")
	}
	raw, err := os.ReadFile("testdata/recorded.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	if len(out) < 40 {
		tb.Fatalf("recorded.txt has only %d messages", len(out))
	}
	return out
}

func bytesOf(tb testing.TB, line string) []byte {
	tb.Helper()
	_, h, ok := strings.Cut(line, " ")
	b, err := hex.DecodeString(h)
	if !ok || err != nil {
		tb.Fatalf("line %q: %v", line, err)
	}
	return b
}

func show(e *flow.Entry) string {
	s := fmt.Sprintf("%v | %v | status %#x id %08x", e.Orig, e.Reply, e.Status, e.ID)
	if e.Has&flow.HasTCP != 0 {
		s += fmt.Sprintf(" %v flags %#x/%#x", e.TCPState, e.TCPFlags[0], e.TCPFlags[1])
	}
	if e.Has&flow.HasTimeout != 0 {
		s += fmt.Sprintf(" timeout %d", e.Timeout)
	}
	if e.Has&flow.HasMark != 0 {
		s += fmt.Sprintf(" mark %#x", e.Mark)
	}
	if e.Has&flow.HasCounters != 0 {
		s += fmt.Sprintf(" packets %v bytes %v", e.Packets, e.Bytes)
	}
	if e.Has&flow.HasStart != 0 {
		s += fmt.Sprintf(" start %d", e.Start)
	}
	return s + fmt.Sprintf(" has %#x", uint16(e.Has))
}

// Recorded messages come out as reviewed, and as another decoder reads them.
func TestDecodeRecorded(t *testing.T) {
	var got strings.Builder
	entries := 0
	for _, line := range recorded(t) {
		n := decodesLike(t, line)
		entries += n
		if n == 0 {
			continue
		}
		var e flow.Entry
		if err := Decode(bytesOf(t, line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		what, _, _ := strings.Cut(line, " ")
		fmt.Fprintf(&got, "%s %s\n", what, show(&e))
	}
	if *update {
		if err := os.WriteFile("testdata/recorded.golden", []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/recorded.golden")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("recorded.golden (-want +got):\n%s", d)
	}
}

// decodesLike holds Decode against ti-mo/conntrack for one recorded line and
// gives the number of entries in it: 0 for the end of a listing.
func decodesLike(tb testing.TB, line string) int {
	tb.Helper()
	msg := bytesOf(tb, line)
	h, _, _, err := nextMessage(msg)
	if err != nil {
		tb.Fatal(err)
	}
	if h.Type == nlmsgDoneType {
		return 0
	}
	var e flow.Entry
	if err := Decode(msg, &e); err != nil {
		tb.Fatalf("%s: %v", line, err)
	}
	want, err := oracle(msg)
	if err != nil {
		tb.Fatalf("%s: the other decoder: %v", line, err)
	}
	if d := cmp.Diff(want, comparable(e)); d != "" {
		tb.Errorf("%s (-other +ours):\n%s", line, d)
	}
	return 1
}

// comparable leaves out what the other decoder cannot tell: presence.
func comparable(e flow.Entry) flow.Entry {
	e.Has &= flow.HasTCP
	return e
}

// oracle reads a message with ti-mo/conntrack.
func oracle(msg []byte) (flow.Entry, error) {
	h, _, _, err := nextMessage(msg)
	if err != nil {
		return flow.Entry{}, err
	}
	var ev timo.Event
	err = ev.Unmarshal(netlink.Message{
		Header: netlink.Header{Length: uint32(len(msg)), Type: netlink.HeaderType(h.Type), Flags: netlink.HeaderFlags(h.Flags)},
		Data:   msg[headerLen:],
	})
	if err != nil {
		return flow.Entry{}, err
	}
	f := ev.Flow
	e := flow.Entry{
		Orig: tupleLike(f.TupleOrig, f.Zone), Reply: tupleLike(f.TupleReply, f.Zone),
		Packets: [2]uint64{f.CountersOrig.Packets, f.CountersReply.Packets},
		Bytes:   [2]uint64{f.CountersOrig.Bytes, f.CountersReply.Bytes},
		Status:  uint32(f.Status.Value), ID: f.ID, Mark: f.Mark, Timeout: f.Timeout,
	}
	if !f.Timestamp.Start.IsZero() && f.Timestamp.Start.UnixNano() != 0 {
		e.Start = uint64(f.Timestamp.Start.UnixNano())
	}
	if tcp := f.ProtoInfo.TCP; tcp != nil {
		e.Has = flow.HasTCP
		e.TCPState = flow.TCPState(tcp.State)
		e.TCPFlags = [2]uint8{uint8(tcp.OriginalFlags >> 8), uint8(tcp.ReplyFlags >> 8)}
	}
	return e, nil
}

func tupleLike(f timo.Tuple, zone uint16) flow.Tuple {
	t := flow.Tuple{SrcPort: f.Proto.SourcePort, DstPort: f.Proto.DestinationPort, Proto: f.Proto.Protocol, Zone: f.Zone}
	t.Src, t.Family = hwif.AddrFrom(f.IP.SourceAddress)
	t.Dst, _ = hwif.AddrFrom(f.IP.DestinationAddress)
	if t.Zone == 0 {
		t.Zone = zone
	}
	return t
}

// message builds one entry's message from attributes in the given order.
func message(family uint8, attrs ...[]byte) []byte {
	b, at := begin(nil, typeNew, 0, 0, family)
	for _, a := range attrs {
		b = append(b, a...)
	}
	return end(b, at)
}

func nested(typ uint16, parts ...[]byte) []byte {
	b, at := nest(nil, typ)
	for _, p := range parts {
		b = append(b, p...)
	}
	return endNest(b, at)
}

func tuple4(typ uint16, proto byte, sport, dport uint16) []byte {
	return nested(typ,
		nested(ctaTupleIP, attr(nil, ctaIPv4Src, 10, 0, 0, 1), attr(nil, ctaIPv4Dst, 10, 0, 0, 2)),
		nested(ctaTupleProto, attr(nil, ctaProtoNum, proto), attr16(nil, ctaProtoSrcPort, sport), attr16(nil, ctaProtoDstPort, dport)))
}

func TestDecodeOrderOfAttributesIsFree(t *testing.T) {
	orig, reply := tuple4(ctaTupleOrig, 6, 1, 2), tuple4(ctaTupleReply, 6, 2, 1)
	zone, status := attr16(nil, ctaZone, 5), attr32(nil, ctaStatus, 0xe)
	unknown := attr(nil, 99, 1, 2, 3)
	var a, b flow.Entry
	if err := Decode(message(2, orig, reply, zone, status, unknown), &a); err != nil {
		t.Fatal(err)
	}
	if err := Decode(message(2, unknown, status, zone, reply, orig), &b); err != nil {
		t.Fatal(err)
	}
	if a != b || a.Orig.Zone != 5 || a.Reply.Zone != 5 || a.Status != 0xe {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestDecodeZoneOfOneDirection(t *testing.T) {
	var e flow.Entry
	orig := nested(ctaTupleOrig, attr16(nil, ctaTupleZone, 9), tuple4(ctaTupleOrig, 17, 1, 2)[4:])
	if err := Decode(message(2, orig, tuple4(ctaTupleReply, 17, 2, 1)), &e); err != nil {
		t.Fatal(err)
	}
	if e.Orig.Zone != 9 || e.Reply.Zone != 0 {
		t.Errorf("zones %d %d", e.Orig.Zone, e.Reply.Zone)
	}
}

func TestDecodePresence(t *testing.T) {
	var e flow.Entry
	base := [][]byte{tuple4(ctaTupleOrig, 6, 1, 2), tuple4(ctaTupleReply, 6, 2, 1)}
	for _, tc := range []struct {
		attr []byte
		want flow.Has
	}{
		{nested(ctaHelp, attr(nil, 1, 'f', 't', 'p', 0)), flow.HasHelp},
		{nested(ctaSeqAdjOrig, attr32(nil, 1, 1)), flow.HasSeqAdj},
		{nested(ctaSeqAdjReply, attr32(nil, 1, 1)), flow.HasSeqAdj},
		{nested(ctaSynproxy, attr32(nil, 1, 1)), flow.HasSynproxy},
		{attr32(nil, ctaMark, 0), flow.HasMark},
		{attr32(nil, ctaTimeout, 0), flow.HasTimeout},
		{nested(ctaProtoinfo, nested(ctaProtoinfoTCP, attr(nil, ctaProtoinfoTCPState, 3))), flow.HasTCP},
		{nested(ctaProtoinfo, nested(3, attr(nil, 1, 3))), 0}, // SCTP's
		{nested(ctaTimestamp, attr(nil, ctaTimestampStart, 0, 0, 0, 0, 0, 0, 0, 1)), flow.HasStart},
	} {
		if err := Decode(message(2, append(base, tc.attr)...), &e); err != nil || e.Has != tc.want {
			t.Errorf("% x: has %#x, want %#x, %v", tc.attr, e.Has, tc.want, err)
		}
	}
}

// Each malformed attribute is refused by its name.
func TestDecodeNamesWhatIsMalformed(t *testing.T) {
	orig, reply := tuple4(ctaTupleOrig, 6, 1, 2), tuple4(ctaTupleReply, 6, 2, 1)
	ip := nested(ctaTupleIP, attr(nil, ctaIPv4Src, 10, 0, 0, 1), attr(nil, ctaIPv4Dst, 10, 0, 0, 2))
	proto := nested(ctaTupleProto, attr(nil, ctaProtoNum, 6), attr16(nil, ctaProtoSrcPort, 1), attr16(nil, ctaProtoDstPort, 2))
	bad := func(parts ...[]byte) []byte { return message(2, nested(ctaTupleOrig, parts...), reply) }
	plus := func(a []byte) []byte { return message(2, orig, reply, a) }
	for _, tc := range []struct {
		name string
		msg  []byte
	}{
		{"nfgenmsg", message(2)[:18]},
		{"CTA_TUPLE_ORIG", message(2, reply)},
		{"CTA_TUPLE_REPLY", message(2, orig)},
		{"CTA_TUPLE_REPLY", message(2, orig, tuple4(ctaTupleReply, 17, 2, 1))},
		{"CTA_TUPLE_ORIG", message(10, orig, reply)},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_IP", bad(proto)},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_PROTO", bad(ip)},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_IP/CTA_IP", bad(nested(ctaTupleIP, attr(nil, ctaIPv4Src, 1, 2, 3, 4)), proto)},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_IP/CTA_IP", bad(nested(ctaTupleIP, attr(nil, ctaIPv4Src, 1, 2, 3, 4), attr(nil, ctaIPv6Dst, make([]byte, 16)...)), proto)},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_IP/CTA_IP_V4_SRC", bad(nested(ctaTupleIP, attr(nil, ctaIPv4Src, 1, 2, 3)), proto)},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_IP/CTA_IP_V6_DST", bad(nested(ctaTupleIP, attr(nil, ctaIPv6Dst, 1, 2, 3, 4)), proto)},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_PROTO/CTA_PROTO_NUM", bad(ip, nested(ctaTupleProto, attr(nil, ctaProtoNum, 6, 6)))},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_PROTO/CTA_PROTO_SRC_PORT", bad(ip, nested(ctaTupleProto, attr(nil, ctaProtoSrcPort, 6)))},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_PROTO/CTA_PROTO_DST_PORT", bad(ip, nested(ctaTupleProto, attr(nil, ctaProtoDstPort, 1, 2, 3, 4)))},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_PROTO/CTA_PROTO_PORT", bad(ip, nested(ctaTupleProto, attr(nil, ctaProtoNum, 6)))},
		{"CTA_TUPLE_ORIG/CTA_TUPLE_ZONE", bad(ip, proto, attr(nil, ctaTupleZone, 1))},
		{"CTA_STATUS", plus(attr(nil, ctaStatus, 1))},
		{"CTA_TIMEOUT", plus(attr(nil, ctaTimeout, 1, 2, 3, 4, 5))},
		{"CTA_MARK", plus(attr(nil, ctaMark))},
		{"CTA_ID", plus(attr(nil, ctaID, 1, 2))},
		{"CTA_ZONE", plus(attr(nil, ctaZone, 1, 2, 3, 4))},
		{"CTA_PROTOINFO/CTA_PROTOINFO_TCP/CTA_PROTOINFO_TCP_STATE", plus(nested(ctaProtoinfo, nested(ctaProtoinfoTCP, attr(nil, 1, 1, 1))))},
		{"CTA_PROTOINFO/CTA_PROTOINFO_TCP/CTA_PROTOINFO_TCP_FLAGS", plus(nested(ctaProtoinfo, nested(ctaProtoinfoTCP, attr(nil, 4, 1))))},
		{"CTA_COUNTERS_ORIG/CTA_COUNTERS", plus(nested(ctaCountersOrig, attr(nil, 1, 1, 2, 3, 4)))},
		{"CTA_COUNTERS_REPLY/CTA_COUNTERS", plus(nested(ctaCountersReply, attr(nil, 2, 1)))},
		{"CTA_TIMESTAMP/CTA_TIMESTAMP_START", plus(nested(ctaTimestamp, attr(nil, 1, 1)))},
		{"nlattr", plus([]byte{3, 0, 1, 0})},
		{"nlattr", plus([]byte{200, 0, 1, 0})},
		{"nlattr", plus([]byte{1, 2})},
		{"CTA_PROTOINFO/nlattr", plus(nested(ctaProtoinfo, []byte{2, 0, 1, 0}))},
	} {
		var e flow.Entry
		err := Decode(tc.msg, &e)
		var de *DecodeError
		if !errors.As(err, &de) || de.Attr != tc.name {
			t.Errorf("want %s, got %v", tc.name, err)
		}
	}
}

func TestNextMessage(t *testing.T) {
	two := append(message(2, attr(nil, 1, 1)), message(10)...)
	h, msg, rest, err := nextMessage(two)
	if err != nil || h.Type != typeNew || len(msg) != 28 || len(rest) != 20 {
		t.Fatalf("%+v %d %d %v", h, len(msg), len(rest), err)
	}
	for _, b := range [][]byte{{}, two[:15], {255, 0, 0, 0, 15: 0}, {15, 0, 0, 0, 15: 0}} {
		if _, _, _, err := nextMessage(b); err == nil {
			t.Errorf("% x was taken for a message", b)
		}
	}
}
