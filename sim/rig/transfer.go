package rig

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// ServerPort is where the server answers, TCP and UDP, IPv4 and IPv6.
const ServerPort = 5001

// Serve starts the server and returns when it listens.
func Serve(l *lab.Lab, demo string) (*lab.Process, error) {
	cmd := exec.Command(demo, "traffic", "serve",
		"--listen", netip.AddrPortFrom(lab.Server4, ServerPort).String(),
		"--listen", netip.AddrPortFrom(lab.HopA.Addr4(), ServerPort).String(), // where DNAT leads
		"--listen", netip.AddrPortFrom(lab.Server6, ServerPort).String())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := l.Server.Start(cmd)
	if err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		return nil, fmt.Errorf("traffic server: %w: %s", errors.Join(err, p.Stop()), errs.String())
	}
	return p, nil
}

// Transfer is a traffic client that runs in the lab.
type Transfer struct {
	Proto   string
	Version int    // of IP
	Port    uint16 // local port
	proc    *lab.Process
	out     bytes.Buffer
	errs    bytes.Buffer
}

// firstPort is below the range that the kernel picks from for others (32768).
const firstPort = 20000

var nextPort atomic.Uint32

// TCP starts a TCP transfer from client to server over IP version 4 or 6.
func TCP(ctx context.Context, l *lab.Lab, demo string, version int, req traffic.TCPRequest) (*Transfer, error) {
	return start(ctx, l, demo, "tcp", version, "--bytes", strconv.FormatInt(req.Bytes, 10),
		"--rate", strconv.FormatInt(req.Rate, 10), "--direction", string(req.Direction), "--seed", strconv.FormatUint(req.Seed, 10))
}

// UDP starts a pair of UDP streams.
func UDP(ctx context.Context, l *lab.Lab, demo string, version int, req traffic.UDPRequest) (*Transfer, error) {
	return start(ctx, l, demo, "udp", version, "--datagrams", strconv.Itoa(req.Datagrams), "--size", strconv.Itoa(req.Size),
		"--rate", strconv.Itoa(req.Rate), "--direction", string(req.Direction), "--seed", strconv.FormatUint(req.Seed, 10))
}

func start(ctx context.Context, l *lab.Lab, demo, proto string, version int, args ...string) (*Transfer, error) {
	t := &Transfer{Proto: proto, Version: version, Port: uint16(firstPort + nextPort.Add(1)%10000)}
	to := netip.AddrPortFrom(lab.Server(version), ServerPort)
	args = append([]string{"traffic", proto, "--to", to.String(), "--from", strconv.Itoa(int(t.Port))}, args...)
	cmd := exec.CommandContext(ctx, demo, args...)
	cmd.Stdout, cmd.Stderr = &t.out, &t.errs
	var err error
	t.proc, err = l.Client.Start(cmd)
	return t, err
}

// Tuple gives the flow's original tuple as shuntctl takes it: proto, source,
// destination.
func (t *Transfer) Tuple() []string {
	return []string{t.Proto, netip.AddrPortFrom(lab.Client(t.Version), t.Port).String(),
		netip.AddrPortFrom(lab.Server(t.Version), ServerPort).String()}
}

func (t *Transfer) String() string { return strings.Join(t.Tuple(), " ") }

// Ended gives a channel that is closed at the transfer's end.
func (t *Transfer) Ended() <-chan struct{} { return t.proc.Ended() }

// Running reports whether the transfer goes on.
func (t *Transfer) Running() bool {
	select {
	case <-t.proc.Ended():
		return false
	default:
		return true
	}
}

// TCPResult waits for the end and gives the result; an error says that the
// payload did not arrive as it was sent, or that the connection broke.
func (t *Transfer) TCPResult() (traffic.TCPResult, error) {
	var res traffic.TCPResult
	err := t.result(&res)
	return res, err
}

// UDPResult is TCPResult for UDP; loss is the caller's to judge.
func (t *Transfer) UDPResult() (traffic.UDPResult, error) {
	var res traffic.UDPResult
	err := t.result(&res)
	return res, err
}

func (t *Transfer) result(into any) error {
	if err := t.proc.Wait(); err != nil {
		return fmt.Errorf("transfer %s: %w: %s", t, err, strings.TrimSpace(t.errs.String()))
	}
	if err := json.Unmarshal(t.out.Bytes(), into); err != nil {
		return fmt.Errorf("transfer %s: read the result: %w", t, err)
	}
	return nil
}
