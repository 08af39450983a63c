package xdp

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/shunt-offload/shunt/hwif"
)

// table is the Go side of the rules map: which cookie stands under which key and
// counts in which slot. It has no lock of its own; Device.mu guards it.
type table struct {
	rules, counts, holds *ebpf.Map
	entries              map[hwif.Cookie]entry
	free                 []uint32 // slots that were used, the lowest last; insert clears them
	high                 uint32   // slots at and above were never used
	limbo                []limbo
	grace                *grace
}

type entry struct {
	key     bpfRuleKey
	slot    uint32
	pair    uint32 // of the connection's hold
	outPort uint32
}

// limbo is a rule that is out of the map, while programs that found it earlier
// may still be running. Neither its slot nor its memory in the map may be used.
type limbo struct {
	cookie hwif.Cookie
	slot   uint32
	result *hwif.Result // of its remove, nil when the driver itself removed it
}

func newTable(rules, counts, holds *ebpf.Map) (*table, error) {
	g, err := newGrace()
	if err != nil {
		return nil, err
	}
	return &table{rules: rules, counts: counts, holds: holds, entries: map[hwif.Cookie]entry{}, grace: g}, nil
}

// insert makes a rule visible at once and whole: the kernel fills a new element
// before it links it (htab_map_update_elem).
func (t *table) insert(k *bpfRuleKey, v *bpfRuleValue) error {
	if _, twice := t.entries[v.Cookie]; twice {
		return fault("install", "", hwif.KindExist, nil, "the cookie is in use")
	}
	// A removed element's memory is used again by the next insert, and a program
	// that still reads it would see the new rule.
	if err := t.settle(); err != nil {
		return err
	}
	slot := t.high
	if n := len(t.free); n > 0 {
		slot = t.free[n-1]
	} else if slot >= t.counts.MaxEntries() {
		// A match that is there is KindExist even in a full table.
		if err := t.rules.Lookup(k, new(bpfRuleValue)); err == nil {
			return fault("install", "", hwif.KindExist, nil, "")
		}
		return fault("install", "", hwif.KindFull, nil, fmt.Sprintf("all %d rules are in use", t.counts.MaxEntries()))
	}
	v.Slot, v.Pair = slot, slot
	if other, ok := t.entries[hwif.NewCookie(hwif.Cookie(v.Cookie).Gen(), hwif.Cookie(v.Cookie).Dir()^1)]; ok {
		v.Pair = other.pair
	}
	if len(t.free) > 0 {
		if err := t.wipe(slot); err != nil {
			return err
		}
	}
	if err := t.rules.Update(k, v, ebpf.UpdateNoExist); err != nil {
		return fault("install", "", kindOf(err), err, "")
	}
	if n := len(t.free); n > 0 {
		t.free = t.free[:n-1]
	} else {
		t.high++
	}
	t.entries[v.Cookie] = entry{key: *k, slot: slot, pair: v.Pair, outPort: v.OutPort}
	return nil
}

// wipe zeroes a slot that was used. It is done for the next rule and not for the
// last one: a removal may be urgent. The last one's partner may still use the hold;
// to lose it is to forward as before, to keep it would hold up whoever comes next.
func (t *table) wipe(slot uint32) error {
	if err := t.counts.Put(slot, bpfRuleCount{}); err != nil {
		return fault("install", "", kindOf(err), err, "clearing the counters")
	}
	if err := t.holds.Put(slot, uint64(0)); err != nil {
		return fault("install", "", kindOf(err), err, "clearing the hold")
	}
	return nil
}

// remove takes a rule out of sight. It is gone only after settle, which fills in
// result.
func (t *table) remove(c hwif.Cookie, result *hwif.Result) error {
	e, ok := t.entries[c]
	if !ok {
		return fault("remove", "", hwif.KindNotExist, nil, "")
	}
	if err := t.rules.Delete(&e.key); err != nil && kindOf(err) != hwif.KindNotExist {
		return fault("remove", "", kindOf(err), err, "")
	}
	delete(t.entries, c)
	t.limbo = append(t.limbo, limbo{cookie: c, slot: e.slot, result: result})
	return nil
}

// settle waits until no program works with a removed rule any more, gives the
// removes their last counters, and frees the slots. On an error it changes
// nothing; the next call tries again.
func (t *table) settle() error {
	if len(t.limbo) == 0 {
		return nil
	}
	if err := t.grace.wait(); err != nil {
		return fault("remove", "", hwif.KindOther, err, "waiting until no frame is under way by a removed rule")
	}
	for len(t.limbo) > 0 {
		l := t.limbo[len(t.limbo)-1]
		var last bpfRuleCount
		if err := t.counts.Lookup(l.slot, &last); err != nil {
			return fault("remove", "", kindOf(err), err, "reading the last counters")
		}
		if l.result != nil {
			l.result.Final = hwif.Counter{Packets: last.Packets, Bytes: last.Bytes}
		}
		t.free = append(t.free, l.slot)
		t.limbo = t.limbo[:len(t.limbo)-1]
	}
	return nil
}

// about lists the cookies of the rules that enter or leave by a port.
func (t *table) about(ifindex uint32) []hwif.Cookie {
	var out []hwif.Cookie
	for c, e := range t.entries {
		if e.key.InPort == ifindex || e.outPort == ifindex {
			out = append(out, c)
		}
	}
	return out
}

func (t *table) close() error { return t.grace.close() }
