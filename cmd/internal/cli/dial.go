package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// client is the connection to shuntd. Close ends it.
type client struct {
	*grpc.ClientConn
	pb.FlowServiceClient
	pb.AgentServiceClient
	where string
	// failed is why the last attempt to connect did not succeed; gRPC's own
	// error has it only as text.
	failed atomic.Pointer[error]
}

// maxMessage is the longest message taken, bytes: 64 flows with long texts are
// far below.
const maxMessage = 16 << 20

// dial opens no connection yet: the first call does.
func (a *app) dial() (*client, error) {
	network := "unix"
	if _, err := netip.ParseAddrPort(a.socket); err == nil {
		network = "tcp"
	}
	c := &client{where: a.socket}
	conn, err := grpc.NewClient("passthrough:///shuntd",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, a.socket)
			if err != nil {
				c.failed.Store(&err)
			}
			return conn, err
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", a.socket, err)
	}
	c.ClientConn = conn
	c.FlowServiceClient, c.AgentServiceClient = pb.NewFlowServiceClient(conn), pb.NewAgentServiceClient(conn)
	return c, nil
}

// call runs f with a connection, within the timeout.
func (a *app) call(ctx context.Context, f func(context.Context, *client) error) error {
	if a.timeout <= 0 {
		return &usageError{fmt.Errorf("--timeout %s: give a time above 0", a.timeout)}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return a.connected(ctx, f)
}

// connected runs f with a connection.
func (a *app) connected(ctx context.Context, f func(context.Context, *client) error) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.explain(f(ctx, c), a.timeout)
}

// explain says what an error of the connection means, and what mends it.
func (c *client) explain(err error, timeout time.Duration) error {
	failed := c.failed.Load()
	switch st := status.Convert(err); {
	case err == nil || reasonOf(st) != "":
		return err
	case st.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("no answer from shuntd on %s within %s; it may be busy or stuck, --timeout waits longer", c.where, timeout)
	case st.Code() != codes.Unavailable:
		return err
	case failed == nil:
		return fmt.Errorf("the connection to shuntd on %s broke: %s", c.where, st.Message())
	case errors.Is(*failed, fs.ErrNotExist), errors.Is(*failed, syscall.ECONNREFUSED):
		return fmt.Errorf("shuntd is not running: nobody listens on %s; start it (sudo shuntd --config FILE, or --nic xdp --ports eth0,eth1), or name its socket with --socket", c.where)
	case errors.Is(*failed, fs.ErrPermission):
		return fmt.Errorf("%s may not be opened by this user; use sudo, or join the socket's group", c.where)
	default:
		return fmt.Errorf("connect to shuntd: %w", *failed)
	}
}
