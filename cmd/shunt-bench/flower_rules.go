package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

var (
	hop   = hwif.MAC{2, 0, 0, 0, 0xee, 1}
	shape = tc.Shape{NoCsum: true, Retag: true} // mlx5's
)

// portsEach is how many connections one client has, and one address of the
// router's carries.
const portsEach = 60_000

// rule is the i-th connection through masquerade, in the direction out: a client
// behind in talks to a server behind out.
func (c *course) rule(i int) hwif.Rule {
	m := hwif.Match{Fields: hwif.RoutedFlow | hwif.FieldsOf(hwif.FieldTCPFlags), InPort: c.in.Ifindex, EthDst: c.in.MAC, Family: hwif.IPv4,
		Proto: hwif.ProtoTCP, SrcPort: uint16(1024 + i%portsEach), DstPort: 443,
		TCPFlags: hwif.TCPAck, TCPFlagsMask: hwif.TCPSyn | hwif.TCPFin | hwif.TCPRst | hwif.TCPAck}
	// Clients differ too: a hash over addresses alone must not find them all in one place.
	binary.BigEndian.PutUint32(m.Src[:], 10<<24|uint32(i)&0xffff<<8|uint32(1+i/portsEach))
	copy(m.Dst[:], []byte{192, 0, 2, 1})
	a := hwif.Actions{Set: hwif.Routed | hwif.ActionsOf(hwif.ActIPSrc, hwif.ActL4Src), EthSrc: c.out.MAC, EthDst: hop, OutPort: c.out.Ifindex,
		SrcPort: uint16(1024 + i%portsEach)}
	copy(a.IPSrc[:], []byte{198, 51, 100, byte(1 + i/portsEach)})
	return hwif.Rule{Cookie: hwif.NewCookie(uint64(i)+1, 0), Match: m, Actions: a}
}

// filters are all rules at one prio, with handles from 1 on.
func (c *course) filters(prio uint16) []tc.Filter {
	out := make([]tc.Filter, c.n)
	for i := range out {
		out[i] = tc.Filter{Place: tc.Place{Ifindex: c.in.Ifindex, Prio: prio}, Handle: uint32(i + 1), Rule: c.rule(i)}
	}
	return out
}

func ip4(a hwif.Addr) netip.Addr { return netip.AddrFrom4([4]byte(a[:4])) }

// tcAdd is the i-th rule in tc's words.
func (c *course) tcAdd(i int, prio uint16) string {
	r := c.rule(i)
	m, a := &r.Match, &r.Actions
	return fmt.Sprintf("filter add dev %s ingress protocol ip pref %d handle %#x flower skip_sw"+
		" dst_mac %s ip_proto tcp src_ip %s dst_ip %s src_port %d dst_port %d ip_flags nofrag tcp_flags %#x/%#x"+
		" action pedit ex munge eth src set %s munge eth dst set %s munge ip ttl add 0xff munge ip src set %s munge tcp sport set %d pipe no_percpu"+
		" action mirred egress redirect dev %s cookie %s no_percpu",
		c.in.Name, prio, i+1, m.EthDst, ip4(m.Src), ip4(m.Dst), m.SrcPort, m.DstPort, m.TCPFlags, m.TCPFlagsMask,
		a.EthSrc, a.EthDst, ip4(a.IPSrc), a.SrcPort, c.out.Name, r.Cookie)
}

// tcDel deletes it by its handle.
func (c *course) tcDel(i int, prio uint16) string {
	return fmt.Sprintf("filter del dev %s ingress protocol ip pref %d handle %#x flower", c.in.Name, prio, i+1)
}
