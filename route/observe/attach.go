package observe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Mode is where the programs run; a closed list.
type Mode uint8

const (
	Auto       Mode = iota // the first that works
	TCX                    // at the egress of each port; since Linux 6.6
	Tracepoint             // net_dev_start_xmit, for every device
)

func (m Mode) String() string {
	return [...]string{"auto", "tcx", "tracepoint"}[m]
}

// Error says which hook can't be used, why, and what that means.
type Error struct {
	Hook string // program, map or file
	Port string // when it is about one
	Err  error
	Text string
}

func (e *Error) Error() string {
	s := "observer: " + e.Hook
	if e.Port != "" {
		s += " on " + e.Port
	}
	return fmt.Sprintf("%s: %s: %v", s, e.Text, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// loopback has this number in every network namespace (LOOPBACK_IFINDEX).
const loopback = 1

// load makes the collection for one mode.
func (o *Observer) load(m Mode, flows uint32) error {
	spec, err := loadBpf()
	if err != nil {
		return &Error{Hook: m.String(), Err: err, Text: "reading the programs"}
	}
	if m == TCX {
		delete(spec.Programs, bpfProgAnyLeaves)
		delete(spec.Programs, bpfProgAnyEnters)
	} else {
		delete(spec.Programs, bpfProgPortLeaves)
		delete(spec.Programs, bpfProgPortEnters)
	}
	spec.Maps[bpfMapTallies].MaxEntries, spec.Maps[bpfMapEntries].MaxEntries = flows, flows
	if err := spec.Variables[bpfVarNetns].Set(o.home.inode); err != nil {
		return &Error{Hook: m.String(), Err: err, Text: "setting the network namespace"}
	}
	if o.coll, err = ebpf.NewCollection(spec); err != nil {
		return &Error{Hook: m.String(), Err: err, Text: loadText(err)}
	}
	if o.ring, err = ringbuf.NewReader(o.coll.Maps[bpfMapReports]); err != nil {
		return &Error{Hook: "ring buffer", Err: err, Text: "opening it"}
	}
	if m == TCX {
		ls, err := o.attachTCX(loopback)
		if err != nil {
			return &Error{Hook: "tcx", Err: err, Text: "the kernel has no TCX (since Linux 6.6)"}
		}
		closeAll(ls)
		return o.attachTracing(bpfProgDrop)
	}
	return o.attachTracing(bpfProgAnyLeaves, bpfProgAnyEnters, bpfProgDrop)
}

func loadText(err error) string {
	switch {
	case errors.Is(err, unix.EPERM):
		return "loading the programs needs CAP_BPF and CAP_PERFMON"
	case errors.Is(err, ebpf.ErrNotSupported):
		return "this kernel lacks what the programs need (BTF, ring buffers)"
	}
	return "this kernel does not take the programs"
}

func (o *Observer) attachTracing(names ...string) error {
	for _, name := range names {
		l, err := link.AttachTracing(link.TracingOptions{Program: o.coll.Programs[name]})
		if err != nil {
			return &Error{Hook: name, Err: err, Text: "attaching to the tracepoint"}
		}
		o.fixed = append(o.fixed, l)
	}
	return nil
}

// attachTCX looks at both ways of a device: at what comes in before all other programs,
// and at what leaves behind them.
func (o *Observer) attachTCX(i hwif.Ifindex) ([]link.Link, error) {
	var out []link.Link
	for _, way := range []struct {
		program string
		at      ebpf.AttachType
		anchor  link.Anchor
	}{{bpfProgPortLeaves, ebpf.AttachTCXEgress, link.Tail()}, {bpfProgPortEnters, ebpf.AttachTCXIngress, link.Head()}} {
		l, err := link.AttachTCX(link.TCXOptions{Interface: int(i), Program: o.coll.Programs[way.program], Attach: way.at, Anchor: way.anchor})
		if err != nil {
			closeAll(out)
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func closeAll(ls []link.Link) {
	for _, l := range ls {
		l.Close()
	}
}

// SetPorts watches these ports, of the network namespace of Open, and no others.
// An error names the ports that can't be watched; the others are.
func (o *Observer) SetPorts(ports []hwif.Port) (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.coll == nil {
		return nil // closed
	}
	if in := o.home.do(func() { err = o.setPorts(ports) }); in != nil {
		return in
	}
	return err
}

func (o *Observer) setPorts(ports []hwif.Port) error {
	want := map[hwif.Ifindex]string{}
	for _, p := range ports {
		want[p.Ifindex] = p.Name
	}
	var faults []error
	for i, ls := range o.ports {
		if _, ok := want[i]; ok && alive(ls) {
			continue
		}
		closeAll(ls)
		delete(o.ports, i)
		if err := o.coll.Maps[bpfMapPorts].Delete(uint32(i)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			faults = append(faults, &Error{Hook: "ports", Err: err, Text: "taking a port out"})
		}
	}
	for i, name := range want {
		if _, ok := o.ports[i]; ok {
			continue
		}
		if err := o.watch(i, name); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (o *Observer) watch(i hwif.Ifindex, name string) error {
	if err := o.coll.Maps[bpfMapPorts].Put(uint32(i), uint32(1)); err != nil {
		return &Error{Hook: "ports", Port: name, Err: err, Text: "entering the port"}
	}
	if o.mode != TCX {
		o.ports[i] = nil
		return nil
	}
	ls, err := o.attachTCX(i)
	if err != nil {
		return &Error{Hook: "tcx", Port: name, Err: err, Text: "attaching the programs; packets of that port are not seen"}
	}
	o.ports[i] = ls
	return o.alone(i, name)
}

// alone complains of other programs at a port's egress: one that has the last word
// (TC_ACT_OK) keeps packets from being seen.
func (o *Observer) alone(i hwif.Ifindex, name string) error {
	q, err := link.QueryPrograms(link.QueryOptions{Target: int(i), Attach: ebpf.AttachTCXEgress})
	if err != nil || len(q.Programs) <= 1 {
		return nil // what can't be asked is not known to be there
	}
	return &Error{Hook: "tcx", Port: name, Err: errOthers,
		Text: fmt.Sprintf("%d other programs come first at its egress; where one passes packets on for good (TC_ACT_OK), route.observer: tracepoint sees them", len(q.Programs)-1)}
}

var errOthers = errors.New("not alone")

// alive reports whether links still hang on their device: one that was removed
// and came back under the same number has lost them.
func alive(ls []link.Link) bool {
	for _, l := range ls {
		info, err := l.Info()
		if err != nil {
			return false
		}
		if t := info.TCX(); t == nil || t.Ifindex == 0 {
			return false
		}
	}
	return true
}
