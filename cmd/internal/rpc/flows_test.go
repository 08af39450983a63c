package rpc_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	"github.com/shunt-offload/shunt/hwif/flow"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func list(t testing.TB, c *rpctest.Client, req *pb.ListFlowsRequest) (flows []*pb.Flow, token string, err error) {
	t.Helper()
	s, err := c.ListFlows(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return flows, token, nil
		}
		if err != nil {
			return flows, "", err
		}
		if n := len(m.GetFlows()); n > 64 {
			t.Fatalf("a message with %d flows", n)
		}
		if token != "" {
			t.Fatal("a message after the one with the token")
		}
		flows, token = append(flows, m.GetFlows()...), m.GetNextPageToken()
	}
}

func TestGetFlow(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	e := rpctest.Masqueraded(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"), netip.MustParseAddrPort("198.51.100.7:1024"))
	e.Mark = 7
	h.Conn(e)
	tu := tcp("10.0.0.1:4000", "192.0.2.1:80")
	until(t, c, tu, pb.State_STATE_INSTALLED)
	h.Device.Count(5)
	f := until(t, c, tu, pb.State_STATE_ACTIVE)

	if !f.GetSnat() || f.GetDnat() {
		t.Errorf("snat %v dnat %v", f.GetSnat(), f.GetDnat())
	}
	if got := f.GetReply().GetTuple(); got.GetDst() != "198.51.100.7" || got.GetDstPort() != 1024 {
		t.Errorf("reply tuple %v", got)
	}
	r := f.GetOrig().GetRoute()
	if r.GetInPort() != "lan" || r.GetOutPort() != "wan" || r.GetDstMac() != "02:00:00:00:02:02" || r.GetMtu() != 1500 {
		t.Errorf("route %v", r)
	}
	if f.GetOrig().GetRule() != pb.RuleState_RULE_STATE_IN_HW || len(f.GetOrig().GetCookie()) != 32 {
		t.Errorf("orig rule %v cookie %q", f.GetOrig().GetRule(), f.GetOrig().GetCookie())
	}
	if f.GetOrig().GetNic().GetPackets() != 5 || f.GetOrig().GetNic().GetBytes() != 5000 || f.GetOrig().GetKernel().GetPackets() != 1000 {
		t.Errorf("counters %v %v", f.GetOrig().GetNic(), f.GetOrig().GetKernel())
	}
	if f.GetNicCountersAge() == nil || f.GetKernelCountersAge() == nil {
		t.Error("a number without an age")
	}
	if d := time.Since(f.GetCreatedAt().AsTime()); d < 0 || d > time.Hour {
		t.Errorf("created %s ago", d)
	}
	if f.GetTcpState() != "ESTABLISHED" || f.GetMark() != 7 || len(f.GetReasons()) != 0 || len(f.GetHistory()) == 0 {
		t.Errorf("flow %v", f)
	}
	// By the reply's tuple too.
	other, err := c.GetFlow(t.Context(), &pb.GetFlowRequest{Tuple: tcp("192.0.2.1:80", "198.51.100.7:1024")})
	if err != nil || other.GetFlow().GetUid() != f.GetUid() {
		t.Errorf("by the reply's tuple: %v, %v", other, err)
	}
	_, err = c.GetFlow(t.Context(), &pb.GetFlowRequest{Tuple: tcp("10.0.0.1:4001", "192.0.2.1:80")})
	refused(t, err, codes.NotFound, "not_found")
}

// TestCreated: a connection is as old as conntrack says, which may be older than
// the daemon; where it does not say, as old as it is known.
func TestCreated(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	before := time.Now()
	old := time.Date(2020, 2, 3, 4, 5, 6, 7, time.UTC)
	for i, tc := range []struct {
		start uint64
		has   flow.Has
		known bool
	}{{uint64(old.UnixNano()), flow.HasStart, true}, {uint64(old.UnixNano()), 0, false}, {0, flow.HasStart, false}, {1 << 63, flow.HasStart, false}} {
		src := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(4000+i)).String()
		e := rpctest.Entry("tcp", src, "192.0.2.1:80")
		e.Start, e.Has = tc.start, e.Has|tc.has
		h.Conn(e)
		got := until(t, c, tcp(src, "192.0.2.1:80"), pb.State_STATE_INSTALLED).GetCreatedAt().AsTime()
		if tc.known && !got.Equal(old) || !tc.known && (got.Before(before.Add(-time.Second)) || got.After(time.Now().Add(time.Second))) {
			t.Errorf("%+v: created at %s", tc, got)
		}
	}
}

