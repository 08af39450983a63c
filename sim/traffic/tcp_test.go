package traffic

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// serve starts a server on a loopback port and gives the port's address.
func serve(t *testing.T, host string) string {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().(*net.TCPAddr)
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := Serve(ctx, ln, pc, nil); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return at.String()
}

func dialTCP(t *testing.T, to string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func TestEveryByteArrivesInEveryDirection(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		to := serve(t, host)
		for _, dir := range []Direction{Up, Down, Both} {
			for _, n := range []int64{0, 1, 3 << 20} {
				res, err := TCPClient(t.Context(), dialTCP(t, to), TCPRequest{Bytes: n, Direction: dir, Seed: 7}, TCPOptions{})
				if err != nil {
					t.Fatalf("%s %s %d: %v", host, dir, n, err)
				}
				if !res.Verified || !res.Closed {
					t.Errorf("%s %s %d: %+v", host, dir, n, res)
				}
				want := n
				if dir == Both {
					want *= 2
				}
				if got := res.Client.Sent.Bytes + res.Client.Received.Bytes; got != want {
					t.Errorf("%s %s: moved %d bytes, want %d", host, dir, got, want)
				}
			}
		}
	}
}

// tamper passes bytes between a client and the server, and flips one bit of
// byte number at of those that go up.
func tamper(t *testing.T, to string, at int64) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			return
		}
		all.Go(func() {
			io.Copy(in, out)
			in.(*net.TCPConn).CloseWrite()
		})
		buf, seen := make([]byte, 4096), int64(0)
		for {
			n, err := in.Read(buf)
			if at >= seen && at < seen+int64(n) {
				buf[at-seen] ^= 4
			}
			seen += int64(n)
			out.Write(buf[:n])
			if err != nil {
				out.(*net.TCPConn).CloseWrite()
				return
			}
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return ln.Addr().String()
}

func TestOneFlippedBitIsFound(t *testing.T) {
	to := tamper(t, serve(t, "127.0.0.1"), 100_000)
	res, err := TCPClient(t.Context(), dialTCP(t, to), TCPRequest{Bytes: 1 << 20, Direction: Up}, TCPOptions{})
	if err == nil || res.Verified || !strings.Contains(err.Error(), "payload up differs") {
		t.Fatalf("err %v, result %+v", err, res)
	}
	if res.Complaint != err.Error() {
		t.Errorf("complaint %q, error %q", res.Complaint, err)
	}
}

func TestAConnectionThatDiesIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var done sync.WaitGroup
	done.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		io.CopyN(io.Discard, c, 1000)
		c.(*net.TCPConn).SetLinger(0) // close sends RST
		c.Close()
	})
	res, err := TCPClient(t.Context(), dialTCP(t, ln.Addr().String()), TCPRequest{Bytes: 64 << 20, Direction: Both}, TCPOptions{})
	if err == nil || res.Verified || res.Closed {
		t.Fatalf("err %v, result %+v", err, res)
	}
	done.Wait()
}

func TestACancelledTransferEnds(t *testing.T) {
	to := serve(t, "127.0.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	c := dialTCP(t, to)
	done := make(chan error, 1)
	go func() {
		_, err := TCPClient(ctx, c, TCPRequest{Bytes: 1 << 40, Direction: Both, Rate: 1 << 20}, TCPOptions{})
		done <- err
	}()
	cancel()
	if err := <-done; err == nil {
		t.Fatal("a transfer of a tebibyte ended well at once")
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	to := serve(t, "127.0.0.1")
	for _, req := range []TCPRequest{{Bytes: 1, Direction: "sideways"}, {Bytes: -1, Direction: Up}} {
		if res, err := TCPClient(t.Context(), dialTCP(t, to), req, TCPOptions{}); err == nil {
			t.Errorf("%+v was carried out: %+v", req, res)
		}
	}
}
