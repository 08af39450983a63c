//go:build netns

package conntrack

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var record = flag.Bool("record", false, "write testdata/recorded.txt anew from this kernel")

// TestRecordedMessagesAreReal makes the traffic whose messages recorded.txt
// holds, and decodes what this kernel sends for it; with -record it writes them.
func TestRecordedMessagesAreReal(t *testing.T) {
	l := newLab(t)
	l.listen(":8000")
	l.listen(":9000")
	l.sh("ip netns exec %s sysctl -qw net.netfilter.nf_conntrack_events=1 net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1", l.router)
	l.nft(`table inet ctkraw {
		chain setzone { type filter hook prerouting priority raw; iifname "rc" udp dport 8000 ct zone set 7; iifname "rc" tcp dport 8000 ip6 daddr fd78:0:0:1::2 ct original zone set 9; }
		chain setmark { type filter hook forward priority filter; tcp dport 9000 ct mark set 0x80000005; tcp dport 8000 ct label set 1; }
	}`)
	var ev, dump *socket
	var err, err2 error
	in(t, l.router, func() {
		ev, err = newSocket(bufCount, bufLen)
		dump, err2 = newSocket(1, dumpLen)
	})
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	defer ev.close()
	defer dump.close()
	if _, err := ev.growBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	if err := ev.join(unix.NFNLGRP_CONNTRACK_NEW, unix.NFNLGRP_CONNTRACK_UPDATE, unix.NFNLGRP_CONNTRACK_DESTROY); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.78.1.2:8000", "10.78.1.100:9000", "[fd78:0:0:1::2]:8000", "[fd78:0:0:1::2]:9000"} {
		c, _ := l.dial("tcp", to)
		say(t, c, "hello")
		u, _ := l.dial("udp", to)
		say(t, u, "hello")
	}
	l.sh("ip netns exec %s ping -c1 -W2 10.78.1.2", l.client)
	l.sh("ip netns exec %s ping -c1 -W2 fd78:0:0:1::2", l.client)

	var out []string
	keep := func(what string, datagrams [][]byte) {
		for _, d := range datagrams {
			for len(d) > 0 {
				_, msg, rest, err := nextMessage(d)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, fmt.Sprintf("%s %s", what, hex.EncodeToString(msg)))
				d = rest
			}
		}
	}
	if err := dump.send(appendDump(nil, 1, false)); err != nil {
		t.Fatal(err)
	}
	for {
		ds, err := dump.recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(ds) == 0 {
			break
		}
		keep("listed", ds)
	}
	l.ct("-D -f ipv4")
	l.ct("-D -f ipv6")
	for {
		ds, err := ev.recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(ds) == 0 {
			break
		}
		keep("event", ds)
	}
	entries := 0
	for _, line := range out {
		entries += decodesLike(t, line)
	}
	if entries < 40 {
		t.Errorf("only %d entries in %d messages", entries, len(out))
	}
	if *record {
		text := "# ctnetlink messages as a little-endian kernel sent them, one a line: event or listed, and its bytes.\n" +
			strings.Join(out, "\n") + "\n"
		if err := os.WriteFile("testdata/recorded.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
