package xdp

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// grace waits for XDP programs. The kernel promises it for maps of maps alone: an
// update of one returns after synchronize_rcu(), so that user space knows that no
// running program uses the old value (maybe_wait_bpf_programs() in
// kernel/bpf/syscall.c). Programs and the flush of redirected frames both run
// with bottom halves off, which RCU waits for.
type grace struct {
	outer, inner *ebpf.Map
}

func newGrace() (*grace, error) {
	inner := &ebpf.MapSpec{Name: "grace_inner", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	in, err := ebpf.NewMap(inner)
	if err != nil {
		return nil, fmt.Errorf("create map: %w", err)
	}
	out, err := ebpf.NewMap(&ebpf.MapSpec{Name: "grace_outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner})
	if err != nil {
		in.Close()
		return nil, fmt.Errorf("create map of maps: %w", err)
	}
	return &grace{outer: out, inner: in}, nil
}

// wait returns when every program that was running at the call has ended.
func (g *grace) wait() error {
	if err := g.outer.Put(uint32(0), g.inner); err != nil {
		return fmt.Errorf("update map of maps: %w", err)
	}
	return nil
}

func (g *grace) close() error {
	g.inner.Close()
	return g.outer.Close()
}
