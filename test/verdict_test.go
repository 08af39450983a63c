//go:build netns

package e2e

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

func drops(f *shuntv1.Flow) bool {
	return f.Verdict == shuntv1.Verdict_VERDICT_DROP && (rig.InNIC(f.Orig) || rig.InNIC(f.Reply))
}

// TestAFlowThatNetfilterDropsMovesToTheNIC: its direction alone gets a drop rule, the
// rest of it goes on, and when the rule is gone so is the verdict.
func TestAFlowThatNetfilterDropsMovesToTheNIC(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{Policy: []string{"drop_packets: 100", "drop_life: 5m"}})
	tr := s.steady(4, 16*time.Second) // 500 packets a second each way
	s.active(tr)
	s.nft("add", "chain", "inet", "lab", "first", "{ type filter hook forward priority -10 ; }")
	s.nft("add", "rule", "inet", "lab", "first", "udp", "dport", strconv.Itoa(rig.ServerPort), "drop")
	f := s.await(tr, "hardware drops it", drops)
	if !rig.InNIC(f.Orig) || rig.InNIC(f.Reply) {
		t.Errorf("rules %s and %s, want one for orig alone", f.Orig.Rule, f.Reply.Rule)
	}
	s.await(tr, "the drop rule counts", func(f *shuntv1.Flow) bool { return drops(f) && f.Orig.Nic.Packets > rig.NIC(f).Packets/2 })
	if out := s.ctl(append([]string{"flows", "explain"}, tr.Tuple()...)...); !strings.Contains(out, "netfilter keeps dropping it") {
		t.Errorf("explain does not say why:\n%s", out)
	}
	before := s.arrived()
	s.nft("flush", "chain", "inet", "lab", "first")
	s.await(tr, "hardware forwards it again", func(f *shuntv1.Flow) bool {
		return f.Verdict == shuntv1.Verdict_VERDICT_FORWARD && rig.Active(f)
	})
	s.eventually("frames arrive again", func() error {
		if n := s.arrived() - before; n < 300 {
			return errFew(n)
		}
		return nil
	})
}

// TestMarksDecide: the ruleset's word on a flow, through its conntrack mark.
func TestMarksDecide(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{MinPkts: 1 << 20, Policy: []string{"mark_offload: 0x10000", "mark_never: 0x20000", "mark_drop: 0x40000"}})
	tr := s.steady(6, 20*time.Second) // conntrack -U would write the addresses of NAT, which can't be changed
	mark := func(bits string) {
		t.Helper()
		if _, err := s.Router.Run(t.Context(), "conntrack", "-U", "-f", "ipv6", "-p", "udp", "--orig-port-dst", strconv.Itoa(rig.ServerPort), "--mark", bits); err != nil {
			t.Fatal(err)
		}
	}
	s.await(tr, "it has too few packets", func(f *shuntv1.Flow) bool {
		return len(f.Reasons) == 1 && f.Reasons[0] == shuntv1.Reason_REASON_BELOW_THRESHOLD
	})
	mark("0x10000/0xffff0000")
	s.active(tr)
	mark("0x40000/0xffff0000")
	f := s.await(tr, "hardware drops it", drops)
	if !rig.InNIC(f.Orig) || !rig.InNIC(f.Reply) {
		t.Errorf("rules %s and %s, want both", f.Orig.Rule, f.Reply.Rule)
	}
	if !rig.Left(f, shuntv1.Cause_CAUSE_MARK_CHANGED) {
		t.Errorf("history: %s", rig.History(f))
	}
	before := s.arrived()
	time.Sleep(time.Second)
	if n := s.arrived() - before; n > 20 {
		t.Errorf("%d frames arrived of a flow that is dropped", n)
	}
	mark("0x20000/0xffff0000")
	s.await(tr, "its mark keeps it out", func(f *shuntv1.Flow) bool {
		return rig.InKernel(f) && strings.Contains(f.Text, "says never")
	})
}

// TestASynFloodGetsNoSlot: spoofed sources open connections that nobody answers, and
// others that the ruleset drops; a connection beside them is not troubled.
func TestASynFloodGetsNoSlot(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{Policy: []string{"drop_packets: 100"}})
	s.nft("insert", "rule", "inet", "lab", "forward", "tcp", "dport", "81", "drop")
	tr := s.steady(6, 12*time.Second)
	s.active(tr)
	const flood = 40_000
	s.flood(flood, 80)
	s.flood(flood, 81)
	time.Sleep(time.Second)
	if n := s.used(); n != 2 {
		t.Errorf("the device holds %d rules, want the 2 of the connection beside the flood", n)
	}
	f := s.active(tr)
	if f.Installs != 1 {
		t.Errorf("it was installed %d times: %s", f.Installs, rig.History(f))
	}
	st := s.stats()
	t.Logf("%d connections tracked, %d rules installed since the start", st.Tracked, st.Installs)
	if st.Installs != 2 {
		t.Errorf("%d rules were installed", st.Installs)
	}
}

// flood sends SYNs from as many addresses to the server.
func (s *stage) flood(n int, port uint16) {
	s.Helper()
	out, src, err := s.Client.Link(lab.ClientPort)
	if err != nil {
		s.Fatal(err)
	}
	_, dst, err := s.Router.Link(lab.LANPort)
	if err != nil {
		s.Fatal(err)
	}
	err = s.Client.Do(func() error {
		fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		to := &syscall.SockaddrLinklayer{Ifindex: out}
		rng := rand.New(rand.NewPCG(1, uint64(port)))
		for range n {
			if err := syscall.Sendto(fd, syn(src, dst, rng.Uint32()&0xffffff|0x0b000000, uint16(rng.Uint32()), port), 0, to); err != nil && err != syscall.ENOBUFS {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
}

// syn is a frame that opens a connection to the server.
func syn(src, dst net.HardwareAddr, from uint32, sport, dport uint16) []byte {
	be := binary.BigEndian
	b := make([]byte, 54)
	copy(b, dst)
	copy(b[6:], src)
	be.PutUint16(b[12:], 0x0800)
	ip, tcp := b[14:34], b[34:]
	copy(ip, []byte{0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6})
	be.PutUint32(ip[12:], from)
	server := lab.Server4.As4()
	copy(ip[16:], server[:])
	be.PutUint16(ip[10:], sum(0, ip))
	be.PutUint16(tcp, sport)
	be.PutUint16(tcp[2:], dport)
	copy(tcp[12:], []byte{0x50, 2, 0xff, 0xff})
	be.PutUint16(tcp[16:], sum(6+20, ip[12:], tcp))
	return b
}

// sum is the Internet checksum (RFC 1071).
func sum(acc uint32, parts ...[]byte) uint16 {
	for _, p := range parts {
		for i := 0; i+1 < len(p); i += 2 {
			acc += uint32(binary.BigEndian.Uint16(p[i:]))
		}
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}
