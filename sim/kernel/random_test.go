package kernel_test

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/sim"
	"github.com/shunt-offload/shunt/sim/kernel"
)

// TestRandomWorld changes routes, neighbours, links and connections at random, with
// a daemon's engine that hears of each change before the next frame. Then no frame
// may leave the card otherwise than the kernel would have sent it, rules come in
// pairs, and with everything gone none is left.
func TestRandomWorld(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		// Begin with connections in hardware: a rule that is not there can't be stale.
		flows := []*kernel.Flow{
			w.open(hwif.ProtoTCP, "10.1.0.10:29000", serverA), w.open(hwif.ProtoUDP, "10.1.0.11:29000", serverA),
			w.open(hwif.ProtoTCP, "[2001:db8:a::10]:29000", server6), w.open(hwif.ProtoUDP, "[2001:db8:a::11]:29000", server6),
		}
		send := func() {
			for _, f := range flows {
				f.Send(1, 40)
			}
		}
		// heal mends everything and lets the longest wait of the engine for one
		// refusal pass.
		heal := func() {
			w.k.NIC().SetFaults(sim.Faults{})
			for _, l := range []string{kernel.DemoWAN, kernel.DemoWAN2, kernel.DemoLAN} {
				must(t, w.k.LinkUp(l))
			}
			for i, a := range []string{"198.51.100.254", "198.51.100.253"} {
				must(t, w.k.SetNeighbour(kernel.DemoWAN, netip.MustParseAddr(a), hwif.MAC{2, 0, 0, 0, 0xee, byte(i)}))
			}
			for range 6 {
				w.second()
				send()
			}
		}
		macs := rapid.SampledFrom([]hwif.MAC{{}, {2, 0, 0, 0, 0xee, 1}, {2, 0, 0, 0, 0xee, 2}})
		gateways := rapid.SampledFrom([]netip.Addr{netip.MustParseAddr("198.51.100.254"), netip.MustParseAddr("198.51.100.253")})
		links := rapid.SampledFrom([]string{kernel.DemoWAN, kernel.DemoWAN2, kernel.DemoLAN})
		pick := func(rt *rapid.T) *kernel.Flow {
			if len(flows) == 0 {
				rt.Skip("no flow yet")
			}
			return flows[rapid.IntRange(0, len(flows)-1).Draw(rt, "flow")]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"open": func(rt *rapid.T) {
				n := len(flows)
				ends := [2]string{fmt.Sprintf("10.1.0.%d:%d", 10+n%8, 30000+n), serverA}
				if rapid.Bool().Draw(rt, "six") {
					ends = [2]string{fmt.Sprintf("[2001:db8:a::%x]:%d", 0x10+n%8, 30000+n), server6}
				}
				proto := rapid.SampledFrom([]uint8{hwif.ProtoTCP, hwif.ProtoUDP}).Draw(rt, "proto")
				if f, err := w.k.OpenFlow(kernel.FlowSpec{Proto: proto, Client: addr(ends[0]), Server: addr(ends[1])}); err == nil {
					flows = append(flows, f) // an error says that the way is closed just now
				}
			},
			"send":      func(rt *rapid.T) { send() },
			"heal":      func(rt *rapid.T) { heal() },
			"heal 2":    func(rt *rapid.T) { heal() }, // twice as often as any disaster
			"close":     func(rt *rapid.T) { pick(rt).Close() },
			"reset":     func(rt *rapid.T) { pick(rt).Reset() },
			"delete":    func(rt *rapid.T) { _ = w.k.DeleteConn(pick(rt).Tuple()) }, // may be gone already
			"second":    func(rt *rapid.T) { w.second() },
			"link down": func(rt *rapid.T) { must(t, w.k.LinkDown(links.Draw(rt, "link"))) },
			"link up":   func(rt *rapid.T) { must(t, w.k.LinkUp(links.Draw(rt, "link"))) },
			"mtu": func(rt *rapid.T) {
				must(t, w.k.SetMTU(links.Draw(rt, "link"), rapid.Uint16Range(1280, 1500).Draw(rt, "mtu")))
			},
			"neighbour": func(rt *rapid.T) {
				must(t, w.k.SetNeighbour(kernel.DemoWAN, gateways.Draw(rt, "gateway"), macs.Draw(rt, "mac")))
			},
			"route": func(rt *rapid.T) {
				must(t, w.k.ReplaceRoute(kernel.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Link: kernel.DemoWAN, Via: gateways.Draw(rt, "gateway")}))
			},
			"refuse": func(rt *rapid.T) {
				w.k.NIC().SetFaults(sim.Faults{Refuse: sim.Refusal{Every: rapid.IntRange(0, 3).Draw(rt, "every"), Kind: hwif.KindBusy, Text: "busy"}})
			},
			"": func(rt *rapid.T) {
				w.pump()
				send()
				if s := w.k.Stats(); s.Wrong != 0 {
					rt.Fatalf("%d frames wrong: %s", s.Wrong, s.WrongText)
				}
				w.pump()
				pairs := map[uint64]int{}
				for _, in := range w.k.NIC().Rules() {
					pairs[in.Rule.Cookie.Gen()]++
				}
				for gen, n := range pairs {
					if n != 2 {
						rt.Fatalf("generation %d has %d rules:\n%s", gen, n, w.k.NIC())
					}
				}
			},
		})
		for _, e := range w.k.Conns() {
			must(t, w.k.DeleteConn(e.Orig))
		}
		w.pump()
		if n := w.k.NIC().Stats().Rules; n != 0 {
			rt.Fatalf("%d rules left without a connection:\n%s", n, w.k.NIC())
		}
	})
}

func BenchmarkReceive(b *testing.B) {
	k, err := kernel.NewDemo(sim.NewClock(1))
	if err != nil {
		b.Fatal(err)
	}
	var flows []*kernel.Flow
	for i := range 1000 {
		f, err := k.OpenFlow(kernel.FlowSpec{Proto: hwif.ProtoTCP, Server: addr(serverA),
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(10 + i%8)}), uint16(20000+i))})
		if err != nil {
			b.Fatal(err)
		}
		flows = append(flows, f)
	}
	k.Drain()
	b.ReportAllocs()
	payload := make([]byte, 1000)
	for i := 0; b.Loop(); i++ {
		flows[i%len(flows)].SendOne(flow.Orig, payload)
	}
}