func TestBadTuples(t *testing.T) {
	_, c := start(t, rpctest.Options{})
	good := func() *pb.Tuple { return tcp("10.0.0.1:4000", "192.0.2.1:80") }
	for name, tc := range map[string]struct {
		change func(*pb.Tuple) *pb.Tuple
		says   string
	}{
		"none":       {func(*pb.Tuple) *pb.Tuple { return nil }, "tuple is missing"},
		"no proto":   {func(p *pb.Tuple) *pb.Tuple { p.Proto = ""; return p }, "use tcp or udp"},
		"icmp":       {func(p *pb.Tuple) *pb.Tuple { p.Proto = "icmp"; return p }, `"icmp" cannot be offloaded`},
		"no src":     {func(p *pb.Tuple) *pb.Tuple { p.Src = ""; return p }, "src is missing"},
		"name":       {func(p *pb.Tuple) *pb.Tuple { p.Dst = "example.org"; return p }, `dst "example.org" is no IPv4 or IPv6 address`},
		"scope":      {func(p *pb.Tuple) *pb.Tuple { p.Dst = "fe80::1%eth0"; return p }, "no IPv4 or IPv6 address"},
		"mixed":      {func(p *pb.Tuple) *pb.Tuple { p.Dst = "2001:db8::1"; return p }, "one family"},
		"port 0":     {func(p *pb.Tuple) *pb.Tuple { p.SrcPort = 0; return p }, "port 0"},
		"port 65536": {func(p *pb.Tuple) *pb.Tuple { p.DstPort = 65536; return p }, "dst_port 65536 is above 65535"},
		"zone":       {func(p *pb.Tuple) *pb.Tuple { p.Zone = 1 << 20; return p }, "zone 1048576 is above 65535"},
		"multicast":  {func(p *pb.Tuple) *pb.Tuple { p.Dst = "224.0.0.1"; return p }, "multicast"},
		"loopback":   {func(p *pb.Tuple) *pb.Tuple { p.Dst = "127.0.0.1"; return p }, "loopback"},
		"itself":     {func(p *pb.Tuple) *pb.Tuple { p.Dst = p.Src; return p }, "both"},
	} {
		t.Run(name, func(t *testing.T) {
			tu := tc.change(good())
			_, err := c.GetFlow(t.Context(), &pb.GetFlowRequest{Tuple: tu})
			if text := refused(t, err, codes.InvalidArgument, "invalid"); !strings.Contains(text, tc.says) {
				t.Errorf("get says %q, not %q", text, tc.says)
			}
			_, err = c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: tu})
			refused(t, err, codes.InvalidArgument, "invalid")
		})
	}
}

func TestListPages(t *testing.T) {
	h, c := start(t, rpctest.Options{MaxRules: 200})
	const n = 300
	var entries []flow.Entry
	for i := range n {
		entries = append(entries, rpctest.Entry("udp", clientAddr(i), "192.0.2.1:53"))
	}
	h.Conn(entries...)
	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	until(t, c, tcp("10.0.0.1:4000", "192.0.2.1:80"), pb.State_STATE_INSTALLED, pb.State_STATE_CANDIDATE, pb.State_STATE_REJECTED, pb.State_STATE_BACKOFF, pb.State_STATE_PENDING)

	all, token, err := list(t, c, &pb.ListFlowsRequest{})
	if err != nil || len(all) != n+1 || token != "" {
		t.Fatalf("%d flows, token %q, %v", len(all), token, err)
	}
	seen := map[uint64]bool{}
	req := &pb.ListFlowsRequest{Filter: "proto=udp", PageSize: 70}
	for pages := 1; ; pages++ {
		part, token, err := list(t, c, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range part {
			if seen[f.GetUid()] || f.GetOrig().GetTuple().GetProto() != "udp" {
				t.Fatalf("flow %v twice, or not asked for", f)
			}
			seen[f.GetUid()] = true
		}
		if token == "" {
			break
		}
		if len(part) != 70 || pages > 10 {
			t.Fatalf("page %d has %d flows and a token", pages, len(part))
		}
		req.PageToken = token
	}
	if len(seen) != n {
		t.Errorf("%d flows over all pages, want %d", len(seen), n)
	}
	req.Filter = "proto=tcp"
	_, _, err = list(t, c, req)
	if text := refused(t, err, codes.InvalidArgument, "invalid"); !strings.Contains(text, "another filter") {
		t.Errorf("token of another filter: %q", text)
	}
	req.PageToken = "!?"
	_, _, err = list(t, c, req)
	refused(t, err, codes.InvalidArgument, "invalid")
	_, _, err = list(t, c, &pb.ListFlowsRequest{Filter: "state=activ"})
	if text := refused(t, err, codes.InvalidArgument, "invalid"); !strings.Contains(text, `column 7`) || !strings.Contains(text, `did you mean "active"`) {
		t.Errorf("filter: %q", text)
	}
	some, _, err := list(t, c, &pb.ListFlowsRequest{Filter: "out=wan"})
	if err != nil || len(some) == 0 {
		t.Errorf("by port name: %d flows, %v", len(some), err)
	}
	none, _, err := list(t, c, &pb.ListFlowsRequest{Filter: "mark=1"})
	if err != nil || len(none) != 0 {
		t.Errorf("nothing: %d flows, %v", len(none), err)
	}
}

func TestExplain(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	h.Refuse(flow.Of(flow.NoRoute), "no route to 192.0.2.1")
	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	until(t, c, tcp("10.0.0.1:4000", "192.0.2.1:80"), pb.State_STATE_REJECTED, pb.State_STATE_BACKOFF, pb.State_STATE_CANDIDATE)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		x, err := c.ExplainFlow(ctx, &pb.ExplainFlowRequest{Tuple: tcp("10.0.0.1:4000", "192.0.2.1:80")})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range x.GetStages() {
			if s.GetName() == "route" && len(s.GetReasons()) == 1 && s.GetReasons()[0] == pb.Reason_REASON_NO_ROUTE {
				return
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestExplainUnknown(t *testing.T) {
	_, c := start(t, rpctest.Options{})
	x, err := c.ExplainFlow(t.Context(), &pb.ExplainFlowRequest{Tuple: tcp("10.0.0.1:4000", "192.0.2.1:80")})
	if err != nil || x.GetFlow() != nil || len(x.GetStages()) == 0 || x.GetStages()[0].GetOk() {
		t.Errorf("%v, %v", x, err)
	}
}
