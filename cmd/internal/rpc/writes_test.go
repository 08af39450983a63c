package rpc_test

import (
	"bytes"
	"log/slog"
	"os/user"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/shunt-offload/shunt/cmd/internal/rpc"
	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// book is a log that tests read.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *book) has(t *testing.T, words ...string) {
	t.Helper()
line:
	for l := range strings.Lines(b.String()) {
		for _, w := range words {
			if !strings.Contains(l, w) {
				continue line
			}
		}
		return
	}
	t.Errorf("no line of the log has %q:\n%s", words, b)
}

func TestPin(t *testing.T) {
	var log book
	h, c := start(t, rpctest.Options{RPC: rpc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}})
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	tu := tcp("10.0.0.1:4000", "192.0.2.1:80")
	pin, err := c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: tu, Note: "gold customer", Lease: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	in := pin.GetIntent()
	if in.GetOwner() != me.Username || in.GetKind() != pb.IntentKind_INTENT_KIND_PIN || in.GetNote() != "gold customer" {
		t.Errorf("intent %v", in)
	}
	if d := in.GetExpiresAt().AsTime().Sub(in.GetSetAt().AsTime()); d < time.Hour-time.Second || d > time.Hour+time.Second {
		t.Errorf("lease is %s", d)
	}
	log.has(t, "level=INFO", "verb=pin", "owner="+me.Username, `tuple="tcp 10.0.0.1:4000 > 192.0.2.1:80"`, `note="gold customer"`, "lease=1h0m0s", "uid="+me.Uid)

	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	if f := until(t, c, tu, pb.State_STATE_INSTALLED); !f.GetPinned() || f.GetIntent().GetNote() != "gold customer" {
		t.Errorf("flow %v", f)
	}
	// The reply's tuple names the same flow: the answer has the original one.
	pin, err = c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: tcp("192.0.2.1:80", "10.0.0.1:4000")})
	if err != nil || pin.GetIntent().GetTuple().GetSrc() != "10.0.0.1" || pin.GetIntent().GetExpiresAt() != nil {
		t.Errorf("by the reply's tuple: %v, %v", pin, err)
	}

	_, err = c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: tu, Owner: "another"})
	refused(t, err, codes.AlreadyExists, "conflict")
	log.has(t, "level=WARN", "verb=pin", "owner=another", "error=")
	_, err = c.UnpinFlow(t.Context(), &pb.UnpinFlowRequest{Tuple: tu, Owner: "another"})
	refused(t, err, codes.AlreadyExists, "conflict")
	_, err = c.EvictFlow(t.Context(), &pb.EvictFlowRequest{Tuple: tu})
	refused(t, err, codes.AlreadyExists, "conflict")

	all, err := c.ListIntents(t.Context(), &pb.ListIntentsRequest{Owner: me.Username, Kind: pb.IntentKind_INTENT_KIND_PIN})
	if err != nil || len(all.GetIntents()) != 1 {
		t.Errorf("intents %v, %v", all, err)
	}
	all, err = c.ListIntents(t.Context(), &pb.ListIntentsRequest{Kind: pb.IntentKind_INTENT_KIND_DENY})
	if err != nil || len(all.GetIntents()) != 0 {
		t.Errorf("denials %v, %v", all, err)
	}
	if _, err := c.UnpinFlow(t.Context(), &pb.UnpinFlowRequest{Tuple: tu}); err != nil {
		t.Error(err)
	}
	_, err = c.UnpinFlow(t.Context(), &pb.UnpinFlowRequest{Tuple: tu})
	refused(t, err, codes.NotFound, "not_found")
}

