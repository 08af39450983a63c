//go:build netns

package conntrack

import (
	"net/netip"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

func kinds(cs []flow.Conn) (s string) {
	for _, c := range cs {
		s += c.Kind.String() + " " + c.Entry.TCPState.String() + "; "
	}
	return s
}

// A connection's life, as the router tells it: created, confirmed by the other
// side, assured, closed, gone, in this order and with the NAT in the tuples.
func TestFollowTCP(t *testing.T) {
	for _, tc := range []struct{ name, to string }{
		{"plain", "10.78.1.2:8000"}, {"dnat", "10.78.1.100:8000"}, {"dnat and masquerade", "10.78.1.100:9000"},
		{"ipv6", "[fd78:0:0:1::2]:8000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			l.listen(":8000")
			l.listen(":9000")
			tr := l.open(Options{SetEvents: true, Counters: true})
			tp := l.run(tr)
			tp.until("first listing", func() bool { return tp.synced() == 1 })

			c, tup := l.dial("tcp", tc.to)
			say(t, c, "hello")
			tp.until("an assured entry", func() bool {
				cs := tp.conns(tup)
				return len(cs) > 0 && cs[len(cs)-1].Entry.Status&flow.StatusAssured != 0
			})
			e := tp.conns(tup)[len(tp.conns(tup))-1].Entry
			if why := flow.Eligible(&e); why != 0 {
				t.Errorf("an established connection is not eligible: %v", why.List())
			}
			got, ok, err := tr.Get(tup)
			if err != nil || !ok || got.Orig != e.Orig || got.Reply != e.Reply || got.ID != e.ID {
				t.Errorf("Get = %+v %v %v, event said %+v", got, ok, err, e)
			}
			if got.Has&flow.HasCounters == 0 || got.Packets[0] == 0 || got.Bytes[1] == 0 {
				t.Errorf("no counters in %+v", got)
			}
			if back, ok, err := tr.Get(e.Reply); err != nil || !ok || back.Orig != tup {
				t.Errorf("Get by reply tuple = %+v %v %v", back, ok, err)
			}
			checkNAT(t, tc.name, e)

			// Deleted before the last segment, the entry would be picked up anew by it.
			c.Close()
			tp.until("both sides to close", func() bool {
				cs := tp.conns(tup)
				return cs[len(cs)-1].Entry.TCPState == flow.TCPTimeWait
			})
			l.ct("-D -p tcp")
			tp.until("the end", func() bool {
				cs := tp.conns(tup)
				return cs[len(cs)-1].Kind == flow.ConnDestroy
			})
			checkLife(t, tp.conns(tup))
			if _, ok, err := tr.Get(tup); ok || err != nil {
				t.Errorf("Get after the end = %v %v", ok, err)
			}
			if s := tr.Stats(); s.Malformed != 0 || s.Losses != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func checkNAT(t *testing.T, name string, e flow.Entry) {
	t.Helper()
	server := netip.MustParseAddr("10.78.1.2")
	router := netip.MustParseAddr("10.78.1.1")
	snat, dnat := e.NAT()
	switch name {
	case "plain", "ipv6":
		if snat || dnat || e.Reply != e.Orig.Reversed() {
			t.Errorf("NAT without a rule: %+v", e)
		}
	case "dnat":
		if snat || !dnat || e.Reply.SrcAddr() != server {
			t.Errorf("want dnat to %v alone: %+v", server, e)
		}
	default:
		if !snat || !dnat || e.Reply.SrcAddr() != server || e.Reply.DstAddr() != router {
			t.Errorf("want both NATs: %+v", e)
		}
	}
}

// checkLife holds a complete history against what a kernel can say.
func checkLife(t *testing.T, cs []flow.Conn) {
	t.Helper()
	if len(cs) < 5 || cs[0].Kind != flow.ConnNew || cs[len(cs)-1].Kind != flow.ConnDestroy {
		t.Fatalf("history %s", kinds(cs))
	}
	state := flow.TCPNone
	for i, c := range cs {
		if i > 0 && (c.Kind == flow.ConnNew || c.At < cs[i-1].At) {
			t.Errorf("step %d of %s", i, kinds(cs))
		}
		if i < len(cs)-1 && c.Entry.Has&flow.HasTCP != 0 {
			if c.Entry.TCPState < state {
				t.Errorf("tcp state went back at step %d of %s", i, kinds(cs))
			}
			state = c.Entry.TCPState
		}
	}
}

func TestFollowUDP(t *testing.T) {
	l := newLab(t)
	l.listen(":8000")
	tr := l.open(Options{SetEvents: true})
	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	c, tup := l.dial("udp", "10.78.1.100:8000")
	say(t, c, "hello")
	tp.until("the reply", func() bool {
		cs := tp.conns(tup)
		return len(cs) == 2 && cs[1].Entry.Status&flow.StatusSeenReply != 0
	})
	if e := tp.conns(tup)[1].Entry; e.Orig.Proto != hwif.ProtoUDP || e.Has&flow.HasTCP != 0 || e.Timeout == 0 {
		t.Errorf("entry %+v", e)
	}
}
