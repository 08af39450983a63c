package flow_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// TestTable holds the arena against a plain map through random additions,
// removals and look-ups.
func TestTable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := flow.NewTable()
		model := map[flow.Tuple]uint64{} // orig tuple → UID
		ids := map[flow.Tuple]flow.ID{}
		entryOf := func(n int) flow.Entry {
			e := settled()
			e.Orig.SrcPort, e.Reply.DstPort = uint16(n), uint16(n)
			return e
		}
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			e := entryOf(rapid.IntRange(1, 20).Draw(rt, "n"))
			_, held := model[e.Orig]
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				if !held {
					id, f := table.Add(&e, 1)
					model[e.Orig], ids[e.Orig] = f.UID, id
				}
			case 1:
				if held {
					table.Remove(ids[e.Orig])
					delete(model, e.Orig)
				}
			case 2:
				if held {
					table.IndexReply(ids[e.Orig])
					if id, ok := table.Find(e.Reply); !ok || id != ids[e.Orig] {
						rt.Fatalf("%s is not found by its reply tuple", e.Orig)
					}
				}
			}
			if table.Len() != len(model) {
				rt.Fatalf("%d flows, want %d", table.Len(), len(model))
			}
		}
		for n := 1; n <= 20; n++ {
			e := entryOf(n)
			id, ok := table.Find(e.Orig)
			if uid, held := model[e.Orig]; ok != held || (ok && table.At(id).UID != uid) {
				rt.Fatalf("%s: found %v, want %v", e.Orig, ok, held)
			}
		}
	})
}

// TestReplyIndexEnds: a successor must not be found by the tuple of a flow that
// is gone.
func TestReplyIndexEnds(t *testing.T) {
	table := flow.NewTable()
	e := settled()
	id, _ := table.Add(&e, 1)
	table.IndexReply(id)
	table.Unindex(id)
	for _, tu := range []flow.Tuple{e.Orig, e.Reply} {
		if _, ok := table.Find(tu); ok {
			t.Errorf("%s is still found", tu)
		}
	}
}
