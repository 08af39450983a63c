package sim

import (
	"iter"
	"math/bits"
	"slices"

	"github.com/shunt-offload/shunt/hwif"
)

// shape is what a rule compares, without the values. A table keeps one hash per
// shape, as cls_flower keeps one per mask.
type shape struct {
	fields                hwif.FieldSet
	tcpFlagsMask, ttlMask uint8
}

func shapeOf(m *hwif.Match) shape { return shape{m.Fields, m.TCPFlagsMask, m.TTLMask} }

// entry is one rule in the table.
type entry struct {
	rule     hwif.Rule
	counter  hwif.Counter
	shown    hwif.Counter // as of the latest snapshot, for counters that lag
	software bool         // accepted, but not in hardware: forwards nothing
	slot     int          // place in table.entries
}

// table holds rules by shape and match. Entries are used again, so that a full
// table costs nothing to churn.
type table struct {
	byShape map[shape]map[hwif.Match]*entry
	shapes  []shape  // keys of byShape, most fields first
	entries []*entry // in order of installation; nil where one was removed
	holes   int
	free    []*entry
}

func newTable() table { return table{byShape: map[shape]map[hwif.Match]*entry{}} }

func (t *table) len() int { return len(t.entries) - t.holes }

func (t *table) find(m *hwif.Match) *entry { return t.byShape[shapeOf(m)][*m] }

func (t *table) add(r *hwif.Rule) *entry {
	s := shapeOf(&r.Match)
	hash := t.byShape[s]
	if hash == nil {
		hash = map[hwif.Match]*entry{}
		t.byShape[s] = hash
		t.shapes = append(t.shapes, s)
		slices.SortStableFunc(t.shapes, func(a, b shape) int {
			return bits.OnesCount32(uint32(b.fields)) - bits.OnesCount32(uint32(a.fields))
		})
	}
	var e *entry
	if k := len(t.free); k > 0 {
		e, t.free = t.free[k-1], t.free[:k-1]
	} else {
		e = new(entry)
	}
	*e = entry{rule: *r, slot: len(t.entries)}
	hash[r.Match] = e
	t.entries = append(t.entries, e)
	return e
}

func (t *table) remove(e *entry) {
	delete(t.byShape[shapeOf(&e.rule.Match)], e.rule.Match)
	t.entries[e.slot] = nil
	t.free = append(t.free, e)
	if t.holes++; t.holes > 64 && t.holes > len(t.entries)/2 {
		t.entries = slices.DeleteFunc(t.entries, func(e *entry) bool { return e == nil })
		for i, e := range t.entries {
			e.slot = i
		}
		t.holes = 0
	}
}

// removeIf removes what yes says, and gives the number.
func (t *table) removeIf(yes func(e *entry) bool) int {
	var out []*entry
	for e := range t.all() {
		if yes(e) {
			out = append(out, e)
		}
	}
	for _, e := range out {
		t.remove(e)
	}
	return len(out)
}

// all walks the rules in order of installation. The table must not change
// meanwhile.
func (t *table) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, e := range t.entries {
			if e != nil && !yield(e) {
				return
			}
		}
	}
}

// lookup finds the rule for a frame. A trap wins over all, which is what guards
// are for; else the rule that compares most.
func (t *table) lookup(h *header) *entry {
	var best *entry
	for _, s := range t.shapes {
		m, ok := h.project(s)
		if !ok {
			continue
		}
		e := t.byShape[s][m]
		if e == nil || e.software {
			continue
		}
		if e.rule.Actions.Set.Has(hwif.ActTrap) {
			return e
		}
		if best == nil {
			best = e
		}
	}
	return best
}
