//go:build vm

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
	"github.com/shunt-offload/shunt/sim/simnic"
	"github.com/shunt-offload/shunt/sim/traffic"
)

// paced is a long transfer that an emulated machine can follow: a minute, one in a
// hundred of which is time enough for the rules to go in. Its stories run side by
// side, each with a card of its own.
var paced = traffic.TCPRequest{Bytes: 30_000_000, Rate: 500_000, Direction: traffic.Up, Seed: 1}

// cards numbers them: their names are the machine's.
var cards atomic.Uint32

// playCard is a stage whose router has an emulated card between client and server,
// mlx5 unless the driver is another: the client is a VF, the server behind the
// uplink.
func playCard(t *testing.T, lo lab.Options, do rig.DaemonOptions) *stage {
	t.Helper()
	if do.Driver == "" {
		do.Driver = "mlx5"
	}
	lo.NIC = &simnic.Options{ID: uint(cards.Add(1)), Profile: do.Driver, Mode: "switchdev"}
	s := set(t, lo)
	for _, port := range []string{lab.LANPort, lab.WANPort} { // off at first on ice
		if _, err := s.Router.Run(t.Context(), "ethtool", "-K", port, "hw-tc-offload", "on"); err != nil {
			t.Fatal(err)
		}
	}
	// A card leaves the FINs to the kernel and goes on with the last ACK, until the
	// rules are out: conntrack may not see it, and then the entry ends in LAST_ACK.
	s.closes = []string{"FIN_WAIT", "LAST_ACK"}
	s.daemon(do)
	return s
}

func TestCardTCPMasquerade(t *testing.T) {
	t.Parallel()
	playCard(t, lab.Options{}, rig.DaemonOptions{}).carries(4, paced)
}

func TestCardTCPDNAT(t *testing.T) {
	t.Parallel()
	playCard(t, lab.Options{NoNAT: true, DNAT: true}, rig.DaemonOptions{}).carries(4, paced)
}

func TestCardTCPIPv6(t *testing.T) {
	t.Parallel()
	playCard(t, lab.Options{}, rig.DaemonOptions{}).carries(6, paced)
}

func TestCardTCPVLANToUntagged(t *testing.T) {
	t.Parallel()
	playCard(t, lab.Options{VLAN: 100}, rig.DaemonOptions{}).carries(4, paced)
}

func TestCardUDPWithSNATAndDNAT(t *testing.T) {
	s := playCard(t, lab.Options{DNAT: true}, rig.DaemonOptions{})
	four, six := s.trickle(4, 12*time.Second), s.trickle(6, 12*time.Second)
	s.active(four)
	s.active(six)
	s.inHW()
	s.untouched(2 * time.Second)
	s.udpDone(four, 100)
	s.udpDone(six, 100)
}

// trickle is a UDP pair of streams at a pace that leaves an emulated machine time:
// what is lost then was lost on the way, and up to half a second of it may be a
// receiver that was not scheduled.
func (s *stage) trickle(version int, d time.Duration) *rig.Transfer {
	s.Helper()
	const rate = 200
	return s.udp(version, traffic.UDPRequest{Datagrams: int(d.Seconds() * rate), Size: 200, Rate: rate, Direction: traffic.Both, Seed: 4})
}

// A route, a neighbour and a link change under a transfer: what the card has follows.
func TestCardFollowsTheNetwork(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.tcp(4, traffic.TCPRequest{Bytes: 20_000_000, Rate: 1_000_000, Direction: traffic.Up, Seed: 1})
	s.active(tr)
	s.inHW()
	s.untouched(time.Second)
	if err := s.UseHop4(t.Context(), lab.HopB); err != nil {
		t.Fatal(err)
	}
	s.await(tr, "it left for the new route and is back", func(f *shuntv1.Flow) bool {
		return rig.Left(f, shuntv1.Cause_CAUSE_ROUTE_CHANGED) && rig.Active(f)
	})
	if err := s.ChangeMAC(t.Context(), lab.HopB, "02:00:00:00:be:ef"); err != nil {
		t.Fatal(err)
	}
	s.await(tr, "it left for the new MAC and is back", func(f *shuntv1.Flow) bool {
		return rig.Left(f, shuntv1.Cause_CAUSE_NEIGHBOUR_CHANGED) && rig.Active(f)
	})
	s.untouched(time.Second)
	s.tcpDone(tr)
}

// With its entry gone from conntrack a flow's rules are gone from the card, though
// its packets go on.
func TestCardConntrackDelete(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.trickle(4, 10*time.Second)
	s.active(tr)
	old := s.flowRules()
	if len(old) != 2 {
		t.Fatalf("rules of flows in the card: %+v", old)
	}
	if _, err := s.Router.Run(t.Context(), "conntrack", "-D", "-p", "udp"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the old connection's rules are gone", func() error {
		for cookie := range s.flowRules() {
			if r, ok := old[cookie]; ok {
				return fmt.Errorf("still there: %+v", r)
			}
		}
		return nil
	})
	<-tr.Ended() // how it fares without its NAT binding is not ours to say
}

