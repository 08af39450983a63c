package sim_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim"
)

// TestModel drives a card with random operations, faults and frames and holds it
// against a map: never over its size, Rules equal to the model, counters exact,
// and a frame forwarded exactly when the model has its rule.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "size")
		n := newNIC(size)
		type has struct {
			rule  hwif.Rule
			count hwif.Counter
		}
		model := map[int]*has{} // by flow number
		gen := uint64(0)
		which := rapid.IntRange(0, 11)
		fresh := func(i int) hwif.Rule {
			gen++
			_, r := nth(i)
			r.Cookie = hwif.NewCookie(gen, uint8(gen&1))
			return r
		}
		t.Repeat(map[string]func(*rapid.T){
			"install": func(t *rapid.T) {
				i := which.Draw(t, "flow")
				r := fresh(i)
				_, err := n.Install(r)
				switch {
				case model[i] != nil:
					want(t, err, hwif.KindExist)
				case len(model) == size:
					want(t, err, hwif.KindFull)
				case err != nil:
					t.Fatalf("install: %v", err)
				default:
					model[i] = &has{rule: r}
				}
			},
			"remove": func(t *rapid.T) {
				i := which.Draw(t, "flow")
				if model[i] == nil {
					_, err := n.Remove(fresh(i))
					want(t, err, hwif.KindNotExist)
					return
				}
				final, err := n.Remove(model[i].rule)
				if err != nil || final != model[i].count {
					t.Fatalf("remove: %+v, %v; want %+v", final, err, model[i].count)
				}
				delete(model, i)
			},
			"remove by a wrong cookie": func(t *rapid.T) {
				_, err := n.Remove(fresh(which.Draw(t, "flow")))
				want(t, err, hwif.KindNotExist)
			},
			"forget": func(t *rapid.T) {
				i := which.Draw(t, "flow")
				if model[i] != nil && !n.Forget(model[i].rule.Cookie) {
					t.Fatal("nothing was forgotten")
				}
				delete(model, i)
			},
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "one in ten") == 0 {
					n.Reset()
					clear(model)
				}
			},
			"refused": func(t *rapid.T) {
				n.SetFaults(sim.Faults{Refuse: sim.Refusal{Every: 1, Kind: hwif.KindOther, Removals: true}})
				i := which.Draw(t, "flow")
				_, err := n.Install(fresh(i))
				want(t, err, hwif.KindOther)
				if model[i] != nil {
					_, err = n.Remove(model[i].rule)
					want(t, err, hwif.KindOther)
				}
				n.SetFaults(sim.Faults{})
			},
			"frame": func(t *rapid.T) {
				i := which.Draw(t, "flow")
				f, _ := nth(i)
				s := f.Frame()
				s.Payload = make([]byte, rapid.IntRange(0, 100).Draw(t, "payload"))
				out := n.Inject(1, s.MustBuild())
				if forwarded := out.Verdict == sim.Forwarded; forwarded != (model[i] != nil) {
					t.Fatalf("flow %d: %s", i, out.Verdict)
				}
				if model[i] != nil {
					model[i].count.Packets++
					model[i].count.Bytes += uint64(s.L3Len())
				}
			},
			"": func(t *rapid.T) {
				listed := n.Rules()
				if len(listed) != len(model) || len(listed) > size || n.Stats().Rules != len(model) || n.Stats().MaxRules > size {
					t.Fatalf("%d listed, %d in the model, size %d, %+v", len(listed), len(model), size, n.Stats())
				}
				byCookie := map[hwif.Cookie]hwif.Installed{}
				for _, in := range listed {
					byCookie[in.Rule.Cookie] = in
				}
				for i, h := range model {
					if in := byCookie[h.rule.Cookie]; in.Rule != h.rule || in.Counter != h.count || in.Presence != hwif.InHW {
						t.Fatalf("flow %d: listed %+v, want %+v", i, in, *h)
					}
				}
			},
		})
	})
}

func want(t *rapid.T, err error, k hwif.Kind) {
	t.Helper()
	if err == nil || hwif.KindOf(err) != k {
		t.Fatalf("%v, want kind %s", err, k)
	}
}

// TestPipelineNeverBreaks feeds any bytes: no panic, and what a card forwards
// carries on as the frame's own length says.
func TestPipelineNeverBreaks(t *testing.T) {
	n := newNIC(8)
	f, r := nth(1)
	if _, err := n.Install(r); err != nil {
		t.Fatal(err)
	}
	good := f.Frame().MustBuild()
	rapid.Check(t, func(t *rapid.T) {
		raw := append([]byte(nil), good...)
		for range rapid.IntRange(0, 4).Draw(t, "edits") {
			raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		raw = raw[:rapid.IntRange(0, len(raw)).Draw(t, "length")]
		before := string(raw)
		out := n.Inject(1, raw)
		if string(raw) != before {
			t.Fatal("the caller's frame was changed")
		}
		if out.Verdict == sim.Forwarded && len(out.Frame) > len(raw) {
			t.Fatalf("%d bytes in, %d out", len(raw), len(out.Frame))
		}
	})
}
