package conntrack

import "github.com/shunt-offload/shunt/hwif/flow"

// touch refreshes or releases up to batchMax entries. It reads each first: a
// write sends an UPDATE to every listener on the host, which a needless one
// would only burden, and a tuple may belong to another entry by now.
func (k *keeper) touch(ts []flow.Touch) error {
	n := len(ts)
	tuple := func(i int) *flow.Tuple { return &ts[i].Orig }
	if err := k.get(n, false, tuple); err != nil {
		return err
	}
	for i := range n {
		e := &k.got[i]
		if k.state[i] == fine && (e.Orig != ts[i].Orig || e.ID != ts[i].EntryID || e.Status&flow.StatusDying != 0) {
			k.state[i] = gone
		}
	}
	writes, err := k.change(n, tuple, func(i int) change { return touched(&k.got[i], &ts[i]) })
	if err != nil {
		return err
	}
	k.count.touchWrites.Add(uint64(writes))
	for i := range n {
		switch k.state[i] {
		case fine:
			k.count.touches.Add(1)
		case gone:
			k.count.touchGone.Add(1)
		default:
			k.count.touchErrors.Add(1)
		}
	}
	return nil
}

// touched says what t has to write to e.
//
// A refresh raises the time-out of a connection that is still open; once TCP is
// closing, the time is the kernel's to set. A release makes TCP liberal again,
// because packets that the kernel saw meanwhile may have left MAXACK_SET and
// DATA_UNACK, and lowers the time-out to what it would be, but never raises it.
func touched(e *flow.Entry, t *flow.Touch) change {
	writable := t.Timeout != 0 && e.Has&flow.HasTimeout != 0 && e.Status&flow.StatusFixedTimeout == 0
	if t.Release {
		c := change{liberal: isTCP(e)}
		if writable && t.Timeout < e.Timeout {
			c.timeout = t.Timeout
		}
		return c
	}
	open := !isTCP(e) || e.Has&flow.HasTCP != 0 && e.TCPState == flow.TCPEstablished
	if writable && open && e.Timeout < t.Timeout {
		return change{timeout: t.Timeout}
	}
	return change{}
}