func TestDenyAndEvict(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	tu := tcp("10.0.0.1:4000", "192.0.2.1:80")
	_, err := c.EvictFlow(t.Context(), &pb.EvictFlowRequest{Tuple: tu})
	refused(t, err, codes.NotFound, "not_found")
	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	until(t, c, tu, pb.State_STATE_INSTALLED)

	if _, err := c.EvictFlow(t.Context(), &pb.EvictFlowRequest{Tuple: tu, Note: "looking"}); err != nil {
		t.Fatal(err)
	}
	f := until(t, c, tu, pb.State_STATE_BACKOFF)
	if f.GetIntent().GetKind() != pb.IntentKind_INTENT_KIND_HOLD || f.GetRetryAt() == nil || h.Device.Len() != 0 {
		t.Errorf("after the eviction: %v, %d rules", f, h.Device.Len())
	}
	if left := time.Until(f.GetRetryAt().AsTime()); left < 0 || left > 31*time.Second {
		t.Errorf("held for another %s", left)
	}
	_, err = c.EvictFlow(t.Context(), &pb.EvictFlowRequest{Tuple: tu})
	refused(t, err, codes.FailedPrecondition, "state")

	if _, err := c.DenyFlow(t.Context(), &pb.DenyFlowRequest{Tuple: tu}); err != nil {
		t.Fatal(err)
	}
	f = until(t, c, tu, pb.State_STATE_DENIED)
	if len(f.GetReasons()) == 0 {
		t.Error("denied without a reason")
	}
	if _, err := c.UndenyFlow(t.Context(), &pb.UndenyFlowRequest{Tuple: tu}); err != nil {
		t.Fatal(err)
	}
}

func TestBadWrites(t *testing.T) {
	_, c := start(t, rpctest.Options{})
	tu := tcp("10.0.0.1:4000", "192.0.2.1:80")
	for name, tc := range map[string]struct {
		req  *pb.PinFlowRequest
		says string
	}{
		"zero":      {&pb.PinFlowRequest{Tuple: tu, Lease: durationpb.New(0)}, "lease 0s would be over before it begins"},
		"negative":  {&pb.PinFlowRequest{Tuple: tu, Lease: durationpb.New(-time.Second)}, "lease -1s"},
		"two years": {&pb.PinFlowRequest{Tuple: tu, Lease: durationpb.New(2 * 365 * 24 * time.Hour)}, "longer than a year"},
		"overflow":  {&pb.PinFlowRequest{Tuple: tu, Lease: &durationpb.Duration{Seconds: 1 << 62}}, "no valid duration"},
		"signs":     {&pb.PinFlowRequest{Tuple: tu, Lease: &durationpb.Duration{Seconds: 1, Nanos: -1}}, "no valid duration"},
		"owner":     {&pb.PinFlowRequest{Tuple: tu, Owner: strings.Repeat("x", 129)}, "owner is longer"},
		"note":      {&pb.PinFlowRequest{Tuple: tu, Note: "a\nlevel=INFO b"}, "note has the control character U+000A, which cannot be printed on one line"},
		"bidi":      {&pb.PinFlowRequest{Tuple: tu, Note: "a\u202eb"}, "note has the format character U+202E"},
		"width":     {&pb.PinFlowRequest{Tuple: tu, Owner: "ro\u200bot"}, "owner has the format character U+200B"},
		"line":      {&pb.PinFlowRequest{Tuple: tu, Owner: "a\u2028b"}, "owner has the line separator U+2028"},
		"paragraph": {&pb.PinFlowRequest{Tuple: tu, Note: "a\u2029b"}, "note has the paragraph separator U+2029"},
		"short":     {&pb.PinFlowRequest{Tuple: tu, Lease: durationpb.New(time.Second - 1)}, "lease 999.999999ms is too short; allowed: 1s to 8784h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.PinFlow(t.Context(), tc.req)
			if text := refused(t, err, codes.InvalidArgument, "invalid"); !strings.Contains(text, tc.says) {
				t.Errorf("says %q, not %q", text, tc.says)
			}
		})
	}
	all, err := c.ListIntents(t.Context(), &pb.ListIntentsRequest{})
	if err != nil || len(all.GetIntents()) != 0 {
		t.Errorf("a refused write left %v, %v", all, err)
	}
}