// flowRules are the rules in the card that forward, by cookie.
func (s *stage) flowRules() map[string]simnic.Rule {
	s.Helper()
	rules, err := s.Card().Rules()
	if err != nil {
		s.Fatal(err)
	}
	out := map[string]simnic.Rule{}
	for _, r := range rules {
		if strings.Contains(r.Acts, "redirect") {
			out[r.Cookie] = r
		}
	}
	return out
}

// A card whose rules match one TTL carries a flow once the observer has seen with
// which its packets arrive.
func TestCardOfOneTTL(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{Driver: "nfp"})
	tr := s.trickle(4, 6*time.Second)
	f := s.active(tr)
	if o, r := f.Orig.Route, f.Reply.Route; o.Learnt != shuntv1.Learnt_LEARNT_PACKET || r.Learnt != shuntv1.Learnt_LEARNT_PACKET {
		t.Errorf("learnt from %s and %s", o.Learnt, r.Learnt)
	}
	s.udpDone(tr, 100)
}

// A card that can only drop drops what netfilter was seen dropping, and nothing else.
func TestCardThatOnlyDrops(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{Driver: "ice", Policy: []string{"drop_packets: 5", "drop_life: 2m"}})
	if _, err := s.Router.Run(t.Context(), "nft", "insert", "rule", "inet", "lab", "forward", "udp", "dport", strconv.Itoa(rig.ServerPort), "counter", "drop"); err != nil {
		t.Fatal(err)
	}
	tr := s.trickle(4, 20*time.Second)
	s.eventually("the card drops it", func() error {
		fs, err := s.d.List(t.Context(), "")
		if err != nil {
			return err
		}
		for _, f := range fs {
			if f.Verdict == shuntv1.Verdict_VERDICT_DROP && rig.InNIC(f.Orig) && !rig.InNIC(f.Reply) {
				return nil
			}
		}
		return fmt.Errorf("%d flows, none of them dropped by hardware", len(fs))
	})
	dropped := func() string {
		out, err := s.Router.Run(t.Context(), "nft", "list", "chain", "inet", "lab", "forward")
		if err != nil {
			t.Fatal(err)
		}
		_, count, _ := strings.Cut(out, "counter packets ")
		return strings.Fields(count + " none")[0]
	}
	time.Sleep(300 * time.Millisecond)
	before := dropped()
	time.Sleep(time.Second)
	if after := dropped(); after != before {
		t.Errorf("the kernel goes on dropping: %s packets before, %s now", before, after)
	}
	_ = tr // it ends with the lab: nothing of it arrives
}

// Cards that cannot carry a routed flow, or not yet, say why, and carry none.
func TestCardSaysWhyNot(t *testing.T) {
	for driver, want := range map[string]struct {
		reason shuntv1.Reason
		says   string
	}{
		"ice": {shuntv1.Reason_REASON_ACTION_UNSUPPORTED, "dec ttl"},
		"nfp": {shuntv1.Reason_REASON_ROUTE_UNOBSERVED, "one TTL"},
	} {
		t.Run(driver, func(t *testing.T) {
			s := playCard(t, lab.Options{}, rig.DaemonOptions{Driver: driver, Route: []string{`observer: "off"`}})
			tr := s.trickle(4, 4*time.Second)
			f := s.await(tr, "it says why it is in software", func(f *shuntv1.Flow) bool {
				return rig.InKernel(f) && hasReason(f, want.reason)
			})
			if out := s.ctl(append([]string{"flows", "explain"}, tr.Tuple()...)...); !strings.Contains(out, want.says) {
				t.Errorf("%s\n%s", rig.Describe(f), out)
			}
			if rules := s.flowRules(); len(rules) != 0 {
				t.Errorf("rules in the card: %+v", rules)
			}
			s.udpDone(tr, 100)
		})
	}
}

// guards are mlx5's, on two ports.
const guards = 8

func (s *stage) cardUsed() uint64 {
	s.Helper()
	st, err := s.Card().Stats()
	if err != nil {
		s.Fatal(err)
	}
	return st.Used
}

// A daemon that is killed leaves its rules, and the transfer goes on in the card. The
// next one takes them out, and in again by packets that it has seen; where the ruleset
// is not to matter it adopts them as they are.
func TestCardKillAndAdopt(t *testing.T) {
	for name, want := range map[string]struct{ adopted, ghosts uint64 }{"relearn": {0, 2}, "keep": {2, 0}} {
		t.Run(name, func(t *testing.T) {
			s := playCard(t, lab.Options{}, rig.DaemonOptions{OnExit: "keep", Policy: []string{"ruleset: " + name}})
			tr := s.trickle(4, 15*time.Second)
			s.active(tr)
			if err := s.d.Kill(); err != nil {
				t.Fatal(err)
			}
			s.untouched(time.Second)
			if err := s.d.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.await(tr, "it is the new daemon's", func(f *shuntv1.Flow) bool { return rig.Active(f) && s.stats().Adopted+s.stats().Ghosts > 0 })
			if n := s.cardUsed(); n != guards+2 {
				t.Errorf("%d rules in the card, want %d: never doubled", n, guards+2)
			}
			if st := s.stats(); st.Adopted != want.adopted || st.Ghosts != want.ghosts {
				t.Errorf("%d rules adopted and %d removed, want %+v", st.Adopted, st.Ghosts, want)
			}
			s.untouched(time.Second)
			s.udpDone(tr, 100)
		})
	}
}

