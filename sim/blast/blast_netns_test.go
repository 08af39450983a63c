//go:build netns

package blast_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/sim/blast"
	"github.com/shunt-offload/shunt/sim/lab"
)

// The kernel alone forwards what the sender sends, and the sink counts each one.
func TestEveryFrameOfAShortBurstArrives(t *testing.T) {
	l, err := lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Router.Run(t.Context(), "ethtool", "-K", lab.LANPort, "gro", "on"); err != nil {
		t.Fatal(err)
	}
	out, src, err := l.Client.Link(lab.ClientPort)
	if err != nil {
		t.Fatal(err)
	}
	_, dst, err := l.Router.Link(lab.LANPort)
	if err != nil {
		t.Fatal(err)
	}
	s, err := blast.NewSender(out, blast.Frame{SrcMAC: src, DstMAC: dst,
		Src: netip.AddrPortFrom(lab.Client4, 7000), Dst: netip.AddrPortFrom(lab.Server4, 7001)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, _, err := l.Switch.Link(lab.SwitchPort)
	if err != nil {
		t.Fatal(err)
	}
	var sink *blast.Sink
	if err := l.Switch.Do(func() (err error) { sink, err = blast.NewSink(in); return err }); err != nil {
		t.Fatal(err)
	}
	const burst = 200 // less than a veth's ring of 256
	if err := l.Client.Do(func() error { return s.Send(burst) }); err != nil {
		t.Fatal(err)
	}
	var n uint64
	for range 100 {
		if n, err = sink.Count(); err != nil || n >= burst {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil || n != burst {
		t.Errorf("%d of %d frames arrived, %v", n, burst, err)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	f, err := l.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f.IPv4.Packets != burst {
		t.Errorf("the kernel forwarded %d packets", f.IPv4.Packets)
	}
	// What is not a blast frame passes the sink, and after it everything does.
	err = l.Server.Do(func() error {
		ln, err := net.Listen("tcp", netip.AddrPortFrom(lab.Server4, 9).String())
		if err != nil {
			return err
		}
		t.Cleanup(func() { ln.Close() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = l.Client.Do(func() error {
		c, err := net.DialTimeout("tcp", netip.AddrPortFrom(lab.Server4, 9).String(), 5*time.Second)
		if err == nil {
			c.Close()
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
