package flow_test

import (
	"net/netip"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

func tuple(proto uint8, src, dst string) flow.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	t := flow.Tuple{Proto: proto, SrcPort: s.Port(), DstPort: d.Port()}
	t.Src, t.Family = hwif.AddrFrom(s.Addr())
	t.Dst, _ = hwif.AddrFrom(d.Addr())
	return t
}

// settled is a TCP entry that nothing speaks against.
func settled() flow.Entry {
	t := tuple(hwif.ProtoTCP, "10.0.0.1:4000", "192.0.2.1:80")
	return flow.Entry{Orig: t, Reply: t.Reversed(), Has: flow.HasTCP, TCPState: flow.TCPEstablished,
		Status: flow.StatusConfirmed | flow.StatusSeenReply | flow.StatusAssured}
}

func TestEligible(t *testing.T) {
	cases := []struct {
		name   string
		change func(*flow.Entry)
		want   flow.Reasons
	}{
		{"settled", func(*flow.Entry) {}, 0},
		{"child of a helper", func(e *flow.Entry) { e.Status |= flow.StatusExpected }, 0},
		{"translated", func(e *flow.Entry) { e.Status |= flow.StatusSrcNAT | flow.StatusSrcNATDone }, 0},
		{"udp", func(e *flow.Entry) { e.Orig.Proto, e.Reply.Proto, e.Has = hwif.ProtoUDP, hwif.ProtoUDP, 0 }, 0},
		{"not assured", func(e *flow.Entry) { e.Status &^= flow.StatusAssured }, flow.Of(flow.NotEstablished)},
		{"no reply", func(e *flow.Entry) { e.Status &^= flow.StatusSeenReply }, flow.Of(flow.NotEstablished)},
		{"unconfirmed", func(e *flow.Entry) { e.Status &^= flow.StatusConfirmed }, flow.Of(flow.NotEstablished)},
		{"template", func(e *flow.Entry) { e.Status |= flow.StatusTemplate }, flow.Of(flow.NotEstablished)},
		{"dying", func(e *flow.Entry) { e.Status |= flow.StatusDying }, flow.Of(flow.Closing)},
		{"opening", func(e *flow.Entry) { e.TCPState = flow.TCPSynRecv }, flow.Of(flow.NotEstablished)},
		{"simultaneous open", func(e *flow.Entry) { e.TCPState = flow.TCPSynSent2 }, flow.Of(flow.NotEstablished)},
		{"state unknown", func(e *flow.Entry) { e.Has = 0 }, flow.Of(flow.NotEstablished)},
		{"closing", func(e *flow.Entry) { e.TCPState = flow.TCPFinWait }, flow.Of(flow.Closing)},
		{"closed", func(e *flow.Entry) { e.TCPState = flow.TCPClose }, flow.Of(flow.Closing)},
		{"sequence adjusted", func(e *flow.Entry) { e.Status |= flow.StatusSeqAdjust }, flow.Of(flow.SeqAdjusted)},
		{"synproxy", func(e *flow.Entry) { e.Has |= flow.HasSynproxy }, flow.Of(flow.SeqAdjusted)},
		{"nat clash", func(e *flow.Entry) { e.Status |= flow.StatusNATClash }, flow.Of(flow.NATClash)},
		{"helper bit", func(e *flow.Entry) { e.Status |= flow.StatusHelper }, flow.Of(flow.HelperAttached)},
		{"helper named", func(e *flow.Entry) { e.Has |= flow.HasHelp }, flow.Of(flow.HelperAttached)},
		{"flowtable", func(e *flow.Entry) { e.Status |= flow.StatusOffload }, flow.Of(flow.KernelOffloaded)},
		{"flowtable in hardware", func(e *flow.Entry) { e.Status |= flow.StatusHWOffload }, flow.Of(flow.KernelOffloaded)},
		{"fixed time-out", func(e *flow.Entry) { e.Status |= flow.StatusFixedTimeout }, flow.Of(flow.DisabledByPolicy)},
		{"icmp", func(e *flow.Entry) { e.Orig.Proto = 1 }, flow.Of(flow.ProtocolUnsupported)},
		{"zone", func(e *flow.Entry) { e.Orig.Zone = 7 }, flow.Of(flow.RouteUnobserved)},
		{"zone of the reply", func(e *flow.Entry) { e.Reply.Zone = 7 }, flow.Of(flow.RouteUnobserved)},
		{"multicast", func(e *flow.Entry) { e.Orig = tuple(6, "10.0.0.1:1", "224.0.0.9:2") }, flow.Of(flow.Multicast)},
		{"loopback", func(e *flow.Entry) { e.Orig = tuple(6, "127.0.0.1:1", "10.0.0.9:2") }, flow.Of(flow.Local)},
		{"link-local", func(e *flow.Entry) { e.Orig = tuple(6, "[fe80::1]:1", "[2001:db8::9]:2") }, flow.Of(flow.Local)},
		{"two reasons", func(e *flow.Entry) { e.Status |= flow.StatusHelper | flow.StatusSeqAdjust },
			flow.Of(flow.HelperAttached, flow.SeqAdjusted)},
	}
	for _, c := range cases {
		e := settled()
		c.change(&e)
		if got := flow.Eligible(&e); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.List(), c.want.List())
		}
	}
}

