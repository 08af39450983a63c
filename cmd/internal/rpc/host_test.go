package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB, opts rpctest.Options) (*rpctest.Host, *rpctest.Client) {
	t.Helper()
	opts.Dir = t.TempDir()
	h, err := rpctest.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Dial("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := h.Close(); err != nil {
			t.Errorf("end of the host: %v", err)
		}
	})
	return h, c
}

func tcp(src, dst string) *pb.Tuple { return tuple("tcp", src, dst) }

func tuple(proto, src, dst string) *pb.Tuple {
	e, err := rpctest.Tuple(proto, src, dst)
	if err != nil {
		panic(err)
	}
	return &pb.Tuple{Proto: proto, Src: e.SrcAddr().String(), Dst: e.DstAddr().String(),
		SrcPort: uint32(e.SrcPort), DstPort: uint32(e.DstPort)}
}

// until asks get again and again until the flow is in one of the states. The
// bound is no claim about speed: it ends a test that would hang.
func until(t testing.TB, c *rpctest.Client, tu *pb.Tuple, want ...pb.State) *pb.Flow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var last *pb.Flow
	for ctx.Err() == nil {
		resp, err := c.GetFlow(ctx, &pb.GetFlowRequest{Tuple: tu})
		if err == nil && slices.Contains(want, resp.GetFlow().GetState()) {
			return resp.GetFlow()
		}
		if err != nil && status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
		last = resp.GetFlow()
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("%v is never %v, but %v %v %q", tu, want, last.GetState(), last.GetReasons(), last.GetText())
	return nil
}

// refused checks code, reason and domain of an error.
func refused(t testing.TB, err error, code codes.Code, reason string) string {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code {
		t.Fatalf("error is %v %q, want %v", st.Code(), st.Message(), code)
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetReason() == reason && info.GetDomain() == "shunt" {
			return st.Message()
		}
	}
	t.Fatalf("error %q has details %v, want reason %s", st.Message(), st.Details(), reason)
	return ""
}

func clientAddr(i int) string {
	return fmt.Sprintf("10.%d.%d.%d:%d", i>>16&255, i>>8&255, i&255|1, 1024+i%50000)
}
