package main

import (
	"bytes"
	"strings"
	"testing"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func TestOnATerminalTheTableIsDrawnOverItself(t *testing.T) {
	var b bytes.Buffer
	s := &screen{w: &b, tty: true, width: func() int { return 4 }}
	s.Draw("a\nbcdefg\n")
	s.Say("hello")
	const want = "a\nbcde\n" + "\x1b[2A\x1b[J" + "hello\n" + "a\nbcde\n"
	if got := b.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestElsewhereTheTableIsPrintedOnlyWhenAskedFor(t *testing.T) {
	var b bytes.Buffer
	s := &screen{w: &b}
	s.Draw("a\n")
	s.Say("hello")
	s.Snapshot()
	if got, want := b.String(), "hello\n\n   a\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOneBrokenPromiseFailsTheDemo(t *testing.T) {
	var b bytes.Buffer
	l := &ledger{s: &screen{w: &b}}
	l.Check(true, "this held")
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	l.Check(false, "%d packets", 7)
	if err := l.Err(); err == nil || !strings.Contains(err.Error(), "7 packets") {
		t.Errorf("Err() = %v", err)
	}
	if !strings.Contains(b.String(), "BROKEN 7 packets") {
		t.Errorf("printed %q", b.String())
	}
}

func TestTheTableHasALineForEachDirection(t *testing.T) {
	got := table([]*shuntv1.Flow{{
		Uid: 1, State: shuntv1.State_STATE_REJECTED, Reasons: []shuntv1.Reason{shuntv1.Reason_REASON_CLOSING}, Snat: true, Pinned: true,
		Orig: &shuntv1.Direction{
			Tuple: &shuntv1.Tuple{Proto: "udp", Src: "2001:db8::1", SrcPort: 1, Dst: "2001:db8::2", DstPort: 2},
			Route: &shuntv1.Route{OutPort: "wan0", Nexthop: "2001:db8::3", DstMac: "02:00:00:00:00:01"},
			Nic:   &shuntv1.Counter{Packets: 1_234_567, Bytes: 1_500_000_000},
		},
		Reply: &shuntv1.Direction{Tuple: &shuntv1.Tuple{Proto: "udp", Src: "2001:db8::2", SrcPort: 2, Dst: "2001:db8::1", DstPort: 1}},
	}, {
		Orig: &shuntv1.Direction{Tuple: &shuntv1.Tuple{Proto: "icmp"}}, Reply: &shuntv1.Direction{},
	}})
	lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), got)
	}
	for i, want := range [][]string{
		{"FLOW", "BY THE KERNEL", "BY THE NIC"},
		{"udp [2001:db8::1]:1 > [2001:db8::2]:2", "rejected pinned", "wan0 via 2001:db8::3 02:00:00:00:00:01 nat", "1 234 567 pk 1.50 GB"},
		{"[2001:db8::2]:2 > [2001:db8::1]:1", "closing", "-"},
	} {
		for _, w := range want {
			if !strings.Contains(lines[i], w) {
				t.Errorf("line %d lacks %q: %q", i, w, lines[i])
			}
		}
	}
}
