package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim"
)

func ports() []hwif.Port {
	return []hwif.Port{
		{Ifindex: 1, Name: "p0", MAC: hwif.MAC{2, 0, 0, 0, 0, 1}, MTU: 1500, Up: true},
		{Ifindex: 2, Name: "p1", MAC: hwif.MAC{2, 0, 0, 0, 0, 2}, MTU: 1500, Up: true},
	}
}

func newNIC(size int) *sim.NIC { return sim.New(sim.Options{Ports: ports(), MaxRules: size}) }

// nth is the n-th flow and its rule.
func nth(n int) (hwiftest.Flow, hwif.Rule) {
	f := hwiftest.Flow{N: n, Family: hwif.IPv4, Proto: hwif.ProtoUDP, NAT: hwiftest.SNAT, In: ports()[0], Out: ports()[1]}
	return f, f.Rule(hwif.NewCookie(uint64(n)+1, 0))
}

func put(t *testing.T, n *sim.NIC, r hwif.Rule) {
	t.Helper()
	if p, err := n.Install(r); err != nil || p != hwif.InHW {
		t.Fatalf("install: %s, %v", p, err)
	}
}

func TestText(t *testing.T) {
	n := newNIC(4)
	f, r := nth(1)
	put(t, n, r)
	n.Inject(1, f.Frame().MustBuild())
	m := hwif.Match{Fields: hwif.FieldsOf(hwif.FieldInPort), InPort: 2}
	if !n.AddStranger(m, hwif.Actions{Set: hwif.ActionsOf(hwif.ActDrop)}) {
		t.Fatal("no room for a stranger")
	}
	n.SetLink(2, false)
	want := `nic sim rules 2 of 4
port 1 p0 mac 02:00:00:00:00:01 mtu 1500 up
port 2 p1 mac 02:00:00:00:00:02 mtu 1500 down
rule gen 2 dir 0 in_hw packets 1 bytes 74: port 1 dst_mac 02:00:00:00:00:01 eth_type ipv4 ip_proto udp src_ip 10.1.0.1 dst_ip 10.2.0.1 src_port 40000 dst_port 443 ip_flags nofrag set eth src 02:00:00:00:00:02 set eth dst 02:00:00:00:ee:01 dec ttl set ip src 198.51.100.1 set sport 61234 csum mtu 1500 redirect 2
rule stranger in_hw packets 0 bytes 0: port 2 drop
`
	if d := cmp.Diff(want, n.String()); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

func TestFaults(t *testing.T) {
	kind := func(err error) string {
		if err == nil {
			return "ok"
		}
		return hwif.KindOf(err).String()
	}
	installs := func(n *sim.NIC, count int) (out []string) {
		for i := range count {
			_, r := nth(i)
			_, err := n.Install(r)
			out = append(out, kind(err))
		}
		return out
	}
	t.Run("full", func(t *testing.T) {
		n := newNIC(8)
		n.SetFaults(sim.Faults{Full: true})
		if d := cmp.Diff([]string{"full", "full"}, installs(n, 2)); d != "" {
			t.Error(d)
		}
	})
	t.Run("refuse", func(t *testing.T) {
		n := newNIC(8)
		n.SetFaults(sim.Faults{Refuse: sim.Refusal{Every: 3, Kind: hwif.KindBusy, Text: "firmware is thinking"}})
		if d := cmp.Diff([]string{"ok", "ok", "busy", "ok", "ok", "busy"}, installs(n, 6)); d != "" {
			t.Error(d)
		}
		n.SetFaults(sim.Faults{Refuse: sim.Refusal{Every: 1, Kind: hwif.KindOther, Text: "firmware is thinking", Removals: true}})
		_, r := nth(0)
		_, err := n.Remove(r)
		var e *hwif.Error
		if !errors.As(err, &e) || e.Kind != hwif.KindOther || e.Text != "firmware is thinking" || e.Op != "remove" {
			t.Errorf("remove: %v", err)
		}
		if s := n.Stats(); s.Rules != 4 || s.Refused != 3 || s.MaxRules != 4 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("not in hardware", func(t *testing.T) {
		n := newNIC(8)
		n.SetFaults(sim.Faults{NotInHW: true})
		f, r := nth(0)
		if p, err := n.Install(r); p != hwif.NotInHW || err != nil {
			t.Errorf("%s, %v", p, err)
		}
		if out := n.Inject(1, f.Frame().MustBuild()); out.Verdict != sim.ToKernel {
			t.Errorf("%s by a rule that is not in hardware", out.Verdict)
		}
	})
	t.Run("forget and reset", func(t *testing.T) {
		n := newNIC(8)
		installs(n, 4)
		_, r := nth(2)
		if !n.Forget(r.Cookie) || n.Forget(r.Cookie) || n.Stats().Rules != 3 {
			t.Errorf("%+v", n.Stats())
		}
		n.Reset()
		if n.Stats().Rules != 0 || n.Stats().Removes != 0 {
			t.Errorf("%+v", n.Stats())
		}
	})
	t.Run("flap", func(t *testing.T) {
		n := newNIC(8)
		f, r := nth(0)
		put(t, n, r)
		raw := f.Frame().MustBuild()
		n.SetLink(2, false)
		if out := n.Inject(1, raw); out.Verdict != sim.Dropped {
			t.Errorf("egress down: %s", out.Verdict)
		}
		n.SetLink(2, true)
		n.SetLink(1, false)
		if out := n.Inject(1, raw); out.Verdict != sim.Dropped {
			t.Errorf("ingress down: %s", out.Verdict)
		}
		n.SetLink(1, true)
		if out := n.Inject(1, raw); out.Verdict != sim.Forwarded || n.Stats().Lost != 2 {
			t.Errorf("both up: %s, %+v", out.Verdict, n.Stats())
		}
	})
}

func TestCounterLag(t *testing.T) {
	n := newNIC(8)
	n.SetFaults(sim.Faults{CounterLag: time.Second})
	f, r := nth(0)
	put(t, n, r)
	count := func() uint64 { return n.Counters(nil)[0].Packets }
	var got []uint64
	for range 5 {
		n.Inject(1, f.Frame().MustBuild())
		got = append(got, count())
		n.Clock().Advance(400 * time.Millisecond)
	}
	if d := cmp.Diff([]uint64{0, 0, 0, 3, 3}, got); d != "" {
		t.Errorf("a second behind (-want +got):\n%s", d)
	}
	if final, err := n.Remove(r); err != nil || final.Packets != 5 {
		t.Errorf("final %+v, %v: want all five", final, err)
	}
}

func TestSlow(t *testing.T) {
	n := newNIC(8)
	n.SetFaults(sim.Faults{Slow: time.Second})
	done := make(chan error, 1)
	go func() { done <- n.Delay(context.Background()) }()
	for { // until the waiter is there: it may look at the clock before or after
		n.Clock().Advance(time.Second)
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := n.Delay(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want cancelled", err)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// TestGuard: a trap on TTL 0 and 1 wins over the flow's own rule, as the guards of
// a card need that has none of its own.
func TestGuard(t *testing.T) {
	caps := sim.DefaultCaps()
	caps.Guarded = false
	n := sim.New(sim.Options{Ports: ports(), Caps: &caps})
	f, r := nth(0)
	put(t, n, r)
	put(t, n, hwif.Rule{Cookie: hwif.NewCookie(99, 0),
		Match: hwif.Match{Fields: hwif.FieldsOf(hwif.FieldInPort, hwif.FieldEthType, hwif.FieldTTL),
			InPort: 1, Family: hwif.IPv4, TTL: 0, TTLMask: 0xfe},
		Actions: hwif.Actions{Set: hwif.ActionsOf(hwif.ActTrap)}})
	for ttl, want := range map[uint8]sim.Verdict{0: sim.ToKernel, 1: sim.ToKernel, 2: sim.Forwarded, 128: sim.Forwarded} {
		s := f.Frame()
		s.TTL = ttl
		if out := n.Inject(1, s.MustBuild()); out.Verdict != want {
			t.Errorf("ttl %d: %s, want %s", ttl, out.Verdict, want)
		}
	}
}

// TestStrangers: what is not ours is listed, survives a flush, and no cookie of
// ours removes it.
func TestStrangers(t *testing.T) {
	n := newNIC(2)
	_, r := nth(0)
	if !n.AddStranger(r.Match, r.Actions) || n.AddStranger(r.Match, r.Actions) {
		t.Fatal("a stranger goes in once")
	}
	if _, err := n.Remove(r); hwif.KindOf(err) != hwif.KindNotExist {
		t.Errorf("remove a stranger: %v", err)
	}
	n.Flush()
	if got := n.Rules(); len(got) != 1 || got[0].Rule.Cookie.Ours() {
		t.Errorf("%v", got)
	}
	if got := n.Counters(nil); len(got) != 0 {
		t.Errorf("counters of a stranger: %v", got)
	}
}

func TestClock(t *testing.T) {
	c := sim.NewClock(5)
	c.Advance(3)
	if c.Now() != 8 {
		t.Errorf("%d, want 8", c.Now())
	}
	defer func() {
		if recover() == nil {
			t.Error("time ran back")
		}
	}()
	c.Advance(-1)
}

func BenchmarkInstallRemove(b *testing.B) {
	for _, size := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			n := newNIC(size)
			rules := make([]hwif.Rule, size)
			for i := range rules {
				_, rules[i] = nth(i)
				rules[i].Match.SrcPort = uint16(i >> 16)
			}
			for b.Loop() {
				for i := range rules {
					if _, err := n.Install(rules[i]); err != nil {
						b.Fatal(err)
					}
				}
				for i := range rules {
					if _, err := n.Remove(rules[i]); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(2*size), "ns/rule-op")
		})
	}
}

func BenchmarkInject(b *testing.B) {
	n := newNIC(1000)
	for i := range 1000 {
		_, r := nth(i)
		if _, err := n.Install(r); err != nil {
			b.Fatal(err)
		}
	}
	f, _ := nth(7)
	hit := f.Frame().MustBuild()
	f.N = 2000
	miss := f.Frame().MustBuild()
	for name, raw := range map[string][]byte{"forwarded": hit, "to kernel": miss} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.Inject(1, raw)
			}
		})
	}
}
