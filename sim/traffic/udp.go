package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// UDPResult is a pair of streams as the client saw them, with the server's report.
type UDPResult struct {
	Protocol  string     `json:"protocol"` // "udp"
	Local     string     `json:"local"`
	Remote    string     `json:"remote"`
	Request   UDPRequest `json:"request"`
	Client    UDPReport  `json:"client"`
	Server    UDPReport  `json:"server"`
	LostUp    uint64     `json:"lost_up"`
	LostDown  uint64     `json:"lost_down"`
	Seconds   float64    `json:"seconds"`
	Verified  bool       `json:"verified"` // nothing corrupt, nothing doubled, both reports there; loss is for the caller to judge
	Complaint string     `json:"complaint,omitempty"`
}

// UDPOptions: zero values are defaults.
type UDPOptions struct {
	Progress *atomic.Int64 // counts data datagrams that came in or went out
}

const (
	askEvery = 100 * time.Millisecond // between two questions to the server
	askTimes = 100                    // questions before it is given up
	// drain is how long a stream's last datagrams may be on their way.
	drain = 500 * time.Millisecond
)

// UDPClient carries out one pair of streams over the connected socket c and
// closes it. The result is never nil.
func UDPClient(ctx context.Context, c *net.UDPConn, req UDPRequest, opts UDPOptions) (*UDPResult, error) {
	res := &UDPResult{Protocol: "udp", Local: c.LocalAddr().String(), Remote: c.RemoteAddr().String(), Request: req}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	begin := time.Now()
	err := req.check()
	if err == nil {
		err = res.run(ctx, c, &opts)
	}
	res.Seconds = time.Since(begin).Seconds()
	if err = errors.Join(ctx.Err(), err); err != nil {
		err = fmt.Errorf("udp %s > %s: %w", res.Local, res.Remote, err)
		res.Complaint = err.Error()
	}
	return res, err
}

func (res *UDPResult) run(ctx context.Context, c *net.UDPConn, opts *UDPOptions) error {
	req := &res.Request
	bigBuffers(c)
	p := &udpEnd{req: req, session: req.Seed<<16 ^ uint64(time.Now().UnixNano()), out: func(b []byte) error {
		_, err := c.Write(b)
		return err
	}, ledger: newLedger(req), progress: opts.Progress}
	in := make(chan datagram, 1)
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		p.read(c, in)
	}()
	defer func() {
		_ = c.SetDeadline(time.Now())
		<-reader
		res.Client = p.ledger.report()
	}()
	hello, err := json.Marshal(req)
	if err != nil {
		return err
	}
	if _, err := p.ask(ctx, in, kindHello, kindReady, hello); err != nil {
		return fmt.Errorf("greet the server: %w", err)
	}
	if req.Direction.up() {
		if err := p.stream(ctx, false); err != nil {
			return err
		}
	}
	if err := p.settle(ctx, req.Direction.down()); err != nil {
		return err
	}
	report, err := p.ask(ctx, in, kindAsk, kindReport, nil)
	if err != nil {
		return fmt.Errorf("ask for the server's report: %w", err)
	}
	if err := json.Unmarshal(report.body, &res.Server); err != nil {
		return fmt.Errorf("read the server's report: %w", err)
	}
	res.Client = p.ledger.report()
	return res.judge()
}

func (res *UDPResult) judge() error {
	// A report may be older than a late datagram: what was sent bounds it.
	res.LostUp = res.Client.Sent - min(res.Client.Sent, res.Server.Received)
	res.LostDown = res.Server.Sent - min(res.Server.Sent, res.Client.Received)
	for _, end := range []struct {
		name string
		rep  UDPReport
	}{{"client", res.Client}, {"server", res.Server}} {
		if end.rep.Corrupt != 0 || end.rep.Doubled != 0 {
			return fmt.Errorf("%s received %d corrupt and %d doubled datagrams", end.name, end.rep.Corrupt, end.rep.Doubled)
		}
	}
	res.Verified = true
	return nil
}

// udpEnd is one end of a pair of streams.
type udpEnd struct {
	req      *UDPRequest
	session  uint64
	out      func([]byte) error
	ledger   *ledger
	progress *atomic.Int64
}

func (e *udpEnd) count() {
	if e.progress != nil {
		e.progress.Add(1)
	}
}

// ask sends a question until its answer comes.
func (e *udpEnd) ask(ctx context.Context, in <-chan datagram, question, answer byte, body []byte) (datagram, error) {
	msg := encode(append(make([]byte, headerLen), body...), question, e.session, 0)
	for range askTimes {
		if err := e.out(msg); err != nil && !passing(err) {
			return datagram{}, err
		}
		timer := time.NewTimer(askEvery)
	answers:
		for {
			select {
			case d := <-in:
				if d.kind == answer {
					timer.Stop()
					return d, nil
				}
			case <-timer.C:
				break answers
			case <-ctx.Done():
				timer.Stop()
				return datagram{}, ctx.Err()
			}
		}
	}
	return datagram{}, fmt.Errorf("no answer to %d questions in %v", askTimes, askTimes*askEvery)
}

// passing is an error that a datagram's loss would be, too: the peer's port or
// way is closed for a moment (ICMP), the buffer is full.
func passing(err error) bool {
	return isAny(err, errPassing...)
}

// stream sends the data datagrams of one direction.
func (e *udpEnd) stream(ctx context.Context, down bool) error {
	buf := make([]byte, e.req.Size)
	p := newPacer(int64(e.req.Rate))
	for n := range uint64(e.req.Datagrams) {
		if err := p.wait(ctx, 1); err != nil {
			return err
		}
		fill(buf[headerLen:], bodySeed(e.req.Seed, down), n)
		// Entered first: the peer may have the last one, and ask for the account,
		// before out returns here.
		e.ledger.sent()
		err := e.out(encode(buf, kindData, e.session, n))
		if err != nil && !passing(err) {
			return fmt.Errorf("send datagram %d of %d: %w", n, e.req.Datagrams, err)
		}
		e.count()
	}
	return nil
}

// settle waits until the peer's stream must be over and has been quiet.
func (e *udpEnd) settle(ctx context.Context, stream bool) error {
	deadline := time.Now().Add(e.req.duration() + 5*time.Second)
	begin := time.Now()
	for {
		quiet, any := e.ledger.quiet(time.Now())
		waited := time.Since(begin)
		switch {
		case !stream && waited >= drain:
			return nil
		case stream && e.ledger.report().Received == uint64(e.req.Datagrams):
			return nil
		case stream && waited >= e.req.duration() && (quiet >= drain || !any):
			return nil
		case time.Now().After(deadline):
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// read enters data into the ledger and hands answers on, until the socket's
// deadline passes.
func (e *udpEnd) read(c *net.UDPConn, answers chan<- datagram) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error about an earlier datagram
		}
		d, err := decode(buf[:n])
		switch {
		case err != nil:
			e.ledger.corrupt()
		case d.session != e.session:
		case d.kind == kindData:
			e.ledger.got(&d, bodySeed(e.req.Seed, true), time.Now())
			e.count()
		default:
			d.body = append([]byte(nil), d.body...)
			select {
			case answers <- d:
			default:
			}
		}
	}
}

// bodySeed tells the two directions' payloads apart.
func bodySeed(seed uint64, down bool) uint64 {
	if down {
		return ^seed
	}
	return seed
}
