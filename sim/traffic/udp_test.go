package traffic

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func dialUDP(t *testing.T, to string) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.UDPConn)
}

func TestDatagramsArriveInEveryDirection(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		to := serve(t, host)
		for _, dir := range []Direction{Up, Down, Both} {
			req := UDPRequest{Datagrams: 200, Size: 400, Rate: 2000, Direction: dir, Seed: 3}
			res, err := UDPClient(t.Context(), dialUDP(t, to), req, UDPOptions{})
			if err != nil {
				t.Fatalf("%s %s: %v", host, dir, err)
			}
			up, down := uint64(0), uint64(0)
			if dir.up() {
				up = 200
			}
			if dir.down() {
				down = 200
			}
			if res.Client.Sent != up || res.Server.Received != up || res.Server.Sent != down || res.Client.Received != down || res.LostUp+res.LostDown != 0 || !res.Verified {
				t.Errorf("%s %s: %+v", host, dir, res)
			}
		}
	}
}

// meddle passes datagrams on and lets f say what becomes of each data datagram
// that goes up: the datagrams to send instead.
func meddle(t *testing.T, to string, f func(n uint64, b []byte) [][]byte) string {
	t.Helper()
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back := dialUDP(t, to)
	var mu sync.Mutex
	var client netip.AddrPort
	var all sync.WaitGroup
	all.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, addr, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			mu.Lock()
			client = addr
			mu.Unlock()
			d, err := decode(buf[:n])
			if err == nil && d.kind == kindData {
				for _, b := range f(d.number, buf[:n]) {
					back.Write(b)
				}
				continue
			}
			back.Write(buf[:n])
		}
	})
	all.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			mu.Lock()
			front.WriteToUDPAddrPort(buf[:n], client)
			mu.Unlock()
		}
	})
	t.Cleanup(func() { front.Close(); back.Close(); all.Wait() })
	return front.LocalAddr().String()
}

func TestLossDoublesAndCorruptionAreCounted(t *testing.T) {
	to := meddle(t, serve(t, "127.0.0.1"), func(n uint64, b []byte) [][]byte {
		switch n {
		case 10, 11: // lost
			return nil
		case 20: // doubled
			return [][]byte{b, b}
		case 30: // altered on the way
			b[len(b)-1] ^= 1
		case 31: // another datagram's body under a right checksum
			fill(b[headerLen:], 5, 32)
			encode(b, kindData, 0, 31)
		}
		return [][]byte{b}
	})
	req := UDPRequest{Datagrams: 100, Size: 128, Rate: 2000, Direction: Up, Seed: 5}
	res, err := UDPClient(t.Context(), dialUDP(t, to), req, UDPOptions{})
	if err == nil || res.Verified {
		t.Fatalf("result %+v", res)
	}
	// 31 carries session 0, which the server does not know: lost, too.
	if got := res.Server; got.Received != 96 || got.Doubled != 1 || got.Corrupt != 1 || res.LostUp != 4 {
		t.Errorf("server counted %+v, lost %d", got, res.LostUp)
	}
}

func TestReorderingIsCountedAndIsNoFault(t *testing.T) {
	var held []byte
	to := meddle(t, serve(t, "127.0.0.1"), func(n uint64, b []byte) [][]byte {
		switch n {
		case 40:
			held = append([]byte(nil), b...)
			return nil
		case 42:
			return [][]byte{b, held}
		}
		return [][]byte{b}
	})
	req := UDPRequest{Datagrams: 100, Size: 64, Rate: 2000, Direction: Up}
	res, err := UDPClient(t.Context(), dialUDP(t, to), req, UDPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Server.Reordered != 1 || res.LostUp != 0 {
		t.Errorf("%+v", res)
	}
}

func TestABodyUnderAnothersNumberIsCorrupt(t *testing.T) {
	req := UDPRequest{Datagrams: 64, Size: 128, Rate: 1, Direction: Up, Seed: 9}
	l := newLedger(&req)
	body := make([]byte, 96)
	fill(body, 9, 8)
	l.got(&datagram{kind: kindData, number: 7, body: body}, 9, time.Now())
	l.got(&datagram{kind: kindData, number: 8, body: body}, 9, time.Now())
	l.got(&datagram{kind: kindData, number: 1 << 40, body: body}, 9, time.Now())
	if rep := l.report(); rep.Corrupt != 2 || rep.Received != 1 {
		t.Errorf("%+v", rep)
	}
}

func TestUDPNonsenseIsRefused(t *testing.T) {
	good := UDPRequest{Datagrams: 1, Size: 64, Rate: 1, Direction: Up}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*UDPRequest){
		func(r *UDPRequest) { r.Datagrams = 0 },
		func(r *UDPRequest) { r.Datagrams = maxDatagrams + 1 },
		func(r *UDPRequest) { r.Size = headerLen - 1 },
		func(r *UDPRequest) { r.Size = 65508 },
		func(r *UDPRequest) { r.Rate = 0 },
		func(r *UDPRequest) { r.Direction = "" },
	} {
		bad := good
		spoil(&bad)
		if bad.check() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
