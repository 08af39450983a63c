package route

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// fakeHost is a kernel with a routing table of host-side functions.
type fakeHost struct {
	// route answers a look-up; nil takes routes.
	route  func(*rtnl.Ask) rtnl.Answer
	routes map[netip.Prefix]rtnl.Route
	uses   []use
	links  map[hwif.Ifindex]rtnl.Link
}

type use struct {
	n      rtnl.Neigh
	create bool
}

func (h *fakeHost) lookup(asks []rtnl.Ask, out []rtnl.Answer) error {
	for i := range asks {
		if h.route != nil {
			out[i] = h.route(&asks[i])
		} else {
			out[i] = h.fib(&asks[i])
		}
	}
	return nil
}

// fib is a longest prefix match; RTA_OIF narrows it as the kernel does.
func (h *fakeHost) fib(a *rtnl.Ask) rtnl.Answer {
	best, dst := -1, a.Dst.Netip(a.Family)
	out := rtnl.Answer{Errno: unix.ENETUNREACH}
	for p, r := range h.routes {
		if p.Contains(dst) && p.Bits() > best && (a.Oif == 0 || r.Oif == a.Oif) {
			best = p.Bits()
			r.Family, r.DstLen = a.Family, uint8(p.Bits())
			r.Dst, _ = hwif.AddrFrom(p.Addr())
			if r.Type == 0 {
				r.Type = unix.RTN_UNICAST
			}
			out = rtnl.Answer{Route: r}
		}
	}
	return out
}

func (h *fakeHost) Link(i hwif.Ifindex) (rtnl.Link, error) {
	l, ok := h.links[i]
	if !ok {
		return l, unix.ENODEV
	}
	return l, nil
}

func (h *fakeHost) UseNeigh(n *rtnl.Neigh, create bool) error {
	h.uses = append(h.uses, use{*n, create})
	return nil
}

var pfx = netip.MustParsePrefix

func ip(s string) hwif.Addr {
	a, _ := hwif.AddrFrom(netip.MustParseAddr(s))
	return a
}

func via(s string, oif hwif.Ifindex) rtnl.Route {
	r := rtnl.Route{Oif: oif}
	if s != "" {
		r.Gateway, r.GwFamily = hwif.AddrFrom(netip.MustParseAddr(s))
	}
	return r
}

// fixture is a core on a fake host: ports 1, 2 and 3 on device 0, 4 on device 1;
// 10.0.0.0/24 behind 1, 198.51.100.0/24 via 10.0.1.2 on 2, and so on.
type fixture struct {
	*core
	t    testing.TB
	host *fakeHost
	said []flow.Event
}

const up = unix.IFF_UP | unix.IFF_LOWER_UP | unix.IFF_BROADCAST

func newFixture(t testing.TB) *fixture {
	h := &fakeHost{links: map[hwif.Ifindex]rtnl.Link{}, routes: map[netip.Prefix]rtnl.Route{
		netip.MustParsePrefix("10.0.0.0/24"):     via("", 1),
		netip.MustParsePrefix("198.51.100.0/24"): via("10.0.1.2", 2),
		netip.MustParsePrefix("203.0.113.0/24"):  via("10.0.2.2", 3),
		netip.MustParsePrefix("192.0.2.0/24"):    via("10.0.3.2", 4),
		netip.MustParsePrefix("fd00::/64"):       via("", 1),
		netip.MustParsePrefix("2001:db8::/32"):   via("fe80::2", 2),
	}}
	c := newCore(h.lookup, false)
	f := &fixture{core: &c, t: t, host: h}
	c.host = h
	c.emit = func(e flow.Event) { f.said = append(f.said, e) }
	var ports []hwif.Port
	for i, name := range []string{"", "a", "b", "c", "d"} {
		if i == 0 {
			continue
		}
		f.setLink(rtnl.Link{Index: hwif.Ifindex(i), Name: name, Type: unix.ARPHRD_ETHER, Flags: up, MTU: 1500,
			MAC: hwif.MAC{2, 0, 0, 0, byte(i), 1}})
		ports = append(ports, hwif.Port{Ifindex: hwif.Ifindex(i), Name: name, Device: hwif.DeviceID(i / 4)})
		for _, fam := range families {
			c.view.setConf(rtnl.Conf{Ifindex: int32(i), Family: fam, Forwarding: 1, RPFilter: 0})
		}
	}
	c.view.setConf(rtnl.Conf{Ifindex: rtnl.ConfAll, Family: hwif.IPv6, Forwarding: 1})
	c.setPorts(ports)
	for _, n := range []struct {
		a   string
		dev hwif.Ifindex
	}{{"10.0.0.2", 1}, {"10.0.1.2", 2}, {"10.0.2.2", 3}, {"10.0.3.2", 4}, {"fd00::2", 1}, {"fe80::2", 2}} {
		f.neigh(n.a, n.dev, unix.NUD_REACHABLE, hwif.MAC{2, 0, 0, 0, byte(n.dev), 2})
	}
	c.sweeps = [2]sweep{}
	return f
}

func (f *fixture) setLink(l rtnl.Link) {
	f.host.links[l.Index] = l
	f.onLink(&l, false)
}

func (f *fixture) neigh(a string, dev hwif.Ifindex, state uint16, m hwif.MAC) {
	addr, fam := hwif.AddrFrom(netip.MustParseAddr(a))
	f.onNeigh(&rtnl.Neigh{Dst: addr, Family: fam, Ifindex: dev, State: state, MAC: m}, false)
}

// work does everything that is queued.
func (f *fixture) work() {
	f.t.Helper()
	for range 1 << 20 {
		f.now++
		busy, err := f.step()
		if err != nil {
			f.t.Fatal(err)
		}
		if !busy {
			return
		}
	}
	f.t.Fatal("work does not end")
}

// tell gives what was said since the last call.
func (f *fixture) tell() []flow.Event {
	s := f.said
	f.said = nil
	return s
}

func (f *fixture) ask1(q flow.Query) flow.Answer {
	f.t.Helper()
	if err := f.resolve([]flow.Query{q}); err != nil {
		f.t.Fatal(err)
	}
	s := f.tell()
	if len(s) != 1 {
		f.t.Fatalf("said %v, want one answer", s)
	}
	return s[0].(flow.Answer)
}

// tcp is the query of a connection without NAT; dst may be "addr:port".
func tcp(id flow.ID, src, dst string) flow.Query {
	return natted(id, src, dst, dst, src)
}

// natted is a query with the reply tuple given by itself.
func natted(id flow.ID, src, dst, rsrc, rdst string) flow.Query {
	return flow.Query{ID: id, Gen: uint64(id)*100 + 1, Orig: tuple(src, dst), Reply: tuple(rsrc, rdst)}
}

func tuple(src, dst string) flow.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	t := flow.Tuple{SrcPort: s.Port(), DstPort: d.Port(), Proto: hwif.ProtoTCP}
	t.Src, t.Family = hwif.AddrFrom(s.Addr())
	t.Dst, _ = hwif.AddrFrom(d.Addr())
	return t
}
