//go:build netns

package xdp

import (
	"testing"

	"github.com/vishvananda/netlink"

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
		w.remake(0)
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
