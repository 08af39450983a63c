package xdp

import (
	"context"
	"errors"
	"iter"

	"github.com/cilium/ebpf"

	"github.com/shunt-offload/shunt/hwif"
)

// lookupBatch is how many elements one system call brings: 512 counters are one
// page pair, 512 rules 108 KB, and more gains nothing.
const lookupBatch = 512

// readCounts gives the counters of all slots that were ever used, by slot.
func (d *Device) readCounts() ([]bpfRuleCount, error) {
	d.countBuf = d.countBuf[:0]
	keys := make([]uint32, lookupBatch)
	values := make([]bpfRuleCount, lookupBatch)
	var cursor ebpf.MapBatchCursor
	for uint32(len(d.countBuf)) < d.table.high {
		n, err := d.table.counts.BatchLookup(&cursor, keys, values, nil)
		d.countBuf = append(d.countBuf, values[:n]...)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break // the end of the array
		}
		if err != nil {
			return nil, fault("count", "", kindOf(err), err, "")
		}
	}
	return d.countBuf, nil
}

// Counters appends one Counted per rule. Values are as they are now.
func (d *Device) Counters(ctx context.Context, into []hwif.Counted) ([]hwif.Counted, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts, err := d.readCounts()
	if err != nil {
		return into, err
	}
	for c, e := range d.table.entries {
		if int(e.slot) < len(counts) {
			n := counts[e.slot]
			into = append(into, hwif.Counted{Cookie: c, Counter: hwif.Counter{Packets: n.Packets, Bytes: n.Bytes}})
		}
	}
	return into, nil
}

// Rules lists the map itself, not what Go thinks that it holds.
func (d *Device) Rules(ctx context.Context) iter.Seq2[hwif.Installed, error] {
	return func(yield func(hwif.Installed, error) bool) {
		d.mu.Lock()
		list, err := d.list(ctx)
		d.mu.Unlock()
		if err != nil {
			yield(hwif.Installed{}, err)
			return
		}
		for _, in := range list {
			if !yield(in, nil) {
				return
			}
		}
	}
}

func (d *Device) list(ctx context.Context) ([]hwif.Installed, error) {
	counts, err := d.readCounts()
	if err != nil {
		return nil, err
	}
	var out []hwif.Installed
	err = eachRule(ctx, d.table.rules, func(k *bpfRuleKey, v *bpfRuleValue) {
		in := hwif.Installed{Rule: decode(k, v), Presence: hwif.InHW}
		if int(v.Slot) < len(counts) {
			n := counts[v.Slot]
			in.Counter = hwif.Counter{Packets: n.Packets, Bytes: n.Bytes}
		}
		out = append(out, in)
	})
	return out, err
}

// eachRule walks the rules map. A bucket is never split between two system
// calls, so each rule comes once.
func eachRule(ctx context.Context, rules *ebpf.Map, do func(*bpfRuleKey, *bpfRuleValue)) error {
	keys := make([]bpfRuleKey, lookupBatch)
	values := make([]bpfRuleValue, lookupBatch)
	var cursor ebpf.MapBatchCursor
	for {
		if err := ctx.Err(); err != nil {
			return fault("list", "", hwif.KindBusy, err, "")
		}
		n, err := rules.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			do(&keys[i], &values[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fault("list", "", kindOf(err), err, "")
		}
	}
}
