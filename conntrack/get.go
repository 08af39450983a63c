package conntrack

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Get asks the kernel for the TCP or UDP entry that has tup as its original or
// its reply tuple. ok is false when there is none. It needs no Run.
func (t *Tracker) Get(tup flow.Tuple) (e flow.Entry, ok bool, err error) {
	if tup.Family != hwif.IPv4 && tup.Family != hwif.IPv6 {
		return e, false, fmt.Errorf("get conntrack entry: tuple has no address family")
	}
	if tup.Proto != hwif.ProtoTCP && tup.Proto != hwif.ProtoUDP {
		return e, false, fmt.Errorf("get conntrack entry of %v: only tcp and udp entries are looked up", tup)
	}
	t.askMu.Lock()
	defer t.askMu.Unlock()
	t.ask.reset()
	t.ask.req = appendGet(t.ask.req, t.ask.next(), &tup)
	err = t.ask.do(func(_ int, msg []byte) {
		if derr := Decode(msg, &e); derr == nil {
			ok = true
		}
	})
	if err == nil {
		err = t.ask.errs[0]
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return flow.Entry{}, false, nil
	case err != nil:
		return flow.Entry{}, false, fmt.Errorf("get conntrack entry of %v: %w", tup, err)
	case !ok:
		return flow.Entry{}, false, fmt.Errorf("get conntrack entry of %v: answer could not be read", tup)
	}
	return e, true, nil
}
