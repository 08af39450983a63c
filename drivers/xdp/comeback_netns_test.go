//go:build netns

package xdp

import (
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// TestPortComesBack: a port is deleted and made again, under another ifindex.
// Its old rules are gone, and new ones forward as before.
func TestPortComesBack(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		d := w.device(mode)
		installAll(t, d, w.flow(hwif.ProtoUDP).Rule(hwif.NewCookie(1, 0)))
		old := w.ports[0].Ifindex
		w.inRouter(func() {
			l, err := netlink.LinkByIndex(int(old))
			must(t, err, "find port")
			must(t, netlink.LinkDel(l), "delete port")
		})
		ports, err := d.Ports(t.Context())
		must(t, err, "Ports")
		if len(ports) != len(w.ports)-1 {
			t.Fatalf("%d ports after one vanished", len(ports))
		}
		for range d.Rules(t.Context()) {
			t.Error("a rule of the vanished port is left")
		}
		w.remake(0, 0)
		if w.ports[0].Ifindex == old {
			t.Fatalf("the new interface has the old ifindex %d", old)
		}
		// From another namespace nothing may be attached: ifindexes mean others.
		if ports, err = d.Ports(t.Context()); err != nil || len(ports) != len(w.ports)-1 {
			t.Fatalf("from another namespace: %d ports: %v", len(ports), err)
		}
		w.inRouter(func() { ports, err = d.Ports(t.Context()) })
		must(t, err, "Ports")
		if len(ports) != len(w.ports) {
			t.Fatalf("%d ports after it came back", len(ports))
		}
		for _, p := range ports {
			if p.Refused != "" {
				t.Errorf("%s: %s", p.Name, p.Refused)
			}
		}
		f := w.flow(hwif.ProtoUDP)
		installAll(t, d, f.Rule(hwif.NewCookie(2, 0)))
		s := f.Frame()
		out := f.Forwarded(s)
		wantFrame(t, "after the return", w.tap().inject(f.In.Ifindex, s.MustBuild()), out.MustBuild())
		back := w.flow(hwif.ProtoUDP)
		back.In, back.Out = w.ports[1], w.ports[0]
		installAll(t, d, back.Rule(hwif.NewCookie(3, 0)))
		wantVerdict(t, "towards the port that came back", w.tap().inject(back.In.Ifindex, back.Frame().MustBuild()), hwiftest.Forwarded)
	})
}

// TestPortIsAnother: what has a port's number is the port only if it was never taken
// away, and has its name.
func TestPortIsAnother(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		d := w.device(mode)
		zero := w.ports[0].Ifindex
		rename := func(old, name string) {
			l, err := netlink.LinkByName(old)
			must(t, err, "find "+old)
			must(t, netlink.LinkSetDown(l), "down "+old) // before Linux 6.2 only then
			must(t, netlink.LinkSetName(l, name), "rename "+old)
			must(t, netlink.LinkSetUp(l), "up "+name)
		}
		remove := func(i hwif.Ifindex) {
			l, err := netlink.LinkByIndex(int(i))
			must(t, err, "find port")
			must(t, netlink.LinkDel(l), "delete port")
		}
		// returned holds the ports after two looks: at the first the port is away.
		returned := func(what string, first int) {
			t.Helper()
			w.inRouter(func() {
				for _, want := range []int{first, len(w.ports)} {
					ports, err := d.Ports(t.Context())
					must(t, err, what)
					if len(ports) != want {
						t.Fatalf("%s: %d ports, want %d", what, len(ports), want)
					}
					for _, p := range ports {
						l, err := netlink.LinkByName(p.Name)
						must(t, err, what)
						if p.Refused != "" || hwif.Ifindex(l.Attrs().Index) != p.Ifindex {
							t.Errorf("%s: %s, ifindex %d, is listed as %d, refused: %q", what, p.Name, l.Attrs().Index, p.Ifindex, p.Refused)
						}
					}
				}
			})
			f := w.flow(hwif.ProtoUDP)
			rule := f.Rule(hwif.NewCookie(1, 0))
			for range d.Rules(t.Context()) {
				t.Errorf("%s: a rule of before is left", what)
			}
			installAll(t, d, rule)
			s := f.Frame()
			wantFrame(t, what, w.tap().inject(f.In.Ifindex, s.MustBuild()), f.Forwarded(s).MustBuild())
		}
		installAll(t, d, w.flow(hwif.ProtoUDP).Rule(hwif.NewCookie(1, 0)))

		w.inRouter(func() { remove(zero) })
		w.remake(0, zero)
		returned("the same number", 2)

		// A stranger has the number, and the port another one.
		w.inRouter(func() {
			remove(zero)
			a := netlink.NewLinkAttrs()
			a.Name, a.Index = "stranger", int(zero)
			must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "its-peer"}), "add stranger")
		})
		w.remake(0, 0)
		returned("a stranger", 2)

		// Two change names.
		for end, space := range map[string]netns.NsHandle{"p": w.router, "e": w.peers} {
			in(t, space, func() {
				rename(end+"0", end+"9")
				rename(end+"1", end+"0")
				rename(end+"9", end+"1")
			})
		}
		w.ports[0], w.ports[1] = w.port(0), w.port(1)
		returned("names changed", 1)
	})
}
