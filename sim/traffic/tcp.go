package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// TCPReport is what one end saw of a transfer.
type TCPReport struct {
	Sent     Sum    `json:"sent"`
	Received Sum    `json:"received"`
	Error    string `json:"error,omitempty"`
}

// TCPResult is a transfer as the client saw it, with the server's report.
type TCPResult struct {
	Protocol  string     `json:"protocol"` // "tcp"
	Local     string     `json:"local"`
	Remote    string     `json:"remote"`
	Request   TCPRequest `json:"request"`
	Client    TCPReport  `json:"client"`
	Server    TCPReport  `json:"server"`
	Seconds   float64    `json:"seconds"`
	MbitPerS  float64    `json:"mbit_per_s"` // payload, both directions together
	Retrans   uint32     `json:"retransmits"`
	Segments  uint64     `json:"segments"` // sent and received by the client's TCP, but for the last few of the close
	Closed    bool       `json:"closed"`   // both ends closed in order, without a reset
	Verified  bool       `json:"verified"` // every sum is equal at both ends and as long as asked for
	Complaint string     `json:"complaint,omitempty"`
}

// TCPOptions: zero values are defaults.
type TCPOptions struct {
	// Progress counts payload bytes of both directions while they go.
	Progress *atomic.Int64
}

// TCPClient carries out one transfer over c and closes it. The result is never
// nil; the error says what did not hold, and Complaint repeats it.
func TCPClient(ctx context.Context, c *net.TCPConn, req TCPRequest, opts TCPOptions) (*TCPResult, error) {
	res := &TCPResult{Protocol: "tcp", Local: c.LocalAddr().String(), Remote: c.RemoteAddr().String(), Request: req}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	begin := time.Now()
	err := res.run(ctx, c, &opts)
	res.Seconds = time.Since(begin).Seconds()
	if moved := res.Client.Sent.Bytes + res.Client.Received.Bytes; res.Seconds > 0 {
		res.MbitPerS = float64(moved) * 8 / 1e6 / res.Seconds
	}
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		err = fmt.Errorf("tcp %s > %s: %w", res.Local, res.Remote, err)
		res.Complaint = err.Error()
	}
	return res, err
}

func (res *TCPResult) run(ctx context.Context, c *net.TCPConn, opts *TCPOptions) error {
	if err := res.Request.check(); err != nil {
		return err
	}
	if err := writeLine(c, res.Request); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	count := func(n int64) {
		if opts.Progress != nil {
			opts.Progress.Add(n)
		}
	}
	in := bufio.NewReaderSize(c, maxLine)
	res.Client = exchange(ctx, c, in, &res.Request, false, count)
	if res.Client.Error != "" {
		return errors.New(res.Client.Error)
	}
	if err := writeLine(c, res.Client); err != nil {
		return fmt.Errorf("send report: %w", err)
	}
	if err := readLine(in, &res.Server); err != nil {
		return fmt.Errorf("read the server's report: %w", err)
	}
	if err := c.CloseWrite(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if n, err := io.Copy(io.Discard, in); err != nil || n != 0 {
		return fmt.Errorf("wait for the server's close: %d stray bytes, %w", n, err)
	}
	res.Closed = true
	res.Retrans, res.Segments = readInfo(c)
	if err := res.compare(); err != nil {
		return err
	}
	res.Verified = true
	return nil
}

// compare holds the two reports against each other and against the request.
func (res *TCPResult) compare() error {
	if res.Server.Error != "" {
		return fmt.Errorf("server: %s", res.Server.Error)
	}
	for _, way := range []struct {
		name   string
		wanted bool
		sent   Sum
		got    Sum
	}{
		{"up", res.Request.Direction.up(), res.Client.Sent, res.Server.Received},
		{"down", res.Request.Direction.down(), res.Server.Sent, res.Client.Received},
	} {
		want := int64(0)
		if way.wanted {
			want = res.Request.Bytes
		}
		if way.sent != way.got || way.sent.Bytes != want {
			return fmt.Errorf("payload %s differs: %d bytes wanted, sent %+v, received %+v", way.name, want, way.sent, way.got)
		}
	}
	return nil
}

// exchange sends and receives what the request asks of one end, at once.
func exchange(ctx context.Context, c *net.TCPConn, in io.Reader, req *TCPRequest, server bool, count func(int64)) (rep TCPReport) {
	sends, receives := req.Direction.up(), req.Direction.down()
	if server {
		sends, receives = receives, sends
	}
	length := func(wanted bool) int64 {
		if wanted {
			return req.Bytes
		}
		return 0
	}
	failed := make(chan error, 1)
	go func() {
		var err error
		rep.Sent, err = send(ctx, c, stream(req.Seed, server), length(sends), req.Rate, count)
		failed <- err
	}()
	var err error
	rep.Received, err = receive(in, length(receives), count)
	if err != nil {
		_ = c.SetDeadline(time.Now()) // the other half must not wait for a dead peer
	}
	if err = errors.Join(err, <-failed); err != nil {
		rep.Error = err.Error()
	}
	return rep
}

// serveTCP answers one connection.
func serveTCP(ctx context.Context, c *net.TCPConn) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	in := bufio.NewReaderSize(c, maxLine)
	var req TCPRequest
	if err := readLine(in, &req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if err := req.check(); err != nil {
		return errors.Join(err, writeLine(c, TCPReport{Error: err.Error()}))
	}
	mine := exchange(ctx, c, in, &req, true, func(int64) {})
	if mine.Error != "" {
		return errors.New(mine.Error)
	}
	var theirs TCPReport
	if err := readLine(in, &theirs); err != nil {
		return fmt.Errorf("read the client's report: %w", err)
	}
	if err := writeLine(c, mine); err != nil {
		return fmt.Errorf("send report: %w", err)
	}
	// The client closes first, so that TIME_WAIT is its own.
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("wait for the client's close: %w", err)
	}
	return nil
}
