//go:build netns

package e2e

import (
	"testing"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// The yardstick itself: what the other tests measure has to hold without shunt.
func TestTheKernelAloneCarriesEverything(t *testing.T) {
	s := set(t, lab.Options{})
	before, err := s.Wire()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []int{4, 6} {
		tcp := s.tcp(version, traffic.TCPRequest{Bytes: 20_000_000, Direction: traffic.Both, Seed: 1})
		udp := s.udp(version, traffic.UDPRequest{Datagrams: 1000, Size: 300, Rate: 1000, Direction: traffic.Both, Seed: 2})
		res := s.tcpDone(tcp)
		s.udpDone(udp, 0)
		t.Logf("IPv%d: %.0f Mbit/s by the kernel", version, res.MbitPerS)
	}
	wire, err := s.Wire()
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Neighbour discovery is on the wire, too; without shunt all else is forwarded.
	frames := wire.Packets - before.Packets
	if got := f.Packets(); got > frames || frames-got > 50 {
		t.Errorf("%d frames on the client's cable, %d packets forwarded by the kernel", frames, got)
	}
	if f.Invalid.Packets != 0 {
		t.Errorf("conntrack called %d packets invalid", f.Invalid.Packets)
	}
}
