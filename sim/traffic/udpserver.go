package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// errPassing are errors of a UDP socket that say nothing about the next datagram.
var errPassing = []error{
	syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENOBUFS, syscall.EAGAIN, syscall.EMSGSIZE, syscall.EPERM,
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// bigBuffers asks for room for bursts; the kernel gives what it allows.
func bigBuffers(c *net.UDPConn) {
	_ = c.SetReadBuffer(4 << 20)
	_ = c.SetWriteBuffer(4 << 20)
}

// forgetAfter is how long a silent peer is remembered for its report.
const forgetAfter = 2 * time.Minute

// maxPeers bounds the server's memory.
const maxPeers = 4096

// udpPeer is one client at the server.
type udpPeer struct {
	udpEnd
	heard time.Time
}

// serveUDP answers clients on one socket until ctx ends.
func serveUDP(ctx context.Context, c *net.UDPConn) error {
	bigBuffers(c)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer stop()
	var streams sync.WaitGroup
	defer streams.Wait()
	// By address and session: a client may be seen under a new address, and an
	// address may be used by another client.
	type who struct {
		addr    netip.AddrPort
		session uint64
	}
	peers := make(map[who]*udpPeer)
	buf := make([]byte, 64<<10)
	for {
		n, addr, err := c.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue // an ICMP error about an earlier datagram
		}
		now := time.Now()
		d, err := decode(buf[:n])
		if err != nil {
			// Whose it was can't be trusted; charge everyone at that address.
			for k, p := range peers {
				if k.addr == addr {
					p.ledger.corrupt()
				}
			}
			continue
		}
		key := who{addr, d.session}
		p := peers[key]
		if p != nil {
			p.heard = now
		}
		answer := func(kind byte, body []byte) {
			_, _ = c.WriteToUDPAddrPort(encode(append(make([]byte, headerLen), body...), kind, d.session, 0), addr)
		}
		switch {
		case d.kind == kindHello && p == nil:
			var req UDPRequest
			if json.Unmarshal(d.body, &req) != nil || req.check() != nil || len(peers) >= maxPeers {
				continue
			}
			for k, old := range peers {
				if now.Sub(old.heard) > forgetAfter+old.req.duration() {
					delete(peers, k)
				}
			}
			p = &udpPeer{heard: now, udpEnd: udpEnd{req: &req, session: d.session, ledger: newLedger(&req), out: func(b []byte) error {
				_, err := c.WriteToUDPAddrPort(b, addr)
				return err
			}}}
			peers[key] = p
			answer(kindReady, nil)
			if req.Direction.down() {
				streams.Go(func() { _ = p.stream(ctx, true) })
			}
		case d.kind == kindHello:
			answer(kindReady, nil)
		case p == nil:
		case d.kind == kindData:
			p.ledger.got(&d, bodySeed(p.req.Seed, false), now)
		case d.kind == kindAsk:
			if body, err := json.Marshal(p.ledger.report()); err == nil {
				answer(kindReport, body)
			}
		}
	}
}
