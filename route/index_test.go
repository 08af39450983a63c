package route

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// TestIndex holds the index against a plain map through random puts, changes
// and drops, and expects it empty to the last list at the end.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		type entry struct {
			a, b netip.Addr
			path [2]path
		}
		model := map[flow.ID]entry{}
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			b := rapid.SampledFrom([]byte{1, 2, 3, 130}).Draw(t, "host")
			if rapid.Bool().Draw(t, "v6") {
				return netip.AddrFrom16([16]byte{0x20, 1, 15: b})
			}
			return netip.AddrFrom4([4]byte{10, 0, b & 1, b})
		})
		way := rapid.Custom(func(t *rapid.T) path {
			if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
				return path{}
			}
			p := path{L3In: hwif.Ifindex(rapid.IntRange(1, 4).Draw(t, "in")), L3Out: hwif.Ifindex(rapid.IntRange(1, 4).Draw(t, "out")), Family: hwif.IPv4}
			p.Route.In, p.Route.Out = p.L3In, hwif.Ifindex(rapid.IntRange(1, 4).Draw(t, "port"))
			p.Nexthop[0] = rapid.SampledFrom([]byte{0, 1, 2}).Draw(t, "nexthop")
			return p
		})
		check := func() {
			if x.count != len(model) {
				t.Fatalf("count %d, want %d", x.count, len(model))
			}
			for _, s := range []string{"10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/8", "10.0.0.130/32", "2001::/16", "2001::1/128"} {
				p := netip.MustParsePrefix(s)
				var got, want []flow.ID
				x.within(p, func(t *tracked) { got = append(got, t.q.ID) })
				for id, e := range model {
					if p.Contains(e.a) {
						want = append(want, id)
					}
					if p.Contains(e.b) {
						want = append(want, id)
					}
				}
				equal(t, s, got, want)
			}
			for dev := range hwif.Ifindex(6) {
				var got, want []flow.ID
				x.onLink(dev, func(id flow.ID) { got = append(got, id) })
				for id, e := range model {
					for _, p := range e.path {
						if in := p.ifaces(); dev != 0 && slices.Contains(in[:], dev) {
							want = append(want, id)
						}
					}
				}
				equal(t, fmt.Sprint("link ", dev), got, want)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := flow.ID(rapid.IntRange(0, 12).Draw(t, "id"))
			switch rapid.IntRange(0, 2).Draw(t, "do") {
			case 0:
				a, b := addr.Draw(t, "a"), addr.Draw(t, "b")
				q := flow.Query{ID: id}
				q.Orig.Src, q.Orig.Family = hwif.AddrFrom(a)
				q.Reply.Src, q.Reply.Family = hwif.AddrFrom(b)
				v := verdict{path: [2]path{way.Draw(t, "orig"), way.Draw(t, "reply")}}
				x.put(&q, &v)
				model[id] = entry{a, b, v.path}
			case 1:
				if tr := x.get(id); tr != nil {
					v := verdict{path: [2]path{way.Draw(t, "orig"), way.Draw(t, "reply")}}
					x.amend(tr, &v)
					e := model[id]
					e.path = v.path
					model[id] = e
				}
			default:
				_, had := model[id]
				if x.drop(id) != had {
					t.Fatalf("drop of %d says otherwise than %v", id, had)
				}
				delete(model, id)
			}
			check()
		}
		for id := range model {
			x.drop(id)
		}
		if n := x.addrs.Size(); n != 0 || x.count != 0 || len(x.paths.byPath)+len(x.paths.byLink)+len(x.paths.byNeigh) != 0 {
			t.Fatalf("left over: %d addresses, paths %+v", n, x.paths)
		}
		for _, c := range []*chains{&x.onPath, &x.byAddr, &x.paths.linkList, &x.paths.neighs} {
			for _, l := range c.nodes {
				if l != (link{}) {
					t.Fatal("a node is left on a list")
				}
			}
		}
	})
}

func equal(t *rapid.T, what string, got, want []flow.ID) {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}