// TestManyIntents: no more pins and denials than are kept; those that stand can
// still be renewed, and each one taken back makes room.
func TestManyIntents(t *testing.T) {
	_, c := start(t, rpctest.Options{RPC: rpc.Options{Intents: 2}})
	one, two, three := tcp("10.0.0.1:1", "192.0.2.1:80"), tcp("10.0.0.1:2", "192.0.2.1:80"), tcp("10.0.0.1:3", "192.0.2.1:80")
	if _, err := c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: one, Note: "Gr\u00fc\u00dfe\u00a0\u2192 \u6771\u4eac"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DenyFlow(t.Context(), &pb.DenyFlowRequest{Tuple: two}); err != nil {
		t.Fatal(err)
	}
	_, err := c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: three})
	if text := refused(t, err, codes.ResourceExhausted, "too_many_intents"); !strings.Contains(text, "2 pins and denials") {
		t.Errorf("says %q", text)
	}
	_, err = c.DenyFlow(t.Context(), &pb.DenyFlowRequest{Tuple: three})
	refused(t, err, codes.ResourceExhausted, "too_many_intents")
	if _, err := c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: one, Lease: durationpb.New(time.Second)}); err != nil {
		t.Errorf("renewed: %v", err)
	}
	if _, err := c.UndenyFlow(t.Context(), &pb.UndenyFlowRequest{Tuple: two}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: three}); err != nil {
		t.Errorf("with room: %v", err)
	}
}

func TestPause(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	tu := tcp("10.0.0.1:4000", "192.0.2.1:80")
	until(t, c, tu, pb.State_STATE_INSTALLED)
	if _, err := c.Pause(t.Context(), &pb.PauseRequest{Owner: "night shift", Note: "card swap"}); err != nil {
		t.Fatal(err)
	}
	f := until(t, c, tu, pb.State_STATE_CANDIDATE, pb.State_STATE_REJECTED, pb.State_STATE_BACKOFF)
	if len(f.GetReasons()) == 0 || f.GetReasons()[0] != pb.Reason_REASON_AGENT_PAUSED {
		t.Errorf("paused flow has reasons %v", f.GetReasons())
	}
	st, err := c.GetStats(t.Context(), &pb.GetStatsRequest{})
	if err != nil || !st.GetStats().GetPaused() || !strings.Contains(st.GetPaused(), "night shift") {
		t.Errorf("stats %v, %v", st, err)
	}
	if _, err := c.Resume(t.Context(), &pb.ResumeRequest{}); err != nil {
		t.Fatal(err)
	}
	until(t, c, tu, pb.State_STATE_INSTALLED)
}

// TestTCPOnlyReads: over TCP nobody is known, so nobody may write.
func TestTCPOnlyReads(t *testing.T) {
	h, _ := start(t, rpctest.Options{TCP: true})
	c, err := h.Dial(h.TCPAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.GetStats(t.Context(), &pb.GetStatsRequest{}); err != nil {
		t.Fatal(err)
	}
	tu := tcp("10.0.0.1:4000", "192.0.2.1:80")
	for name, call := range map[string]func() error{
		"pin":    func() error { _, err := c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: tu}); return err },
		"unpin":  func() error { _, err := c.UnpinFlow(t.Context(), &pb.UnpinFlowRequest{Tuple: tu}); return err },
		"deny":   func() error { _, err := c.DenyFlow(t.Context(), &pb.DenyFlowRequest{Tuple: tu}); return err },
		"undeny": func() error { _, err := c.UndenyFlow(t.Context(), &pb.UndenyFlowRequest{Tuple: tu}); return err },
		"evict":  func() error { _, err := c.EvictFlow(t.Context(), &pb.EvictFlowRequest{Tuple: tu}); return err },
		"pause":  func() error { _, err := c.Pause(t.Context(), &pb.PauseRequest{}); return err },
		"resume": func() error { _, err := c.Resume(t.Context(), &pb.ResumeRequest{}); return err },
	} {
		t.Run(name, func(t *testing.T) { refused(t, call(), codes.PermissionDenied, "permission") })
	}
}