func TestTupleCheck(t *testing.T) {
	good := []flow.Tuple{
		tuple(6, "10.0.0.1:4000", "192.0.2.1:80"),
		tuple(17, "[2001:db8::1]:4000", "[2001:db8::2]:53"),
	}
	for _, tu := range good {
		if err := tu.Check(); err != nil {
			t.Errorf("%s: %v", tu, err)
		}
	}
	bad := []flow.Tuple{
		{},
		tuple(1, "10.0.0.1:4000", "192.0.2.1:80"),
		tuple(6, "10.0.0.1:0", "192.0.2.1:80"),
		tuple(6, "10.0.0.1:1", "0.0.0.0:80"),
		tuple(6, "10.0.0.1:1", "255.255.255.255:80"),
		tuple(6, "10.0.0.1:1", "239.1.1.1:80"),
		tuple(6, "10.0.0.1:1", "127.0.0.1:80"),
		tuple(6, "[fe80::1]:1", "[2001:db8::2]:80"),
		tuple(6, "[ff02::1]:1", "[2001:db8::2]:80"),
		tuple(6, "10.0.0.1:1", "10.0.0.1:80"),
	}
	for _, tu := range bad {
		if tu.Check() == nil {
			t.Errorf("%s passed", tu)
		}
	}
}

// TestClosedLists: every word is spelled, and spelled once.
func TestClosedLists(t *testing.T) {
	lists := map[string][]string{}
	for _, r := range flow.AllReasons() {
		lists["reason"] = append(lists["reason"], r.String())
	}
	for _, c := range flow.Causes() {
		lists["cause"] = append(lists["cause"], c.String())
	}
	for _, s := range flow.States() {
		lists["state"] = append(lists["state"], s.String())
	}
	for name, words := range lists {
		seen := map[string]bool{"": true, "unknown": true, "none": true}
		for _, w := range words {
			if seen[w] {
				t.Errorf("%s: %q is empty, unknown or there twice", name, w)
			}
			seen[w] = true
		}
	}
	if n := len(flow.AllReasons()); n > 63 {
		t.Errorf("%d reasons do not fit into a Reasons", n)
	}
}

func TestReasons(t *testing.T) {
	s := flow.Of(flow.TableFull, flow.Backoff)
	if !s.Has(flow.Backoff) || s.Has(flow.Local) || s.Len() != 2 || s.Without(flow.Backoff) != flow.Of(flow.TableFull) {
		t.Errorf("set of two is %v", s.List())
	}
	if flow.Of(flow.ReasonNone) != 0 {
		t.Error("none is a reason")
	}
}