// SIGTERM gives everything back: no rule, no guard, no qdisc of ours.
func TestCardFlushesAtTheEnd(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.trickle(4, 6*time.Second)
	s.active(tr)
	if err := s.d.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := s.cardUsed(); n != 0 {
		t.Errorf("%d rules are left in the card", n)
	}
	out, err := s.Router.Run(t.Context(), "tc", "qdisc", "show", "clsact")
	if err != nil || strings.Contains(out, "clsact") {
		t.Errorf("%q %v", out, err)
	}
	s.udpDone(tr, 100)
}

// A full table keeps a flow in software with its reason, both directions.
func TestCardFull(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{})
	if err := s.Card().Full(true); err != nil {
		t.Fatal(err)
	}
	tr := s.trickle(4, 25*time.Second) // the second attempt comes after five seconds, a third after ten more
	f := s.await(tr, "it is refused", func(f *shuntv1.Flow) bool { return rig.InKernel(f) && hasReason(f, shuntv1.Reason_REASON_TABLE_FULL) })
	t.Logf("%s", rig.Describe(f))
	if n := s.cardUsed(); n != guards {
		t.Errorf("%d rules in the card, want the %d guards: both directions or neither", n, guards)
	}
	if err := s.Card().Full(false); err != nil {
		t.Fatal(err)
	}
	s.active(tr)
	s.udpDone(tr, 100)
}

func hasReason(f *shuntv1.Flow, r shuntv1.Reason) bool {
	for _, x := range f.Reasons {
		if x == r {
			return true
		}
	}
	return false
}

// After a reset the card is empty while tc says in_hw: the rules are written again.
func TestCardReset(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{})
	// All flows at once: one alone could have been lost in another way.
	four, six := s.trickle(4, 15*time.Second), s.trickle(6, 15*time.Second)
	s.active(four)
	s.active(six)
	if err := s.Card().Reset(); err != nil {
		t.Fatal(err)
	}
	for _, tr := range []*rig.Transfer{four, six} {
		s.await(tr, "it came back after the reset", func(f *shuntv1.Flow) bool {
			return rig.Left(f, shuntv1.Cause_CAUSE_DEVICE_RESET) && rig.Active(f)
		})
	}
	if n := s.cardUsed(); n != guards+4 {
		t.Errorf("%d rules in the card, want %d", n, guards+4)
	}
	s.untouched(time.Second)
	s.udpDone(four, 100)
	s.udpDone(six, 100)
}

// Somebody takes the qdisc away: it is made again, with guards and rules.
func TestCardQdiscDeleted(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.trickle(4, 15*time.Second)
	s.active(tr)
	if _, err := s.Router.Run(t.Context(), "tc", "filter", "add", "dev", lab.WANPort, "ingress", "protocol", "ip", "pref", "3", "flower", "skip_sw",
		"dst_ip", "203.0.113.77", "action", "drop"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Router.Run(t.Context(), "tc", "qdisc", "del", "dev", lab.LANPort, "clsact"); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is repaired", func() error {
		f, err := s.d.Get(t.Context(), tr)
		if err != nil {
			return err
		}
		if n := s.cardUsed(); !rig.Active(f) || n != guards+2+1 {
			return fmt.Errorf("%d rules in the card; %s", n, rig.Describe(f))
		}
		return nil
	})
	s.untouched(time.Second)
	out, err := s.Router.Run(t.Context(), "tc", "filter", "show", "dev", lab.WANPort, "ingress", "pref", "3")
	if err != nil || !strings.Contains(out, "203.0.113.77") {
		t.Errorf("somebody else's filter was touched: %q %v", out, err)
	}
	s.udpDone(tr, 100)
}

// A VF that is unplugged takes its flow's rules along, at both ports.
func TestCardUnplug(t *testing.T) {
	s := playCard(t, lab.Options{}, rig.DaemonOptions{})
	tr := s.trickle(4, 5*time.Second)
	s.active(tr)
	if err := s.Card().Unplug(0); err != nil {
		t.Fatal(err)
	}
	s.eventually("no rule points to the VF that was", func() error {
		if rules := s.flowRules(); len(rules) > 0 {
			return fmt.Errorf("still there: %+v", rules)
		}
		return nil
	})
}
