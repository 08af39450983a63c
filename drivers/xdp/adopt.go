package xdp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/shunt-offload/shunt/hwif"
)

// adopt gives every port a slot and takes the rules that a pinned table holds. Rules
// of ports that are not here any more are removed; nothing else is changed.
func (d *Device) adopt(ctx context.Context) error {
	slots, stale, err := d.pinnedPorts()
	if err != nil {
		return openFault("", err, "reading the pinned ports")
	}
	used := map[uint32]bool{}
	for i, slot := range slots {
		d.ports[hwif.Ifindex(i)].slot = slot
		used[slot] = true
	}
	next := uint32(0)
	for _, i := range slices.Sorted(maps.Keys(d.ports)) {
		if _, has := slots[uint32(i)]; has {
			continue
		}
		for used[next] {
			next++
		}
		if next >= maxPorts {
			return fault("open", d.ports[i].name, hwif.KindFull, nil, fmt.Sprintf("the pinned table has no slot for a port, of %d", maxPorts))
		}
		d.ports[i].slot, used[next] = next, true
	}
	if err := d.adoptRules(ctx); err != nil {
		return err
	}
	for _, i := range stale {
		if d.pins != nil {
			os.Remove(d.pins.path(portPin(hwif.Ifindex(i))))
		}
		if err := d.forget(i); err != nil {
			return openFault("", err, fmt.Sprintf("forgetting ifindex %d", i))
		}
	}
	return nil
}

// pinnedPorts sorts what the table knows: slots of ports that are the same as
// when they were entered, and ports that are gone, or not named any more.
func (d *Device) pinnedPorts() (slots map[uint32]uint32, stale []uint32, err error) {
	slots = map[uint32]uint32{}
	it := d.coll.Maps[bpfMapPorts].Iterate()
	var i uint32
	var p bpfPort
	for it.Next(&i, &p) {
		port, named := d.ports[hwif.Ifindex(i)]
		if named && port.attr.Xdp != nil && d.pins.owns(hwif.Ifindex(i), port.attr.Xdp.ProgId) {
			slots[i] = p.Slot
		} else {
			stale = append(stale, i)
		}
	}
	return slots, stale, it.Err()
}

// adoptRules builds the Go side of the table from the map.
func (d *Device) adoptRules(ctx context.Context) error {
	t := d.table
	used := map[uint32]bool{}
	var twice error
	err := eachRule(ctx, t.rules, func(k *bpfRuleKey, v *bpfRuleValue) {
		if used[v.Slot] || v.Slot >= t.counts.MaxEntries() {
			twice = errors.Join(twice, fmt.Errorf("rule %x counts in slot %d, which is not its own", v.Cookie, v.Slot))
		}
		used[v.Slot] = true
		t.entries[v.Cookie] = entry{key: *k, slot: v.Slot, pair: v.Pair, outPort: v.OutPort}
		t.high = max(t.high, v.Slot+1)
	})
	if err != nil {
		return err
	}
	if twice != nil {
		return fault("open", "", hwif.KindInvalid, twice, "the pinned table is damaged: remove the directory, which ends its rules")
	}
	if d.pins != nil && !d.pins.fresh {
		if err := t.clean(used); err != nil {
			return openFault("", err, "clearing counters")
		}
	}
	for slot := t.high; slot > 0; slot-- {
		if !used[slot-1] {
			t.free = append(t.free, slot-1)
		}
	}
	if n := len(t.entries); n > 0 {
		d.log.Info("adopted rules", "device", driverName, "rules", n)
	}
	return nil
}

// clean clears the counters that no rule uses. A daemon that died between a
// remove and its end has left them behind.
func (t *table) clean(used map[uint32]bool) error {
	keys := make([]uint32, lookupBatch)
	values := make([]bpfRuleCount, lookupBatch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := t.counts.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for i, slot := range keys[:n] {
			if c := values[i]; (c.Packets != 0 || c.Bytes != 0) && !used[slot] {
				if err := t.counts.Put(slot, bpfRuleCount{}); err != nil {
					return err
				}
			}
		}
		if err != nil {
			return nil
		}
	}
}
